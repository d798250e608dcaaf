use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::ids::{DaemonId, EventId, Sequence};
use crate::time::Timestamp;

/// Params of `message.send`.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct MessageSendParams {
    /// The sender.
    pub from: String,
    /// The recipients. Empty only with `all`.
    #[serde(default)]
    pub to: Vec<String>,
    /// Whether every agent of the project is a recipient.
    #[serde(default)]
    pub all: bool,
    /// The message.
    pub text: String,
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
    /// The recipients.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub to: Vec<String>,
    /// Whether every agent of the project is a recipient.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub all: bool,
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
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
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
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct WaitParams {
    /// The reader.
    pub agent: String,
    /// The reader's project; absent for all projects.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub project: Option<String>,
    /// How long to wait in milliseconds, at most an hour.
    pub timeout_ms: u64,
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
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct MarkReadParams {
    /// The reader.
    pub agent: String,
    /// The messages to mark as read.
    pub messages: Vec<MessageRef>,
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

impl From<&Message> for MessageRef {
    fn from(message: &Message) -> Self {
        Self { event_id: message.event_id, origin_daemon: Some(message.origin_daemon) }
    }
}

/// Params of `agent.list`.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
pub struct AgentListParams {
    /// Only agents of this project.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub project: Option<String>,
    /// Also agents that were not seen for 30 days, and those of daemons that no longer exist.
    #[serde(default)]
    pub all: bool,
}

/// Result of `agent.list`.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct AgentListResult {
    /// The agents, sorted by project, then by name.
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
    /// The daemon of the agent.
    pub daemon_id: DaemonId,
    /// The name of that daemon, if it is this one or a peer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub machine: Option<String>,
    /// The time of its last event, by its daemon's clock: it sent a message, or waited that day.
    pub last_seen: Timestamp,
    /// Its daemon no longer exists: the machine was set up anew and paired again.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub former: bool,
}
