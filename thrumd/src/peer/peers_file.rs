//! The contents of `peers.json`. Members that this version doesn't know are kept.

use std::collections::BTreeMap;

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use thrum_api::{DaemonId, Timestamp, Token};

use super::{PairingPolicy, Peer};

type More = BTreeMap<String, serde_json::Value>;

/// The whole file.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(super) struct PeersFile {
    /// A person turned sync on.
    #[serde(default)]
    pub(super) sync_wanted: bool,
    /// By daemon id; a list in the file.
    #[serde(default, serialize_with = "write_list", deserialize_with = "read_list")]
    pub(super) peers: BTreeMap<DaemonId, Entry>,
    /// Whether a grant in the tailnet's policy may replace the code.
    #[serde(default, skip_serializing_if = "PairingPolicy::is_default")]
    pub(super) policy: PairingPolicy,
    #[serde(flatten)]
    more: More,
}

/// One peer, and the members that a later version wrote.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Entry {
    #[serde(flatten, with = "StoredPeer")]
    pub(super) peer: Peer,
    #[serde(flatten)]
    more: More,
}

impl PeersFile {
    /// Adds a peer or replaces it.
    pub(super) fn put(&mut self, peer: Peer) {
        let peer = Peer { removed_us: false, ..peer };
        match self.peers.get_mut(&peer.daemon_id) {
            Some(entry) => entry.peer = Peer { paired_at: entry.peer.paired_at, ..peer },
            None => {
                self.peers.insert(peer.daemon_id, Entry { peer, more: More::new() });
            }
        }
    }

    /// Whether both serialise to the same bytes.
    pub(super) fn same_as(&self, other: &Self) -> bool {
        let (this, that) = (serde_json::to_vec(self), serde_json::to_vec(other));
        matches!((this, that), (Ok(this), Ok(that)) if this == that)
    }
}

/// The form of a [`Peer`] in the file, the only one that shows the token.
#[derive(Serialize, Deserialize)]
#[serde(remote = "Peer")]
struct StoredPeer {
    daemon_id: DaemonId,
    name: String,
    address: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    node: Option<String>,
    #[serde(serialize_with = "Token::serialize_exposed")]
    token: Token,
    paired_at: Timestamp,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    unconfirmed: bool,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    removed_us: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    by_policy: Option<String>,
}

fn write_list<S: Serializer>(peers: &BTreeMap<DaemonId, Entry>, to: S) -> Result<S::Ok, S::Error> {
    to.collect_seq(peers.values())
}

fn read_list<'de, D: Deserializer<'de>>(from: D) -> Result<BTreeMap<DaemonId, Entry>, D::Error> {
    let list = Vec::<Entry>::deserialize(from)?;
    Ok(list.into_iter().map(|entry| (entry.peer.daemon_id, entry)).collect())
}
