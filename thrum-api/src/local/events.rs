use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::event::{Draft, SequencedEvent};
use crate::ids::{EventId, OriginSequence, Sequence};

/// Params of `event.append`.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct AppendParams {
    /// The events to write, at most 1000.
    pub events: Vec<Draft>,
}

/// The positions of an event that was written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Appended {
    /// The event.
    pub event_id: EventId,
    /// Its position in this log.
    pub sequence: Sequence,
    /// Its position among this daemon's own events.
    pub origin_sequence: OriginSequence,
}

/// Result of `event.append`.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct AppendResult {
    /// One for each draft, in the same order.
    pub appended: Vec<Appended>,
}

/// Params of `event.list`, and the query of `GET /events`, which goes on with new events.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
pub struct EventListParams {
    /// The position of this log after which to return events.
    #[serde(default)]
    pub after: Sequence,
    /// Only events before this position of the log, for the page before. Only with `newest`, and not in `GET /events`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub before: Option<Sequence>,
    /// Maximum number of events (default 100, at most 1000).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit: Option<u32>,
    /// Whether to return the last `limit` events instead of the first ones after `after`, in log order.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub newest: bool,
    /// Only events of this type.
    #[serde(default, rename = "type", skip_serializing_if = "Option::is_none")]
    pub event_type: Option<String>,
    /// Only events of this project.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub project: Option<String>,
}

/// Result of `event.list`.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct EventListResult {
    /// The events, in log order.
    pub events: Vec<SequencedEvent>,
    /// The position for the next request.
    pub next: Sequence,
    /// Whether there are more events after `next`.
    pub more_available: bool,
}
