use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::ids::DaemonId;
use crate::time::Timestamp;

/// The header of an answer to `GET /backup` that says how many events the backup holds.
pub const BACKUP_EVENTS_HEADER: &str = "thrum-events";

/// What restoring a backup does. `thrumd --plan-restore FILE` and `thrumd --restore FILE` print it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct RestorePlan {
    /// The state directory.
    pub state_dir: String,
    /// The daemon of the backup.
    pub daemon_id: DaemonId,
    /// When the backup was made.
    pub made_at: Timestamp,
    /// How many events it holds.
    pub events: u64,
    /// How many events of the present log it lacks. Absent if the present log can't be read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub loses: Option<u64>,
    /// What else a person should know.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub notes: Vec<String>,
    /// Where the replaced files are now.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub kept: Vec<String>,
}
