use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::ids::DaemonId;

/// A peer named by a person. Params of `peer.check`, `peer.find`, `peer.path` and `peer.remove`.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct PeerCheckParams {
    /// Its name or daemon id.
    pub peer: String,
}

/// Result of `peer.check`.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct PeerCheckResult {
    /// The peer.
    pub daemon_id: DaemonId,
    /// Its name.
    pub name: String,
    /// The checks from the tailnet to the log, each after the ones it depends on. The ids are `peer_known`, `peer_online`, `peer_path`, `peer_port`, `peer_http`, `peer_token`,
    /// `peer_version`, `peer_checkpoint` and `peer_lag`. Later versions may have more.
    pub checks: Vec<Check>,
    /// The path of packets to the peer; absent if unknown.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub path: Option<PathToPeer>,
}

/// The state of a check.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum CheckState {
    /// It works.
    Ok,
    /// It works, but something is worth knowing.
    Warn,
    /// It does not work.
    Fail,
    /// It was skipped; `because` names the failed check that is the cause, if any.
    Skipped,
}

/// The ids of the checks of `peer.check`, in order.
pub const PEER_CHECKS: [&str; 9] = [
    "peer_known",
    "peer_online",
    "peer_path",
    "peer_port",
    "peer_http",
    "peer_token",
    "peer_version",
    "peer_checkpoint",
    "peer_lag",
];

/// The result of a check.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Check {
    /// Stable id.
    pub id: String,
    /// Its state.
    pub state: CheckState,
    /// What was found.
    pub message: String,
    /// The command that helps.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<String>,
    /// The id of the earlier check because of which this one was skipped.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub because: Option<String>,
}

/// The current path of packets to a machine of the tailnet.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct PathToPeer {
    /// Whether the path is direct, not through a relay.
    pub direct: bool,
    /// The peer's endpoint if direct, or else the name of the relay.
    pub via: String,
    /// Round-trip time below the tunnel, in microseconds.
    pub round_trip_us: u64,
}

/// Params of `peer.path`.
pub type PeerPathParams = PeerCheckParams;

/// Result of `peer.path`.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct PeerPathResult {
    /// The peer.
    pub daemon_id: DaemonId,
    /// The path; absent if the peer did not answer or is unknown, or if the tailnet kind has no paths.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub path: Option<PathToPeer>,
}

/// Params of `peer.policy`: what to change, if anything.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
pub struct PeerPolicyParams {
    /// Whether the tailnet's policy replaces the pairing code.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub on: Option<bool>,
    /// The application capability that the policy must grant to a caller.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub capability: Option<String>,
}

/// Result of `peer.policy`: the current setting.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct PeerPolicyResult {
    /// Whether the tailnet's policy replaces the pairing code.
    pub on: bool,
    /// The application capability that the policy must grant to a caller.
    pub capability: String,
    /// The number of peers that were paired by policy.
    #[serde(default)]
    pub peers: usize,
}
