use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::ids::{DaemonId, EventId, Sequence};
use crate::time::Timestamp;

/// Params of `message.send`.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct MessageSendParams {
    /// The agent who says it.
    pub from: String,
    /// Whom it is for. Empty only with `all`.
    #[serde(default)]
    pub to: Vec<String>,
    /// Everyone in the project.
    #[serde(default)]
    pub all: bool,
    /// The message.
    pub text: String,
    /// The project in which the names are meant.
    pub project: String,
    /// Given by a caller who may have to try again: sending the same id twice sends it once.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub event_id: Option<EventId>,
}

/// Result of `message.send`.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct MessageSendResult {
    /// The message's event.
    pub event_id: EventId,
    /// Its place in this log.
    pub sequence: Sequence,
    /// Recipients that no daemon has ever seen in this project. The message waits for them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub unknown: Vec<String>,
}

/// A message as it is read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Message {
    /// The message's event.
    pub event_id: EventId,
    /// Its place in this log: arrival order.
    pub sequence: Sequence,
    /// The agent who said it.
    pub from: String,
    /// The daemon on which that agent lives.
    pub origin_daemon: DaemonId,
    /// What that daemon calls itself, if it is this one or a peer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub machine: Option<String>,
    /// Whom it is for.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub to: Vec<String>,
    /// It is for everyone in the project.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub all: bool,
    /// The message.
    pub text: String,
    /// The project.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub project: Option<String>,
    /// When it was sent, by the sender's clock.
    pub timestamp: Timestamp,
    /// Whether the reader had it before.
    pub read: bool,
}

/// Params of `message.inbox`.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct InboxParams {
    /// The reader.
    pub agent: String,
    /// The reader's project; absent for all projects.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub project: Option<String>,
    /// Only what was not read yet.
    #[serde(default)]
    pub unread_only: bool,
    /// At most this many (default 20, at most 1000): the oldest unread ones first, and read ones
    /// before them while there is room.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit: Option<u32>,
}

/// Result of `message.inbox`.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct InboxResult {
    /// In arrival order.
    pub messages: Vec<Message>,
    /// All that is unread in this project, those in `messages` included.
    pub unread: u64,
    /// What is unread for this name in other projects.
    pub unread_elsewhere: u64,
}

/// Params of `message.wait`.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct WaitParams {
    /// The reader.
    pub agent: String,
    /// The reader's project; absent for all projects.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub project: Option<String>,
    /// How long, in milliseconds; at most an hour, then call again.
    pub timeout_ms: u64,
}

/// Result of `message.wait`.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct WaitResult {
    /// The oldest unread message; absent when the time is over.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message: Option<Message>,
}

/// Params of `message.mark_read`.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct MarkReadParams {
    /// The reader.
    pub agent: String,
    /// The messages that the reader has.
    pub event_ids: Vec<EventId>,
}

/// Params of `agent.list`.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
pub struct AgentListParams {
    /// Only of this project.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub project: Option<String>,
}

/// Result of `agent.list`.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct AgentListResult {
    /// By project, then name.
    pub agents: Vec<Agent>,
}

/// An agent: a name in a project on a daemon.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Agent {
    /// Its name.
    pub name: String,
    /// Its project.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub project: Option<String>,
    /// The daemon on which it lives.
    pub daemon_id: DaemonId,
    /// What that daemon calls itself, if it is this one or a peer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub machine: Option<String>,
    /// When an event of it was last seen, by its daemon's clock.
    pub last_seen: Timestamp,
}
