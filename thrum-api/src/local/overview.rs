//! Messages of a whole project or of all of them, and what has changed: for pages and dashboards.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::delivery::RecipientStatus;
use super::messages::Message;
use crate::event::EventRef;
use crate::ids::{Epoch, Sequence};

/// Params of `message.list`.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
pub struct MessageListParams {
    /// Who asks: says which messages it has read. Absent: all count as read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub agent: Option<String>,
    /// Only messages of this project.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub project: Option<String>,
    /// Only messages before this position in the log: the next page.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub before: Option<Sequence>,
    /// Only messages after this position in the log, the oldest of them first: what is new. Not with `before`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub after: Option<Sequence>,
    /// Maximum number of messages (default 50, at most 200).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit: Option<u32>,
}

/// Result of `message.list`.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct MessageListResult {
    /// The messages: the newest first; with `after`, the oldest first. Fewer than `limit` if they are long.
    pub messages: Vec<ListedMessage>,
    /// Where the next page begins: its `before`, or its `after` if this one was asked for with `after`. Absent if there is
    /// none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<Sequence>,
    /// The position up to which this answer knows the log: messages after it come with `after`.
    pub read_seq: Sequence,
    /// The epoch of that log. Positions of another one mean nothing here.
    pub epoch: Epoch,
}

/// A message, and how far it got.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ListedMessage {
    /// The message.
    #[serde(flatten)]
    pub message: Message,
    /// How far it got, as far as this machine knows.
    pub delivery: DeliverySummary,
    /// How many answers its conversation has here, 0 included; 1000 means that many or more. Absent of an answer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub replies: Option<u64>,
}

/// How far a message got, in short.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct DeliverySummary {
    /// How many recipients there are.
    pub total: u64,
    /// On the machines of how many of them it is.
    pub there: u64,
    /// How many of them have read it.
    pub read: u64,
    /// How many of them have answered it.
    pub answered: u64,
    /// The recipient that it got to the least far, with the reason.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub least: Option<RecipientStatus>,
    /// The message was sent on another machine: only recipients of this one are counted, because senders' machines alone are
    /// told of the others.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub here_only: bool,
}

/// Params of `message.deliveries`.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
pub struct MessageDeliveriesParams {
    /// Who asks: says which messages it has read. Absent: all count as read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub agent: Option<String>,
    /// The messages, at most 200.
    pub messages: Vec<EventRef>,
}

/// Result of `message.deliveries`.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct MessageDeliveriesResult {
    /// One for each message that is here and was not deleted, in the order of the params.
    pub deliveries: Vec<MessageDelivery>,
}

/// How far a message got that was listed before.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct MessageDelivery {
    /// The message.
    pub message: EventRef,
    /// How far it got.
    pub delivery: DeliverySummary,
    /// Whether who asks has read it.
    pub read: bool,
    /// How many answers its conversation has here, 0 included; 1000 means that many or more. Absent of an answer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub replies: Option<u64>,
}

/// Params of `conversation.list`.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
pub struct ConversationListParams {
    /// Who asks: says which messages it has read. Absent: all count as read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub agent: Option<String>,
    /// Only conversations of this project.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub project: Option<String>,
    /// Only conversations whose last message is before this position in the log: the next page.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub before: Option<Sequence>,
    /// Maximum number of conversations (default 20, at most 100).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit: Option<u32>,
}

/// Result of `conversation.list`.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct ConversationListResult {
    /// The conversations, the one with the newest message first. A message without an answer is one, too.
    pub conversations: Vec<Conversation>,
    /// Where the next page begins (`before`); absent if there is none. A page may have fewer conversations than `limit`
    /// although there is a next one: few long conversations take many messages to look through.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<Sequence>,
}

/// A conversation: a message, and the answers to it and to one another.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Conversation {
    /// Its first message, by which it is named.
    pub thread: EventRef,
    /// That message; absent if it is not here, or was deleted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub first: Option<Message>,
    /// Its newest message.
    pub last: ListedMessage,
    /// How many answers it has here; 1000 means that many or more.
    pub replies: u64,
}

/// What has changed: an event of `GET /changes`, an endless stream of server-sent events.
///
/// The first one says that everything has changed. Then one comes when something has changed since the one before, at most 20
/// in a second: whoever reads slowly misses no change, and gets fewer of them. While somebody reads the stream, the views
/// follow the log at once. It ends when the daemon stops.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Change {
    /// The epoch of the log.
    pub epoch: Epoch,
    /// The position up to which the views have read the log: what is new comes from `message.list` with `after`.
    pub read_seq: Sequence,
    /// The end of the log: `event.list` has events up to it.
    pub head_seq: Sequence,
    /// What `status` tells of peers, of the tailnet, of files that were replaced, of failing writes, of `metrics_listen` and of
    /// the views may have changed: so it is with each event that peers lack, and with each attempt that failed. Without this
    /// change counters, times, the space on the disk, what peers sent and was not taken, and refused tokens.
    pub status: bool,
    /// What `agent.list` and `group.list` tell may have changed. That an agent was seen again alone doesn't count.
    pub agents: bool,
    /// What `message.deliveries` and `message.inbox` tell may have changed, also of old messages. So it is with each new
    /// message, with each event while a peer is away, and whenever `agents` is true.
    pub deliveries: bool,
}
