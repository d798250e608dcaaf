use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::event::{Draft, SequencedEvent};
use crate::ids::{EventId, OriginSequence, Sequence};

/// Params of `event.append`.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct AppendParams {
    /// At most 1000.
    pub events: Vec<Draft>,
}

/// Where an event was written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Appended {
    /// The event.
    pub event_id: EventId,
    /// Its place in this log.
    pub sequence: Sequence,
    /// Its place among this daemon's own events.
    pub origin_sequence: OriginSequence,
}

/// Result of `event.append`.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct AppendResult {
    /// One for each draft, in the same order.
    pub appended: Vec<Appended>,
}

/// Params of `event.list`. Also the query of `GET /events`, which then goes on for ever.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
pub struct EventListParams {
    /// Events after this place of this log.
    #[serde(default)]
    pub after: Sequence,
    /// At most this many (default 100, at most 1000). The newest ones if `newest`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit: Option<u32>,
    /// The last `limit` events instead of the first ones after `after`; still in log order.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub newest: bool,
    /// Only of this type.
    #[serde(default, rename = "type", skip_serializing_if = "Option::is_none")]
    pub event_type: Option<String>,
    /// Only of this project.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub project: Option<String>,
}

/// Result of `event.list`.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct EventListResult {
    /// In log order.
    pub events: Vec<SequencedEvent>,
    /// Ask for what comes after this place next.
    pub next: Sequence,
    /// There is more after `next`.
    pub more_available: bool,
}
