use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::PeerStatus;
use crate::ids::{DaemonId, Epoch, Sequence};
use crate::time::Timestamp;

/// Result of `health`.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct HealthResult {
    /// `ok`, or `degraded` if `status` lists a problem.
    pub status: HealthState,
    /// Version of the program.
    pub version: String,
    /// The daemon.
    pub daemon_id: DaemonId,
    /// Its name.
    pub name: String,
    /// Its process.
    pub pid: u32,
    /// How long it has been running, in milliseconds.
    pub uptime_ms: u64,
    /// Epoch of its log.
    pub epoch: Epoch,
    /// Last position of its log.
    pub head_seq: Sequence,
    /// The state directory.
    pub state_dir: String,
    /// The log file, if it was started with one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub log_path: Option<String>,
    /// Sync in the format that users of the earlier program know.
    pub tailscale_sync: TailscaleSync,
}

/// The health of the daemon.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum HealthState {
    /// There is no problem.
    Ok,
    /// It serves, but `status` lists a problem.
    Degraded,
}

/// A summary of sync.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct TailscaleSync {
    /// Whether this daemon syncs with peers.
    pub enabled: bool,
    /// The name of this machine.
    pub hostname: String,
    /// The number of paired machines.
    pub peer_count: usize,
    /// The paired machines.
    pub peers: Vec<PeerSummary>,
}

/// A summary of a peer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct PeerSummary {
    /// The peer.
    pub daemon_id: DaemonId,
    /// Its name.
    pub name: String,
    /// When something last came from it, in words (`30s ago`, `never`).
    pub last_sync: String,
}

/// Result of `status`.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct StatusResult {
    /// The daemon.
    pub daemon_id: DaemonId,
    /// Its name.
    pub name: String,
    /// Version of the program.
    pub version: String,
    /// Its process.
    pub pid: u32,
    /// How long it has been running, in milliseconds.
    pub uptime_ms: u64,
    /// The state directory.
    pub state_dir: String,
    /// The log.
    pub log: LogStatus,
    /// The views of the log: inboxes and agents.
    pub views: ViewsStatus,
    /// The tailnet.
    pub tailnet: TailnetStatus,
    /// Sync.
    pub sync: SyncStatus,
    /// The peers.
    pub peers: Vec<PeerStatus>,
    /// The problems, most important first. Consequences of an earlier problem are left out.
    pub problems: Vec<Problem>,
}

/// The log in `status`.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct LogStatus {
    /// Its epoch.
    pub epoch: Epoch,
    /// Its last position.
    pub head_seq: Sequence,
    /// Number of events.
    pub events: u64,
    /// Size of its files, in bytes.
    pub size_bytes: u64,
    /// Events that were quarantined because they could not be stored or interpreted.
    pub quarantined: u64,
}

/// The views of the log in `status`: inboxes and agents, which are derived from its events.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
pub struct ViewsStatus {
    /// The position in the log up to which they have read its events. Absent while they are being opened.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub read_seq: Option<Sequence>,
}

/// How peers are reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum TailnetKind {
    /// The machine's own tailscaled.
    Tailscaled,
    /// A tailscaled that thrumd runs.
    Private,
    /// Only 127.0.0.0/8, without identities, for tests and the demo.
    Loopback,
}

/// The tailnet in `status`.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct TailnetStatus {
    /// The kind in use.
    pub kind: TailnetKind,
    /// The state in words: `up`, `off`, `waiting: ...`.
    pub state: String,
    /// The name of this machine in the tailnet.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hostname: Option<String>,
    /// Addresses on which peers are served, `ip:port`.
    pub listening: Vec<String>,
    /// A warning about this kind of tailnet, although nothing is broken.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub warning: Option<String>,
    /// The socket of the machine's tailscaled, if the settings name one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tailscaled_socket: Option<String>,
}

/// Sync in `status`.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct SyncStatus {
    /// Whether this daemon syncs with peers.
    pub enabled: bool,
    /// Peers without a failure from which something came recently: within `sync_interval` plus
    /// `sync_recent`, the longest time between two checks of an idle peer.
    pub connected: usize,
    /// Peers that are in sync in both directions.
    pub in_sync: usize,
    /// When something last came from any peer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_sync: Option<Timestamp>,
    /// Pulls sent since start.
    pub pulls_sent: u64,
    /// Notifications sent since start.
    pub notifies_sent: u64,
    /// Events received since start, including known ones.
    pub events_received: u64,
    /// Events received since start that were already known.
    pub events_duplicate: u64,
}

/// A problem that a person should know.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Problem {
    /// Stable id, as in `thrum doctor`.
    pub id: String,
    /// What is wrong with what.
    pub message: String,
    /// Since when, if known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub since: Option<Timestamp>,
    /// The command that helps.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<String>,
}
