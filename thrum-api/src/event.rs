//! Events: immutable, stored forever and relayed byte for byte.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

mod agent;
mod message;

pub use agent::{
    AGENT_JOINED, AGENT_REMOVED, AGENT_SESSIONS, AgentJoined, AgentRemoved, AgentSessions,
    GROUP_CHANGED, GroupChanged, Reach, SessionInfo, SessionState,
};
pub use message::{
    EventRef, MESSAGE_DELETED, MESSAGE_RECEIPTS, MESSAGE_SENT, MessageDeleted, MessageReceipts,
    MessageSent, ReadReceipt, ReceivedUpTo, Route,
};

use crate::ids::{DaemonId, Epoch, EventId, Origin, OriginSequence, Sequence};
use crate::time::{Hlc, Timestamp};

/// A view of an event. The event itself is the bytes of its JSON object, which include members that
/// this version does not know.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct Event {
    /// All members except the body.
    #[serde(flatten)]
    pub header: EventHeader,
    /// The content: any JSON value, by type.
    #[serde(default)]
    pub body: serde_json::Value,
}

/// The header of an event: everything except its body.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct EventHeader {
    /// The globally unique id of the event.
    pub event_id: EventId,
    /// The daemon that created it.
    pub origin_daemon: DaemonId,
    /// The epoch of that daemon's log.
    pub origin_epoch: Epoch,
    /// Its position among the events of that origin, from 1.
    pub origin_sequence: OriginSequence,
    /// The time by hybrid logical clock, which decides who wrote last.
    pub hlc: Hlc,
    /// The time by the origin's wall clock, for display.
    pub timestamp: Timestamp,
    /// The type: `message.sent`, `agent.joined` ... Unknown types are stored and relayed.
    #[serde(rename = "type")]
    pub event_type: String,
    /// The project that it belongs to, if any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub project: Option<String>,
}

impl EventHeader {
    /// The origin of the event.
    pub const fn origin(&self) -> Origin {
        Origin { daemon: self.origin_daemon, epoch: self.origin_epoch }
    }
}

/// An event and its position in the log that serves it. The event is not parsed.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct SequencedEvent {
    /// The position in the serving daemon's log.
    pub sequence: Sequence,
    /// The bytes of the event.
    #[schemars(with = "Event")]
    pub event: Box<RawValue>,
}

/// A draft of an event, which a client asks to append.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Draft {
    /// An id given by a caller that may retry: a repeated id is written only once.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub event_id: Option<EventId>,
    /// The type: lower-case words separated by dots.
    #[serde(rename = "type")]
    pub event_type: String,
    /// The project that it belongs to, if any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub project: Option<String>,
    /// Any JSON value.
    #[schemars(with = "serde_json::Value")]
    pub body: Box<RawValue>,
}
