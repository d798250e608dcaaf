use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::PeerStatus;
use crate::ids::{DaemonId, Epoch, Sequence};
use crate::time::Timestamp;

/// Result of `health`.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct HealthResult {
    /// `ok`, or `degraded` when `status` has a problem to tell.
    pub status: HealthState,
    /// Version of the program.
    pub version: String,
    /// The daemon.
    pub daemon_id: DaemonId,
    /// What it calls itself.
    pub name: String,
    /// Its process.
    pub pid: u32,
    /// How long it has been running, in milliseconds.
    pub uptime_ms: u64,
    /// Epoch of its log.
    pub epoch: Epoch,
    /// Last place of its log.
    pub head_seq: Sequence,
    /// The state directory.
    pub state_dir: String,
    /// Where stderr goes, if it was started with a log file.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub log_path: Option<String>,
    /// The shape that users of the earlier program know.
    pub tailscale_sync: TailscaleSync,
}

/// One word for scripts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum HealthState {
    /// Nothing to tell.
    Ok,
    /// It serves, and `status` lists a problem.
    Degraded,
}

/// Sync in short.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct TailscaleSync {
    /// Whether this daemon syncs with peers.
    pub enabled: bool,
    /// What this machine is called.
    pub hostname: String,
    /// How many machines are paired.
    pub peer_count: usize,
    /// They.
    pub peers: Vec<PeerSummary>,
}

/// A peer in short.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct PeerSummary {
    /// The peer.
    pub daemon_id: DaemonId,
    /// What it calls itself.
    pub name: String,
    /// How long ago, in words (`30s ago`, `never`).
    pub last_sync: String,
}

/// Result of `status`.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct StatusResult {
    /// The daemon.
    pub daemon_id: DaemonId,
    /// What it calls itself.
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
    /// Where peers reach us.
    pub tailnet: TailnetStatus,
    /// Whether and how we sync.
    pub sync: SyncStatus,
    /// Every peer.
    pub peers: Vec<PeerStatus>,
    /// What a person should know, most important first. What follows from an earlier one is left
    /// out.
    pub problems: Vec<Problem>,
}

/// The log in `status`.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct LogStatus {
    /// Its epoch.
    pub epoch: Epoch,
    /// Its last place.
    pub head_seq: Sequence,
    /// Events in it.
    pub events: u64,
    /// Size of its files, in bytes.
    pub size_bytes: u64,
    /// Events that were set aside because they could not be taken or understood.
    pub quarantined: u64,
}

/// Which tailnet kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum TailnetKind {
    /// The machine's own tailscaled.
    Tailscaled,
    /// A tailscaled child of our own.
    Private,
    /// 127.0.0.0/8 only, no identity: tests and the demo.
    Loopback,
}

/// The tailnet in `status`.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct TailnetStatus {
    /// The kind in use.
    pub kind: TailnetKind,
    /// One word or sentence: `up`, `off`, `waiting: ...`.
    pub state: String,
    /// What this machine is called there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hostname: Option<String>,
    /// Addresses on which peers are served, `ip:port`.
    pub listening: Vec<String>,
    /// What a person should know of this kind of tailnet, though nothing is broken.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub warning: Option<String>,
    /// The socket of the machine's tailscaled, where the settings name one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tailscaled_socket: Option<String>,
}

/// Sync in `status`.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct SyncStatus {
    /// Whether this daemon syncs with peers.
    pub enabled: bool,
    /// Peers that work and of which something was heard lately: between two looks at an idle peer are
    /// at most `sync_interval` and `sync_recent` together.
    pub connected: usize,
    /// Peers of which we hold all, and which hold all of ours.
    pub in_sync: usize,
    /// When something last came from any peer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_sync: Option<Timestamp>,
    /// Requests for events sent since start.
    pub pulls_sent: u64,
    /// Notifications sent since start.
    pub notifies_sent: u64,
    /// Events that came over the wire since start, whether we had them or not.
    pub events_received: u64,
    /// Of those, how many we had.
    pub events_duplicate: u64,
}

/// Something that a person should know.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Problem {
    /// Stable id, as in `thrum doctor`.
    pub id: String,
    /// What is wrong, with what.
    pub message: String,
    /// Since when, if that is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub since: Option<Timestamp>,
    /// The command that helps.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<String>,
}
