//! Bodies of the events about messages.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::address::Address;
use crate::ids::{DaemonId, Epoch, EventId, OriginSequence};
use crate::time::Timestamp;

/// The type of an event with a message of an agent.
pub const MESSAGE_SENT: &str = "message.sent";
/// The type of an event that deletes a message.
pub const MESSAGE_DELETED: &str = "message.deleted";
/// The type of an event that tells senders how far their messages got.
pub const MESSAGE_RECEIPTS: &str = "message.receipts";

/// Names an event. Its id is unique for the daemon that created it only.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
pub struct EventRef {
    /// The id of the event.
    pub event_id: EventId,
    /// The daemon that created it.
    pub origin_daemon: DaemonId,
}

/// Body of [`MESSAGE_SENT`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct MessageSent {
    /// The sender: an agent of the daemon that created the event.
    pub from: String,
    /// The recipients. Empty with `all`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub to: Vec<Address>,
    /// Whether every agent of the project is a recipient.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub all: bool,
    /// The message that this one answers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reply_to: Option<EventRef>,
    /// The first message of the conversation; with `reply_to`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub thread: Option<EventRef>,
    /// Whether the sender asks to be read soon.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub urgent: bool,
    /// Whether a daemon wrote it for the sender. Such a message wakes nobody.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub automatic: bool,
    /// The message.
    pub text: String,
}

/// Body of [`MESSAGE_DELETED`]. It counts for a message of the same daemon and the same sender only.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct MessageDeleted {
    /// The sender of the message.
    pub from: String,
    /// The message: an event of the daemon that created this one.
    pub event_id: EventId,
}

/// Body of [`MESSAGE_RECEIPTS`]. It speaks for agents of the daemon that created the event only. Written at most once a
/// second.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct MessageReceipts {
    /// Origins whose events this daemon holds, up to where.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub there: Vec<ReceivedUpTo>,
    /// What its agents have read.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub read: Vec<ReadReceipt>,
}

/// All events of an origin up to a position are on the disk of the daemon that says so.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ReceivedUpTo {
    /// The daemon that created the events.
    pub origin_daemon: DaemonId,
    /// The epoch of its log.
    pub origin_epoch: Epoch,
    /// The last of them.
    pub origin_sequence: OriginSequence,
}

/// Messages of one daemon that an agent has read at once.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ReadReceipt {
    /// The reader: an agent of the daemon that created the event.
    pub agent: String,
    /// Its project.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub project: Option<String>,
    /// How it was shown.
    pub route: Route,
    /// The session that it was shown to, if known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub session: Option<String>,
    /// When it was read, by the reader's clock.
    pub at: Timestamp,
    /// The daemon that created the messages.
    pub origin_daemon: DaemonId,
    /// The messages.
    pub event_ids: Vec<EventId>,
}

/// The way in which a message was shown to its reader.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum Route {
    /// The reader waited for it: `thrum wait`.
    Wait,
    /// The reader looked into its inbox: `thrum inbox`.
    Inbox,
    /// A hook of the tool showed it.
    Hook,
    /// The tool asked over MCP.
    Mcp,
    /// It started a turn of an idle session.
    Wake,
    /// A person marked it as read on the page of `thrum ui`.
    Page,
    /// One that this version doesn't know.
    #[serde(other)]
    Other,
}
