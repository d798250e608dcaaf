use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::delivery::RecipientStatus;
use crate::event::{EventRef, Route};
use crate::ids::{DaemonId, EventId, Sequence};
use crate::time::Timestamp;

/// Params of `message.send`.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
pub struct MessageSendParams {
    /// The sender.
    pub from: String,
    /// The recipients: `name` (every agent of that name), `name@machine` (the machine by its name or daemon id), or `@name`
    /// (the members of a group; an agent, if there is no group of that name). Empty only with `all`.
    #[serde(default)]
    pub to: Vec<String>,
    /// Whether every agent of the project is a recipient.
    #[serde(default)]
    pub all: bool,
    /// The message.
    pub text: String,
    /// The message that this one answers. Without recipients, it goes to the sender of that one, on its machine.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reply_to: Option<EventRef>,
    /// Whether the sender asks to be read soon.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub urgent: bool,
    /// Whether to send it also to names that nobody has seen although a similar one is known.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub anyway: bool,
    /// The project of sender and recipients.
    pub project: String,
    /// An id given by a caller that may retry: a repeated id is sent only once.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub event_id: Option<EventId>,
}

/// Result of `message.send`.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct MessageSendResult {
    /// The message's event.
    pub event_id: EventId,
    /// Its position in this log.
    pub sequence: Sequence,
    /// Recipients that have not been seen in this project yet. The message waits for them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub unknown: Vec<String>,
    /// The agents that it is for, as far as this daemon knew them at that moment, with what their sessions do. Empty with
    /// `all`, and while the views are behind.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub recipients: Vec<RecipientStatus>,
    /// How many agents it is for, with those of groups and `all`.
    #[serde(default)]
    pub total: u64,
}

/// A message in an inbox.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Message {
    /// The message's event.
    pub event_id: EventId,
    /// Its position in this log, which is the arrival order.
    pub sequence: Sequence,
    /// The sender.
    pub from: String,
    /// The daemon of the sender.
    pub origin_daemon: DaemonId,
    /// The name of that daemon, if it is this one or a peer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub machine: Option<String>,
    /// The recipients: `name`, `name@machine` or `@group`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub to: Vec<String>,
    /// Whether every agent of the project is a recipient.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub all: bool,
    /// The message that this one answers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reply_to: Option<EventRef>,
    /// The first message of the conversation, if this one is an answer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub thread: Option<EventRef>,
    /// Whether the sender asks to be read soon.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub urgent: bool,
    /// Whether a daemon wrote it for the sender.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub automatic: bool,
    /// The message.
    pub text: String,
    /// The project.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub project: Option<String>,
    /// When it was sent, by the sender's clock.
    pub timestamp: Timestamp,
    /// Whether the reader has read it.
    pub read: bool,
}

/// Params of `message.inbox`.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
pub struct InboxParams {
    /// The reader.
    pub agent: String,
    /// The reader's project; absent for all projects.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub project: Option<String>,
    /// Only unread messages.
    #[serde(default)]
    pub unread_only: bool,
    /// Only read messages: the newest.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub read_only: bool,
    /// Only messages of this agent: `name`, or `name@machine`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<String>,
    /// Only messages that were sent since, by their senders' clocks.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub since: Option<Timestamp>,
    /// Only messages of this conversation, named by its first message.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub thread: Option<EventRef>,
    /// Maximum number of messages (default 20, at most 1000): the oldest unread ones, and earlier read
    /// ones if there is room.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit: Option<u32>,
}

/// Result of `message.inbox`.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct InboxResult {
    /// The messages, in arrival order.
    pub messages: Vec<Message>,
    /// The number of unread messages in this project, including those in `messages`.
    pub unread: u64,
    /// The number of unread messages for this name in other projects.
    pub unread_elsewhere: u64,
}

/// Params of `message.wait`.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
pub struct WaitParams {
    /// The reader.
    pub agent: String,
    /// The reader's project; absent for all projects.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub project: Option<String>,
    /// How long to wait in milliseconds, at most an hour.
    pub timeout_ms: u64,
    /// Only messages of this agent: `name`, or `name@machine`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<String>,
    /// Only messages of this conversation, named by its first message.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub thread: Option<EventRef>,
    /// Whether one of `from` and `thread` is enough; else a message has to match both.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub any: bool,
    /// Whether the messages are for this caller alone: no other one that claims gets them, until they are marked read or
    /// this connection ends.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub claim: bool,
    /// The session that waits. Without one, the connection itself counts as a session while it waits.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub session: Option<String>,
    /// Maximum number of messages (default 50, at most 1000).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit: Option<u32>,
}

/// Result of `message.wait`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct WaitResult {
    /// The oldest unread messages, in arrival order; none after the time-out.
    pub messages: Vec<Message>,
    /// The number of unread messages that are not among them.
    pub left: u64,
}

/// Params of `message.mark_read`.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
pub struct MarkReadParams {
    /// The reader.
    pub agent: String,
    /// The messages to mark as read.
    pub messages: Vec<MessageRef>,
    /// How they were shown; without it the senders are told `other`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub route: Option<Route>,
    /// The session that they were shown to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub session: Option<String>,
}

/// Names a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct MessageRef {
    /// The message's event.
    pub event_id: EventId,
    /// The daemon of the sender: an id is unique for that one only. Without it, the call is refused if messages of several
    /// daemons in the reader's inboxes have this id.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub origin_daemon: Option<DaemonId>,
}

impl Message {
    /// Names its event.
    pub const fn event(&self) -> EventRef {
        EventRef { event_id: self.event_id, origin_daemon: self.origin_daemon }
    }
}

impl From<&Message> for MessageRef {
    fn from(message: &Message) -> Self {
        Self { event_id: message.event_id, origin_daemon: Some(message.origin_daemon) }
    }
}
