//! The peer interface: the four methods of `POST /rpc` for other machines.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::bounded::{at_most, at_most_if_any};
use crate::event::SequencedEvent;
use crate::ids::{DaemonId, Epoch, Head, LogHash, LogPosition, Sequence};
use crate::limits::{HEADS_MAX, NOTIFY_MAX_EVENTS, PULL_ANSWER_MAX_EVENTS, PULL_MAX_EVENTS};
use crate::method::surface;
use crate::proof::{Chain, Signature};
use crate::secret::{PairingCode, Token};

surface! {
    /// Asks to be paired, by the pairing code that the other machine shows or by the tailnet's policy.
    /// The only method that needs no token.
    PairRequest = "pair.request": PairRequestParams => Paired;
    /// Returns the events of this log after a position.
    SyncPull = "sync.pull": PullParams => PullPage;
    /// Tells that the caller's log has grown. A small notification includes the new events.
    SyncNotify = "sync.notify": NotifyParams => Notified;
    /// Identifies this daemon and the head of its log.
    SyncPeerInfo = "sync.peer_info": PeerInfoParams => PeerInfo;
}

/// Params of `pair.request`.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct PairRequestParams {
    /// The pairing code, 4 digits. Absent when pairing by policy.
    #[serde(
        default,
        skip_serializing_if = "Option::is_none",
        serialize_with = "PairingCode::serialize_optional"
    )]
    pub code: Option<PairingCode>,
    /// The caller.
    pub id: DaemonId,
    /// The caller's name.
    pub name: String,
    /// The address where the caller listens, `host:port`. Only the port is used.
    pub addr: String,
    /// The daemon that the caller takes the other side for: `data.id` of its refusal of `sync.peer_info`.
    pub host: DaemonId,
    /// The address at which the caller reaches it, `ip:port`.
    pub dialled: String,
    /// The caller's signature on all of this (docs/protocol.md, "Pairing").
    pub signature: Signature,
}

/// Values of `data.reason`: why a token or a pairing request was refused. Later versions may have more.
pub mod reason {
    /// The token belongs to a peer, but came from another node.
    pub const OTHER_NODE: &str = "other_node";
    /// The caller was paired by the tailnet's policy and has lost the grant.
    pub const GRANT_WITHDRAWN: &str = "grant_withdrawn";
    /// Pairing by the tailnet's policy is off.
    pub const POLICY_OFF: &str = "policy_off";
    /// The tailnet's policy doesn't grant the caller `data.capability`.
    pub const NOT_GRANTED: &str = "not_granted";
    /// The caller's node and port are those of a daemon with another id, which a person paired or which answers.
    pub const OTHER_ID: &str = "other_id";
    /// The caller's node was paired by policy a moment ago as another daemon, or as too many.
    pub const TOO_MANY: &str = "too_many";
}

/// The status in the result of `pair.request`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum PairedStatus {
    /// The request was accepted. The pairing takes effect with the first request that uses the token.
    Paired,
}

/// Result of `pair.request`.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct Paired {
    /// `paired`.
    pub status: PairedStatus,
    /// The token of every later request of both sides.
    #[serde(serialize_with = "Token::serialize_exposed")]
    pub token: Token,
    /// The accepting daemon.
    pub id: DaemonId,
    /// Its name.
    pub name: String,
    /// The address that the request came from, `ip:port`.
    pub observed: String,
    /// The accepting daemon's signature on all of this (docs/protocol.md, "Pairing").
    pub signature: Signature,
}

/// A run: events of one origin with successive `origin_sequence`s, and the proof that its origin wrote them.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct Run {
    /// The origin's chain before the first of them.
    pub previous: Chain,
    /// The origin's signature on its chain after the last of them.
    pub signature: Signature,
    /// The events, at least one, with their positions in the log that serves them.
    #[serde(deserialize_with = "at_most::<_, _, PULL_ANSWER_MAX_EVENTS>")]
    #[schemars(length(max = PULL_ANSWER_MAX_EVENTS))]
    pub events: Vec<SequencedEvent>,
}

/// Params of `sync.pull`.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
pub struct PullParams {
    /// The position after which to return events; 0 for all.
    pub after_seq: Sequence,
    /// The hash of the log up to that position, from the answer that ended there: it detects a log that is no longer the
    /// same.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub after_hash: Option<LogHash>,
    /// Maximum number of events; the server's own limits also apply. 0 only checks whether the position
    /// belongs to this log.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit: Option<u32>,
    /// Heads of what the caller already holds, which is left out: those of origins of which it may hold more than
    /// this log did at that position.
    #[serde(
        default,
        skip_serializing_if = "Option::is_none",
        deserialize_with = "at_most_if_any::<_, _, HEADS_MAX>"
    )]
    #[schemars(length(max = HEADS_MAX))]
    pub have: Option<Vec<Head>>,
    /// The token, for callers that can't set a header.
    #[serde(
        default,
        skip_serializing_if = "Option::is_none",
        serialize_with = "Token::serialize_optional"
    )]
    pub token: Option<Token>,
}

impl PullParams {
    /// The position after which to return events.
    pub const fn after(&self) -> LogPosition {
        LogPosition { sequence: self.after_seq, hash: self.after_hash }
    }

    /// Params for the events after a position.
    pub fn of(after: LogPosition) -> Self {
        Self { after_seq: after.sequence, after_hash: after.hash, ..Self::default() }
    }
}

/// Result of `sync.pull`.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct PullPage {
    /// The events, as runs of their origins. Together they are at most 1000, and have at most 512 KiB, beside those that only
    /// prove others; a single event may always come.
    #[serde(deserialize_with = "at_most::<_, _, PULL_MAX_EVENTS>")]
    #[schemars(length(max = PULL_MAX_EVENTS))]
    pub runs: Vec<Run>,
    /// The position for the next request. After the last event if some were left out.
    pub next_seq: Sequence,
    /// The hash of this log up to `next_seq`; absent at 0.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next_hash: Option<LogHash>,
    /// Whether there are more events after `next_seq`.
    pub more_available: bool,
    /// The last position of this log.
    pub head_seq: Sequence,
    /// The position before the first one that this log still holds.
    pub floor_seq: Sequence,
    /// The epoch of this log. If it differs from the checkpoint's, start again at 0.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub epoch: Option<Epoch>,
    /// With the last page: the position up to which this daemon holds the caller's log.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub held_seq: Option<Sequence>,
}

impl PullPage {
    /// The position for the next request.
    pub const fn next(&self) -> LogPosition {
        LogPosition { sequence: self.next_seq, hash: self.next_hash }
    }
}

/// Params of `sync.notify`.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct NotifyParams {
    /// The caller.
    pub daemon_id: DaemonId,
    /// The caller's current name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// The last position of the caller's log.
    pub latest_seq: Sequence,
    /// The hash of the caller's log.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub latest_hash: Option<LogHash>,
    /// The position of the caller's log after which `heads` and `runs` begin.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub after_seq: Option<Sequence>,
    /// The hash of the caller's log up to `after_seq`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub after_hash: Option<LogHash>,
    /// Heads of the origins that have events between `after_seq` and `latest_seq`, if heads can describe all of
    /// these events (no fork, no gap).
    #[serde(
        default,
        skip_serializing_if = "Option::is_none",
        deserialize_with = "at_most_if_any::<_, _, HEADS_MAX>"
    )]
    #[schemars(length(max = HEADS_MAX))]
    pub heads: Option<Vec<Head>>,
    /// The caller's own events between `after_seq` and `latest_seq`. For a peer that takes from the caller what it
    /// relays: all events between these, without the runs that came from the peer. At most 128 events.
    #[serde(
        default,
        skip_serializing_if = "Option::is_none",
        deserialize_with = "at_most_if_any::<_, _, NOTIFY_MAX_EVENTS>"
    )]
    #[schemars(length(max = NOTIFY_MAX_EVENTS))]
    pub runs: Option<Vec<Run>>,
    /// The position up to which the caller holds the receiver's log.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub held_seq: Option<Sequence>,
    /// Whether the caller has removed this peer.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub removed: bool,
    /// The reason for `removed`: a value of [`reason`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// The token, for callers that can't set a header.
    #[serde(
        default,
        skip_serializing_if = "Option::is_none",
        serialize_with = "Token::serialize_optional"
    )]
    pub token: Option<Token>,
}

impl NotifyParams {
    /// The params that say only where the caller's log ends.
    pub const fn of(daemon_id: DaemonId, latest: LogPosition) -> Self {
        Self {
            daemon_id,
            name: None,
            latest_seq: latest.sequence,
            latest_hash: latest.hash,
            after_seq: None,
            after_hash: None,
            heads: None,
            runs: None,
            held_seq: None,
            removed: false,
            reason: None,
            token: None,
        }
    }

    /// The end of the caller's log.
    pub const fn latest(&self) -> LogPosition {
        LogPosition { sequence: self.latest_seq, hash: self.latest_hash }
    }

    /// The position after which `heads` and `runs` begin.
    pub fn after(&self) -> Option<LogPosition> {
        self.after_seq.map(|sequence| LogPosition { sequence, hash: self.after_hash })
    }
}

/// Result of `sync.notify`, sent after the included events were written to disk.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
pub struct Notified {
    /// The position up to which the receiver holds the caller's log.
    #[serde(default)]
    pub held_seq: Sequence,
    /// How many of the events in the notification the receiver held already.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub known: u64,
}

#[allow(clippy::trivially_copy_pass_by_ref, reason = "serde passes it")]
fn is_zero(number: &u64) -> bool {
    *number == 0
}

/// Params of `sync.peer_info`.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
pub struct PeerInfoParams {
    /// The token, for callers that can't set a header.
    #[serde(
        default,
        skip_serializing_if = "Option::is_none",
        serialize_with = "Token::serialize_optional"
    )]
    pub token: Option<Token>,
}

/// Result of `sync.peer_info`.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct PeerInfo {
    /// The daemon.
    pub id: DaemonId,
    /// Its name.
    pub name: String,
    /// The version of its program.
    pub version: String,
    /// The epoch of its log.
    pub epoch: Epoch,
    /// The last position of its log.
    pub head_seq: Sequence,
    /// Members of later versions.
    #[serde(flatten)]
    pub more: BTreeMap<String, serde_json::Value>,
}
