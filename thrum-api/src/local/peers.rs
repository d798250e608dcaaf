use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::PeerCheckParams;
use crate::ids::{DaemonId, Sequence};
use crate::method::Empty;
use crate::secret::PairingCode;
use crate::time::Timestamp;

/// Params of `peer.add`.
pub type PeerAddParams = Empty;

/// Result of `peer.add`.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct PeerAddResult {
    /// The id of the session for later calls.
    pub session: u64,
    /// The pairing code.
    #[serde(serialize_with = "PairingCode::serialize_exposed")]
    pub code: PairingCode,
    /// How long the session lasts, in milliseconds.
    pub timeout_ms: u64,
    /// What to type after `thrum peer join` on the other machine, `host:port`.
    pub join: String,
}

/// Params of `peer.wait`.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct PeerWaitParams {
    /// The session.
    pub session: u64,
    /// The number of news that the caller has; the next one is returned.
    #[serde(default)]
    pub seen: u64,
}

/// What happened in a pairing session.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "news", rename_all = "snake_case")]
pub enum PairingUpdate {
    /// A machine tried a wrong code.
    WrongCode {
        /// The caller: its address, and on a tailnet its name and owner.
        caller: String,
        /// How many other callers may give a wrong code before the session locks.
        attempts_left: u32,
        /// How many further codes of callers with a wrong one are read, all together.
        #[serde(default)]
        retries_left: u32,
    },
    /// A machine was paired. The session has ended.
    Paired {
        /// The new peer.
        daemon_id: DaemonId,
        /// Its name.
        name: String,
        /// Its address, `ip:port`.
        address: String,
        /// The daemons whose place it took: the same machine before it was set up anew.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        replaced: Vec<DaemonId>,
    },
    /// A machine gave the right code with the daemon id of a peer, which is another machine. It was refused,
    /// and the session has ended.
    IdTaken {
        /// The caller.
        caller: String,
        /// The daemon id.
        daemon_id: DaemonId,
        /// The peer that has it, as it is shown to people.
        name: String,
    },
    /// There were too many wrong codes. The session has ended.
    Locked {
        /// The caller with the last one.
        caller: String,
    },
    /// The session has expired.
    Expired,
    /// The session was cancelled on this machine.
    Cancelled,
}

/// Params of `peer.cancel`.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct PeerCancelParams {
    /// The session.
    pub session: u64,
}

/// Params of `peer.resolve`.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct PeerResolveParams {
    /// A name or address, with or without a port.
    pub address: String,
}

/// Result of `peer.resolve`.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct PeerResolveResult {
    /// The address that answered, `ip:port`.
    pub address: String,
    /// Its name in the tailnet.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub node_name: Option<String>,
    /// Its owner.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub owner: Option<String>,
    /// Whether its owner also owns this machine.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub same_owner: Option<bool>,
    /// Whether the tailnet's policy allows this machine to pair with it. Absent if pairing by policy is
    /// off there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub by_policy: Option<bool>,
}

/// Params of `peer.join`.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct PeerJoinParams {
    /// A name or address, with or without a port.
    pub address: String,
    /// The code that the other machine shows; absent when pairing by policy.
    #[serde(
        default,
        skip_serializing_if = "Option::is_none",
        serialize_with = "PairingCode::serialize_optional"
    )]
    pub code: Option<PairingCode>,
}

/// Result of `peer.join`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct PeerJoinResult {
    /// The new peer.
    pub daemon_id: DaemonId,
    /// Its name.
    pub name: String,
    /// Its address, `ip:port`.
    pub address: String,
    /// Whether it was already a peer; then only its token was replaced.
    pub renewed: bool,
    /// The daemons whose place it took: the same machine before it was set up anew.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub replaced: Vec<DaemonId>,
}

/// Result of `peer.list`.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct PeerListResult {
    /// The peers, sorted by name.
    pub peers: Vec<PeerEntry>,
    /// The open pairing session, if there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pairing: Option<OpenPairing>,
    /// How the last pairing session ended, if that was within the last hour and none is open.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_pairing: Option<PairingUpdate>,
}

/// An open pairing session. Its code is not shown again.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct OpenPairing {
    /// When it expires.
    pub expires_at: Timestamp,
    /// How many more machines may give a wrong code; that of the last one ends the session.
    pub attempts_left: u32,
}

/// A paired machine.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct PeerEntry {
    /// The peer.
    pub daemon_id: DaemonId,
    /// Its name, followed by its id where the name is not plain or not unique.
    pub name: String,
    /// Its address, `host:port`.
    pub address: String,
    /// When it was paired.
    pub paired_at: Timestamp,
    /// When something last came from it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_sync: Option<Timestamp>,
    /// The capability by which it was paired without a code; it is a peer as long as it has that.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub by_policy: Option<String>,
}

/// The sync state of a peer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum PeerState {
    /// It answers, and both daemons hold all events of the other.
    InSync,
    /// It answers, and one of the daemons still lacks events of the other.
    CatchingUp,
    /// It did not answer, or something failed (`trouble`); the next attempt is at `next_try_at`.
    BackingOff,
    /// It has not answered since it was paired or since this daemon started.
    NeverReached,
    /// It no longer accepts our token: this machine was removed there.
    RemovedUs,
    /// Its log is not the one of our checkpoint; the pull starts again at 0.
    LogChanged,
    /// Sync is off on this machine, or waits for the tailnet.
    Off,
}

/// The kind of a sync failure.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum SyncFailureKind {
    /// The peer can't be reached.
    Unreachable,
    /// The peer answers with an error or with invalid data.
    Refusing,
    /// The log of this machine can't be read or written.
    Own,
}

/// A peer in `status`.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct PeerStatus {
    /// The peer.
    pub daemon_id: DaemonId,
    /// Its name, followed by its id where the name is not plain or not unique.
    pub name: String,
    /// Its address, `host:port`.
    pub address: String,
    /// Its state.
    pub state: PeerState,
    /// Since when it has this state.
    pub since: Timestamp,
    /// When something last came from it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_sync: Option<Timestamp>,
    /// Number of positions of its log that we lack; absent while unknown.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub we_lack: Option<u64>,
    /// Number of positions of our log that it lacks; absent while unknown.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub they_lack: Option<u64>,
    /// The position up to which we hold its log.
    pub checkpoint: Sequence,
    /// Round-trip time of the last request, in microseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub round_trip_us: Option<u64>,
    /// When the next attempt is made.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next_try_at: Option<Timestamp>,
    /// Failures since the last success.
    pub failures: u32,
    /// The kind of the failures; absent without failures.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trouble: Option<SyncFailureKind>,
    /// The last failure.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_error: Option<String>,
    /// Version of its program.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    /// Events received from it since start.
    pub events_received: u64,
    /// How often its token was refused since start because it came from another machine.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub refused_elsewhere: u64,
    /// The machine that sent it last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub refused_caller: Option<String>,
    /// Why it refuses our token, if it gave a reason: `other_node` (this machine is another node of the
    /// tailnet than when it was paired), `grant_withdrawn` (it was paired by policy).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub refusal: Option<String>,
    /// The capability by which it was paired without a code; it is a peer as long as it has that.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub by_policy: Option<String>,
    /// The daemons whose place it took: the same machine before it was set up anew.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub former: Vec<DaemonId>,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde hands over a reference")]
const fn is_zero(number: &u64) -> bool {
    *number == 0
}

/// Params of `peer.find`.
pub type PeerFindParams = PeerCheckParams;

/// Params of `peer.remove`.
pub type PeerRemoveParams = PeerCheckParams;

/// Result of `peer.remove`.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct PeerRemoveResult {
    /// The removed peer.
    pub daemon_id: DaemonId,
    /// Its name.
    pub name: String,
    /// Whether it was notified. If not, it notices that its token is refused.
    pub told: bool,
}

/// Params of `peer.sync`.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
pub struct PeerSyncParams {
    /// Name or daemon id of one peer; absent for all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub peer: Option<String>,
}
