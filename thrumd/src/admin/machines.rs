//! Tells the views how it is with other machines: what sync knows of the peers.

use std::sync::Arc;

use thrum_api::{DaemonId, Sequence, Timestamp};

use super::network::Network;
use crate::agents::{Machines, MachinesNow, PeerReach};
use crate::clock;
use crate::peer::Registry;
use crate::sync::PeerProgress;

/// How it is with the machines whenever it is asked. Without a tailnet, no peer can be reached.
pub fn machines_now(network: &Network, registry: Registry) -> MachinesNow {
    let sync = network.available().map(|network| network.sync().clone());
    let begun = clock::now();
    Arc::new(move || {
        let peers = match &sync {
            Some(sync) => sync.progress().into_iter().map(reach).collect(),
            None => registry.all().iter().map(|peer| (peer.daemon_id, never(begun))).collect(),
        };
        Machines::new(peers, registry.former())
    })
}

fn reach((peer, progress): (DaemonId, PeerProgress)) -> (DaemonId, PeerReach) {
    let PeerProgress { confirmed, sent, unreachable_since, .. } = progress;
    (peer, PeerReach { confirmed, sent, unreachable_since })
}

fn never(since: Timestamp) -> PeerReach {
    PeerReach { confirmed: Sequence::ZERO, sent: None, unreachable_since: Some(since) }
}
