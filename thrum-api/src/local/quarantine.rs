use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::ids::{DaemonId, EventId, Sequence};
use crate::time::Timestamp;

/// An entry of the quarantine: what a peer sent and could not be stored, or a row of the log that was damaged.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct QuarantineEntry {
    /// Its number; later entries have higher ones.
    pub id: u64,
    /// The daemon that it came from; this one for an event that was written here.
    pub daemon_id: DaemonId,
    /// The machine of that daemon, as it is shown to people; absent if it is not known any more.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub machine: Option<String>,
    /// Its position in the log of that daemon; of a damaged row, in this log.
    pub sequence: Sequence,
    /// The event, where its id could be read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub event_id: Option<EventId>,
    /// Why it is here.
    pub reason: String,
    /// Its size.
    pub size_bytes: u64,
    /// How it begins.
    pub excerpt: String,
    /// Since when it is here.
    pub at: Timestamp,
}

/// Result of `quarantine.list`.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct QuarantineListResult {
    /// The entries, oldest first, at most 1000.
    pub entries: Vec<QuarantineEntry>,
    /// Whether there are more.
    pub more_available: bool,
}

/// Params of `quarantine.clear`.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct QuarantineClearParams {
    /// The last entry that a person has seen; later ones stay.
    pub through: u64,
}

/// Result of `quarantine.clear`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct QuarantineClearResult {
    /// How many entries were dropped.
    pub cleared: u64,
}
