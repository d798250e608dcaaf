//! The event: what is written once, stored for ever and relayed byte for byte.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::ids::{DaemonId, Epoch, EventId, Origin, OriginSequence, Sequence};
use crate::time::{Hlc, Timestamp};

/// An immutable event, as its JSON object stands in every log that holds it.
///
/// A reader keeps members that it does not know: the bytes are the event, this type is a view.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct Event {
    /// What is read without looking into the body.
    #[serde(flatten)]
    pub header: EventHeader,
    /// What happened, by type. Any JSON value.
    #[serde(default)]
    pub body: serde_json::Value,
}

/// Everything of an event but its body.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct EventHeader {
    /// Names the event everywhere.
    pub event_id: EventId,
    /// The daemon that created it.
    pub origin_daemon: DaemonId,
    /// The epoch that the daemon's log had.
    pub origin_epoch: Epoch,
    /// Its place among the events of that origin, from 1.
    pub origin_sequence: OriginSequence,
    /// When it happened, by hybrid logical clock. For last-writer decisions.
    pub hlc: Hlc,
    /// When it happened, by the origin's wall clock. For display.
    pub timestamp: Timestamp,
    /// What happened: `message.sent`, `agent.joined` ... Unknown types are stored and relayed.
    #[serde(rename = "type")]
    pub event_type: String,
    /// The project that it belongs to, if any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub project: Option<String>,
}

impl EventHeader {
    /// Who created the event.
    pub const fn origin(&self) -> Origin {
        Origin { daemon: self.origin_daemon, epoch: self.origin_epoch }
    }
}

/// An event and its place in the log that serves it. The event's bytes are not looked into.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct SequencedEvent {
    /// The place in the serving daemon's log.
    pub sequence: Sequence,
    /// The event's own bytes.
    #[schemars(with = "Event")]
    pub event: Box<RawValue>,
}

/// An event that someone on this machine wants written.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Draft {
    /// Given by a caller who may have to try again: writing the same id twice writes it once.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub event_id: Option<EventId>,
    /// What happened: lower-case words with dots between.
    #[serde(rename = "type")]
    pub event_type: String,
    /// The project that it belongs to, if any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub project: Option<String>,
    /// Any JSON value.
    #[schemars(with = "serde_json::Value")]
    pub body: Box<RawValue>,
}

/// The type of an event by which an agent says something to others.
pub const MESSAGE_SENT: &str = "message.sent";
/// The type of an event by which a daemon tells that an agent lives on it.
pub const AGENT_JOINED: &str = "agent.joined";

/// Body of [`MESSAGE_SENT`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct MessageSent {
    /// The agent who says it.
    pub from: String,
    /// Whom it is for: agent names, without `@`. Empty with `all`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub to: Vec<String>,
    /// It is for every agent of the project.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub all: bool,
    /// The message.
    pub text: String,
}

/// Body of [`AGENT_JOINED`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct AgentJoined {
    /// The agent's name within its project.
    pub agent: String,
}
