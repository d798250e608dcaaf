use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::delivery::MessageStatusResult;
use super::messages::Message;
use crate::event::EventRef;
use crate::ids::Sequence;
use crate::time::Timestamp;

/// Params of `message.find`.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct MessageFindParams {
    /// Who asks.
    pub agent: String,
    /// The project of that agent; absent for all projects.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub project: Option<String>,
    /// The id of the message, or its last characters, at least 4: then it has to be one of the newest messages that the
    /// agent sent or got.
    pub id: String,
}

/// Result of `message.find`.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct MessageFindResult {
    /// The message.
    pub message: Message,
}

/// Names a message. Params of `message.show`.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct MessageShowParams {
    /// Who asks: says whether it has read the message.
    pub agent: String,
    /// The message.
    pub message: EventRef,
}

/// Result of `message.show`.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct MessageShowResult {
    /// The message.
    pub message: Message,
    /// How far it got, if it was sent on this machine.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<MessageStatusResult>,
    /// How many answers its conversation has here.
    pub replies: u64,
}

/// Params of `message.thread`.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct MessageThreadParams {
    /// Who asks: says which messages it has read.
    pub agent: String,
    /// Any message of the conversation.
    pub message: EventRef,
    /// Only messages after this position in the log.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub after: Option<Sequence>,
    /// Maximum number of messages (default 200, at most 1000).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit: Option<u32>,
}

/// Result of `message.thread`.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct MessageThreadResult {
    /// The first message of the conversation, by which it is named.
    pub thread: EventRef,
    /// The messages in arrival order, the first one first if it is here.
    pub messages: Vec<Message>,
    /// The number of messages after those.
    pub left: u64,
}

/// Params of `message.delete`.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct MessageDeleteParams {
    /// Its sender.
    pub agent: String,
    /// The message, which was sent on this machine.
    pub message: EventRef,
}

/// Params of `message.search`.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct MessageSearchParams {
    /// What to look for: all of these words. Text between double quotes is a phrase, a `*` at the end of a word stands for
    /// any end.
    pub words: String,
    /// Only messages of this project.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub project: Option<String>,
    /// Only messages of this agent: `name`, or `name@machine`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<String>,
    /// Only messages that were sent since, by their senders' clocks.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub since: Option<Timestamp>,
    /// Only messages before this position in the log: the next page.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub before: Option<Sequence>,
    /// Maximum number of messages (default 20, at most 200).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit: Option<u32>,
}

/// Result of `message.search`.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct MessageSearchResult {
    /// The messages, the newest first.
    pub hits: Vec<SearchHit>,
    /// Where the next page begins (`before`); absent if there is none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next_before: Option<Sequence>,
}

/// A message that was found.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct SearchHit {
    /// The message, whole.
    pub message: Message,
    /// The part of its text with the words, on one line. The words stand between `\u{2}` and `\u{3}`.
    pub snippet: String,
}
