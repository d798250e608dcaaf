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
    /// Names the session in later calls.
    pub session: u64,
    /// The code, for the person at this terminal.
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
    /// How many pieces of news the caller has; the next one is answered.
    #[serde(default)]
    pub seen: u64,
}

/// What happened in a pairing session.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "news", rename_all = "snake_case")]
pub enum PairingNews {
    /// A machine tried a wrong code.
    WrongCode {
        /// The caller as observed: address, and on a tailnet its name and owner.
        caller: String,
        /// Tries left before the session locks.
        attempts_left: u32,
    },
    /// Done. The session is over.
    Paired {
        /// The new peer.
        daemon_id: DaemonId,
        /// What it calls itself.
        name: String,
        /// Its address, `ip:port`.
        address: String,
    },
    /// Too many wrong codes. The session is over.
    Locked {
        /// The caller of the last one.
        caller: String,
    },
    /// The time is over. So is the session.
    Expired,
    /// The session was ended from this machine.
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
    /// A name or address, with or without port.
    pub address: String,
}

/// Result of `peer.resolve`.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct PeerResolveResult {
    /// `ip:port` that answered.
    pub address: String,
    /// Its name in the tailnet.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub node_name: Option<String>,
    /// Who owns it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub owner: Option<String>,
    /// Its owner is this machine's owner.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub same_owner: Option<bool>,
    /// Whether it pairs with this machine without a code: the tailnet's policy would allow it, or
    /// would not. Absent where no person allowed pairing by policy there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub by_policy: Option<bool>,
}

/// Params of `peer.join`.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct PeerJoinParams {
    /// A name or address, with or without port.
    pub address: String,
    /// The code that the other machine shows; absent where the tailnet's policy stands in for it.
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
    /// What it calls itself.
    pub name: String,
    /// Its address, `ip:port`.
    pub address: String,
    /// It was a peer already; its token was replaced and nothing else.
    pub renewed: bool,
}

/// Result of `peer.list`.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct PeerListResult {
    /// By name.
    pub peers: Vec<PeerEntry>,
    /// The pairing session that is open, if one is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pairing: Option<OpenPairing>,
    /// How the last pairing session ended, if that was within the last hour and none is open.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_pairing: Option<PairingNews>,
}

/// A pairing session that is open. Its code is not shown again.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct OpenPairing {
    /// When its time is over.
    pub expires_at: Timestamp,
    /// Tries left.
    pub attempts_left: u32,
}

/// A paired machine.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct PeerEntry {
    /// The peer.
    pub daemon_id: DaemonId,
    /// What it calls itself.
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

/// How it stands with a peer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum PeerState {
    /// It answers, and both hold everything of the other.
    InSync,
    /// It answers, and one of us has still to take something over.
    CatchingUp,
    /// It did not answer, or something failed (`trouble`); we try again at `next_try_at`.
    BackingOff,
    /// It has not answered since it was paired or since this daemon started.
    NeverReached,
    /// It does not know our token any more: it was removed there.
    RemovedUs,
    /// Its log is not the one that our checkpoint was taken of; we are starting again at 0.
    LogChanged,
    /// Sync is off on this machine, or waits for the tailnet.
    Off,
}

/// What keeps events from flowing between this machine and a peer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum SyncFailureKind {
    /// It is not reached.
    Unreachable,
    /// It is reached, and answers with an error or with something that can't be.
    Refusing,
    /// The log of this machine can't be written or read.
    Own,
}

/// A peer in `status`.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct PeerStatus {
    /// The peer.
    pub daemon_id: DaemonId,
    /// What it calls itself.
    pub name: String,
    /// Its address, `host:port`.
    pub address: String,
    /// How it stands.
    pub state: PeerState,
    /// Since when.
    pub since: Timestamp,
    /// When something last came from it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_sync: Option<Timestamp>,
    /// Places of its log that we have not taken over; absent while unknown.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub we_lack: Option<u64>,
    /// Places of our log that it has not taken over; absent while unknown.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub they_lack: Option<u64>,
    /// Up to here we took its log over.
    pub checkpoint: Sequence,
    /// Round-trip time of the last request, in microseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub round_trip_us: Option<u64>,
    /// When we try again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next_try_at: Option<Timestamp>,
    /// Failures since the last success.
    pub failures: u32,
    /// What they are of; absent without failures.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trouble: Option<SyncFailureKind>,
    /// What the last failure was.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_error: Option<String>,
    /// Version of its program.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    /// Events that came from it over the wire since start.
    pub events_received: u64,
    /// How often its token came from another machine since start, and was refused.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub refused_elsewhere: u64,
    /// Which machine sent it last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub refused_caller: Option<String>,
    /// Why it refuses our token, where it said so: `other_node` (to the tailnet this machine is
    /// another one than when it was paired), `grant_withdrawn` (it was paired by policy).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub refusal: Option<String>,
    /// The capability by which it was paired without a code; it is a peer as long as it has that.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub by_policy: Option<String>,
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
    /// The peer that was.
    pub daemon_id: DaemonId,
    /// What it called itself.
    pub name: String,
    /// It was told. If not, its side shows that its token is refused.
    pub told: bool,
}

/// Params of `peer.sync`.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
pub struct PeerSyncParams {
    /// Name or daemon id of one peer; absent for all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub peer: Option<String>,
}
