//! The peer surface: the four methods that a paired machine can call on `POST /rpc`.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::event::SequencedEvent;
use crate::ids::{DaemonId, Epoch, EventId, Head, Sequence};
use crate::method::surface;
use crate::secret::{PairingCode, Token};

surface! {
    /// Asks to be paired, with the code that a person read on the other machine, or without one
    /// where the tailnet's policy stands in for it. The only method that needs no token.
    PairRequest = "pair.request": PairRequestParams => Paired;
    /// The events of this log after a place.
    SyncPull = "sync.pull": PullParams => PullPage;
    /// News: the log of the caller has grown. Small windows carry their events.
    SyncNotify = "sync.notify": NotifyParams => Notified;
    /// Who this daemon is and how far its log goes.
    SyncPeerInfo = "sync.peer_info": PeerInfoParams => PeerInfo;
}

/// Params of `pair.request`.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct PairRequestParams {
    /// The code, 4 digits. Absent where the tailnet's policy stands in for it.
    #[serde(
        default,
        skip_serializing_if = "Option::is_none",
        serialize_with = "PairingCode::serialize_optional"
    )]
    pub code: Option<PairingCode>,
    /// The caller.
    pub id: DaemonId,
    /// What the caller calls itself.
    pub name: String,
    /// Where the caller listens, `host:port`. Only the port is believed.
    pub addr: String,
}

/// Words of `data.reason`: why a token or a request to be paired was refused. A later version may
/// have more.
pub mod reason {
    /// The token is of a peer, and came from another node than the one that it was given to.
    pub const OTHER_NODE: &str = "other_node";
    /// The caller was paired by the tailnet's policy and has lost the grant.
    pub const GRANT_WITHDRAWN: &str = "grant_withdrawn";
    /// Pairing by the tailnet's policy is off.
    pub const POLICY_OFF: &str = "policy_off";
    /// The tailnet's policy doesn't grant the caller `data.capability`.
    pub const NOT_GRANTED: &str = "not_granted";
}

/// The one status that `pair.request` answers with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum PairedStatus {
    /// The code was right. The pairing counts with the first request that carries the token.
    Paired,
}

/// Result of `pair.request`.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct Paired {
    /// `paired`.
    pub status: PairedStatus,
    /// What every later request of either side carries.
    #[serde(serialize_with = "Token::serialize_exposed")]
    pub token: Token,
    /// The accepting daemon.
    pub id: DaemonId,
    /// What it calls itself.
    pub name: String,
}

/// Params of `sync.pull`.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
pub struct PullParams {
    /// Events after this place are asked for; 0 for all.
    pub after_seq: Sequence,
    /// The event at that place, so that a log which is not the same any more is noticed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub after_id: Option<EventId>,
    /// How many at most. The server's own limits hold too. 0 only asks whether the place is of this
    /// log.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit: Option<u32>,
    /// What the caller holds already, so that it can be left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub have: Option<Vec<Head>>,
    /// The token, for callers that can't set a header.
    #[serde(
        default,
        skip_serializing_if = "Option::is_none",
        serialize_with = "Token::serialize_optional"
    )]
    pub token: Option<Token>,
}

/// Result of `sync.pull`.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct PullPage {
    /// The events, in the order of this log.
    pub events: Vec<SequencedEvent>,
    /// Ask for what comes after this place next. Beyond the last event if some were left out.
    pub next_seq: Sequence,
    /// The event at `next_seq`; absent at 0.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next_id: Option<EventId>,
    /// There is more after `next_seq`.
    pub more_available: bool,
    /// The last place of this log.
    pub head_seq: Sequence,
    /// The first place that this log still holds is the one after this.
    pub floor_seq: Sequence,
    /// The epoch of this log. Another one than the checkpoint was taken in: start again at 0.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub epoch: Option<Epoch>,
    /// With the last page, if the caller sent its own: heads of this log. If the caller still lacks what
    /// they speak of, its checkpoint is of this log by chance: start again at 0.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub heads: Option<Vec<Head>>,
}

/// Params of `sync.notify`.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct NotifyParams {
    /// The caller.
    pub daemon_id: DaemonId,
    /// What the caller calls itself now.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// The last place of the caller's log.
    pub latest_seq: Sequence,
    /// The event there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub latest_id: Option<EventId>,
    /// The window that `events` covers begins after this place of the caller's log.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub after_seq: Option<Sequence>,
    /// The event there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub after_id: Option<EventId>,
    /// Heads of the caller's log at `latest_seq`, if they say all of it (no fork, no hole).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub heads: Option<Vec<Head>>,
    /// The caller's own events of the window. What it has from others is left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub events: Option<Vec<SequencedEvent>>,
    /// The caller has removed this peer and says goodbye.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub removed: bool,
    /// Why, beside `removed`: a word of [`reason`].
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

/// Result of `sync.notify`, sent when what the notification brought is on disk.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
pub struct Notified {
    /// Up to here the receiver holds the caller's log.
    #[serde(default)]
    pub held_seq: Sequence,
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
    /// What it calls itself.
    pub name: String,
    /// The version of its program.
    pub version: String,
    /// The epoch of its log.
    pub epoch: Epoch,
    /// The last place of its log.
    pub head_seq: Sequence,
    /// Members of later versions, so that a reader does not lose them.
    #[serde(flatten)]
    pub more: BTreeMap<String, serde_json::Value>,
}
