//! The contents of `peers.json`. Members that this version doesn't know are kept.

use std::collections::BTreeMap;

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use thrum_api::{DaemonId, Timestamp, Token};

use super::{PairingPolicy, Peer};

/// How many former ids of a machine are kept, the latest ones.
pub(super) const FORMER_MAX: usize = 16;

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
            Some(Entry { peer: old, .. }) => {
                let (paired_at, former) = (old.paired_at, std::mem::take(&mut old.former));
                *old = Peer { paired_at, former, ..peer };
            }
            None => {
                self.peers.insert(peer.daemon_id, Entry { peer, more: More::new() });
            }
        }
    }

    /// The peers whose place this one takes: the one with its id, and those that it succeeds.
    pub(super) fn displaced_by(&self, peer: &Peer) -> Vec<&Peer> {
        let peers = self.peers.values().map(|entry| &entry.peer);
        peers.filter(|old| old.daemon_id == peer.daemon_id || peer.succeeds(old)).collect()
    }

    /// Removes the peers that this one succeeds. Returns their ids.
    pub(super) fn remove_predecessors(&mut self, id: DaemonId) -> Vec<DaemonId> {
        let Some(mut peer) = self.peers.get(&id).map(|entry| entry.peer.clone()) else {
            return Vec::new();
        };
        let replaced = self.displaced_by(&peer).into_iter().filter(|old| old.daemon_id != id);
        let replaced: Vec<DaemonId> = replaced.map(|old| old.daemon_id).collect();
        for old in replaced.iter().filter_map(|old| self.peers.remove(old)) {
            peer.former.extend(old.peer.former);
            peer.former.push(old.peer.daemon_id);
        }
        // A restored state directory brings a former id back.
        peer.former.retain(|former| *former != id);
        peer.former.drain(..peer.former.len().saturating_sub(FORMER_MAX));
        if let Some(entry) = self.peers.get_mut(&id) {
            entry.peer.former = peer.former;
        }
        replaced
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
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    former: Vec<DaemonId>,
}

fn write_list<S: Serializer>(peers: &BTreeMap<DaemonId, Entry>, to: S) -> Result<S::Ok, S::Error> {
    to.collect_seq(peers.values())
}

fn read_list<'de, D: Deserializer<'de>>(from: D) -> Result<BTreeMap<DaemonId, Entry>, D::Error> {
    let list = Vec::<Entry>::deserialize(from)?;
    Ok(list.into_iter().map(|entry| (entry.peer.daemon_id, entry)).collect())
}
