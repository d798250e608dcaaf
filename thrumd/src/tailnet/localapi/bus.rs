//! The IPN bus: tailscaled's stream of changes. Any message means "read `status` again", because the
//! messages differ from version to version and are deltas in newer ones. We read of it only what
//! `status` can't tell afterwards: that a node was offline for a moment and is back.

use std::collections::BTreeSet;

use reqwest::Response;
use serde::Deserialize;

/// Send the state as the first message, so that there is one at once.
const INITIAL_STATE: u64 = 1 << 1;
/// Leave out private keys, which older versions send otherwise.
const NO_PRIVATE_KEYS: u64 = 1 << 4;
/// Report peers that came, went or changed. From 1.98; from 1.100 on Linux nothing else reports them.
const PEER_CHANGES: u64 = 1 << 12;
/// Leave out the whole network map where deltas are sent. From 1.100.
const NO_NETMAP: u64 = 1 << 13;
/// Send small changes (online, endpoints) as patches and not as a whole node. From 1.100.
const PEER_PATCHES: u64 = 1 << 15;

/// Accepted by every version: older ones ignore bits that they don't know and send the network map.
pub(super) const MASK: u64 =
    INITIAL_STATE | NO_PRIVATE_KEYS | PEER_CHANGES | NO_NETMAP | PEER_PATCHES;
/// For a version that refuses unknown bits.
pub(super) const PLAIN_MASK: u64 = INITIAL_STATE | NO_PRIVATE_KEYS;

/// Longer messages are skipped. The network maps of older versions are shorter.
const MESSAGE_LIMIT: usize = 256 * 1024;

/// What changed, from one message or several.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct BusUpdate {
    /// The control server sent our own node: it changed, or we were disconnected and are back.
    pub self_changed: bool,
    /// Nodes that changed or were offline and are online now, by [`super::StatusNode::number`].
    pub back_online: BTreeSet<i64>,
}

impl BusUpdate {
    /// Adds a later update.
    pub fn merge(&mut self, later: Self) {
        self.self_changed |= later.self_changed;
        self.back_online.extend(later.back_online);
    }

    fn read(&mut self, line: &[u8]) {
        // A message that we can't parse is an update all the same.
        let Ok(message) = serde_json::from_slice::<Message>(line) else { return };
        self.self_changed |= message.self_change.is_some();
        let changed = message.peers_changed.into_iter().flatten().map(|it| (it.id, it.online));
        let patched =
            message.peer_changed_patch.into_iter().flatten().map(|it| (it.node_id, it.online));
        let online = changed.chain(patched).filter(|(_, online)| *online == Some(true));
        self.back_online.extend(online.filter_map(|(number, _)| number));
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Message {
    self_change: Option<serde::de::IgnoredAny>,
    peers_changed: Option<Vec<Changed>>,
    peer_changed_patch: Option<Vec<Patched>>,
}

#[derive(Deserialize)]
struct Changed {
    #[serde(rename = "ID")]
    id: Option<i64>,
    #[serde(rename = "Online")]
    online: Option<bool>,
}

#[derive(Deserialize)]
struct Patched {
    #[serde(rename = "NodeID")]
    node_id: Option<i64>,
    #[serde(rename = "Online")]
    online: Option<bool>,
}

/// An open stream of changes.
#[derive(Debug)]
pub struct IpnBus {
    response: Response,
    // The beginning of a message; each is one line. Empty and `skipping` when it is too long.
    line: Vec<u8>,
    skipping: bool,
}

impl IpnBus {
    pub(super) fn new(response: Response) -> Self {
        Self { response, line: Vec::new(), skipping: false }
    }

    /// Waits for the next update. None when the stream has ended, and ever after. Dropping the future
    /// loses no update.
    pub async fn next(&mut self) -> Option<BusUpdate> {
        let data = self.response.chunk().await.ok()??;
        Some(self.parse(&data))
    }

    fn parse(&mut self, data: &[u8]) -> BusUpdate {
        let mut update = BusUpdate::default();
        for piece in data.split_inclusive(|byte| *byte == b'\n') {
            let complete = piece.ends_with(b"\n");
            if !self.skipping && self.line.len() + piece.len() <= MESSAGE_LIMIT {
                self.line.extend_from_slice(piece);
                if complete {
                    update.read(&self.line);
                }
            } else {
                self.skipping = true;
            }
            if complete || self.skipping {
                // No buffer is held while nothing comes.
                self.line = Vec::new();
            }
            self.skipping &= !complete;
        }
        update
    }
}
