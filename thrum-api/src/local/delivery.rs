use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::agents::AgentState;
use crate::event::{EventRef, Reach, Route};
use crate::ids::{DaemonId, Sequence};
use crate::time::Timestamp;

/// How far a message got on its way to one recipient. Each state includes those before it.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum DeliveryState {
    /// It is on the disk of this machine.
    Stored,
    /// It is on the disk of the recipient's machine.
    There,
    /// It was shown to the recipient.
    Read,
    /// The recipient has answered it.
    Answered,
}

/// Why a message did not get further yet.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum Obstacle {
    /// Nobody has seen an agent of this name: the message waits for it.
    UnknownName,
    /// The recipient's machine can't be reached (`since`).
    Unreachable,
    /// The recipient's machine lacks events of this log (`behind`).
    Behind,
    /// The recipient's machine is no peer of this one, and has not told yet that the message is there.
    Relayed,
    /// The message is there, and the recipient has no session.
    NoSession,
    /// The message is there, and no session of the recipient has shown it yet.
    NotShown,
}

/// How far a message got on its way to one recipient.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct RecipientStatus {
    /// The recipient's name.
    pub agent: String,
    /// Its daemon; absent for a name that nobody has seen.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub daemon_id: Option<DaemonId>,
    /// The name of that daemon, if it is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub machine: Option<String>,
    /// How far it got.
    pub state: DeliveryState,
    /// When it was read, by the recipient's clock.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub read_at: Option<Timestamp>,
    /// How it was shown.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub route: Option<Route>,
    /// The session that it was shown to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub session: Option<String>,
    /// When it was answered, by the recipient's clock.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub answered_at: Option<Timestamp>,
    /// The first answer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub answer: Option<EventRef>,
    /// What the recipient does now; absent for a name that nobody has seen.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub live: Option<AgentState>,
    /// The best way in which a message gets to an idle session of the recipient; absent if nobody has said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reach: Option<Reach>,
    /// Why it did not get further yet.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub obstacle: Option<Obstacle>,
    /// Since when the recipient's machine can't be reached.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub since: Option<Timestamp>,
    /// How many events of this log the recipient's machine lacks.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub behind: Option<u64>,
}

/// Params of `message.status`.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct MessageStatusParams {
    /// The message, which was sent on this machine.
    pub message: EventRef,
    /// How long to wait, in milliseconds (at most 10 s), until it is on every machine that it is for and that can be
    /// reached.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub wait_ms: Option<u64>,
}

/// How far a message got. Result of `message.status`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct MessageStatusResult {
    /// The message.
    pub message: EventRef,
    /// Its position in this log.
    pub sequence: Sequence,
    /// Its sender.
    pub from: String,
    /// Its recipients, as they were named; empty if it is for everyone.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub to: Vec<String>,
    /// Whether it is for everyone in the project.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub all: bool,
    /// The beginning of its text.
    pub text: String,
    /// When it was sent.
    pub timestamp: Timestamp,
    /// Whether its sender has deleted it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub deleted: bool,
    /// Each recipient, at most 100: those that it got to the least far come first.
    pub recipients: Vec<RecipientStatus>,
    /// How many recipients there are.
    pub total: u64,
    /// On the machines of how many of them it is.
    pub there: u64,
    /// How many of them have read it.
    pub read: u64,
    /// How many of them have answered it.
    pub answered: u64,
}

/// Params of `message.sent`.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct MessageSentParams {
    /// The sender.
    pub agent: String,
    /// Its project.
    pub project: String,
    /// Only messages before this position in the log: the next page.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub before: Option<Sequence>,
    /// Maximum number of messages (default 20, at most 200).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit: Option<u32>,
}

/// Result of `message.sent`.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct MessageSentResult {
    /// The messages that the agent sent on this machine, the newest first.
    pub messages: Vec<MessageStatusResult>,
}
