use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::ids::DaemonId;

/// A peer as a person names it. Params of `peer.check`, `peer.find`, `peer.path` and `peer.remove`.
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
    /// What it is called.
    pub name: String,
    /// The chain from the tailnet to the log, in the order in which each link needs the one before.
    /// The ids are `peer_known`, `peer_online`, `peer_path`, `peer_port`, `peer_http`, `peer_token`,
    /// `peer_version`, `peer_checkpoint` and `peer_lag`. Later versions may have more.
    pub checks: Vec<Check>,
    /// How packets get there; absent when that can't be known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub path: Option<PathToPeer>,
}

/// How a check ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum CheckState {
    /// As it should be.
    Ok,
    /// It works, and something is worth knowing.
    Warn,
    /// It does not work.
    Fail,
    /// It was not looked at; `because` says which failed check is to blame, if one is.
    Skipped,
}

/// The ids of the links on the way to a peer, in the order in which `peer.check` looks at them.
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

/// One link of a chain, looked at.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Check {
    /// Stable id.
    pub id: String,
    /// How it ended.
    pub state: CheckState,
    /// What was found.
    pub message: String,
    /// The command that helps.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<String>,
    /// The id of the earlier check that this one follows from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub because: Option<String>,
}

/// How packets get to a machine of the tailnet at the moment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct PathToPeer {
    /// Straight to it, and not through a relay.
    pub direct: bool,
    /// Its endpoint if direct, else the name of the relay.
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
    /// Absent when it did not answer, is not known to the tailnet, or the tailnet kind knows no
    /// paths.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub path: Option<PathToPeer>,
}

/// Params of `peer.policy`: what to change. Empty changes nothing.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
pub struct PeerPolicyParams {
    /// Whether the tailnet's policy may stand in for the code.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub on: Option<bool>,
    /// The application capability that a caller must have been granted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub capability: Option<String>,
}

/// Result of `peer.policy`: how it is now.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct PeerPolicyResult {
    /// Whether the tailnet's policy may stand in for the code.
    pub on: bool,
    /// The application capability that a caller must have been granted.
    pub capability: String,
    /// How many peers were paired that way.
    #[serde(default)]
    pub peers: usize,
}
