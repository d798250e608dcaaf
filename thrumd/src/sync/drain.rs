//! Drain before exit: reachable peers get every acknowledged event. A CI runner's disk may be gone a moment
//! later.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use thrum_api::DaemonId;
use thrum_api::local::PeerState;
use tokio::time::{Instant, sleep};

use super::hub::{DrainState, Input, LinkSnapshot};
use super::protocol::drain::waits;
use super::shared::{Message, Shared};

/// How often the drain polls the states of the peers.
const POLL: Duration = Duration::from_millis(10);

/// Notifies every peer. Returns when those that answer have confirmed this log, or their time is over.
pub(super) async fn drain(shared: &Arc<Shared>) {
    let begun = Instant::now();
    let mut links = snapshots(shared, true).await;
    while links.values().any(|link| waits(link.drain, begun.elapsed())) {
        sleep(POLL).await;
        links = snapshots(shared, false).await;
    }
    for (peer, link) in links {
        if link.drain != DrainState::Confirmed && link.state != PeerState::RemovedUs {
            warn(shared, peer, link.they_lack);
        }
    }
}

fn warn(shared: &Shared, peer: DaemonId, lack: Option<u64>) {
    let name = shared.registry.get(peer).map_or_else(|| peer.to_string(), |it| shared.name_of(&it));
    match lack {
        Some(count @ 1..) => tracing::warn!(
            "{name} still lacks events of this log ({count}); they go out when thrumd runs again"
        ),
        Some(0) | None => tracing::warn!(
            "{name} did not confirm the end of this log; what it lacks goes out when \
             thrumd runs again"
        ),
    }
}

async fn snapshots(shared: &Arc<Shared>, begin: bool) -> BTreeMap<DaemonId, LinkSnapshot> {
    // The driver may not have seen the last events yet.
    let head = Input::Head(shared.log.head().position.sequence);
    for input in begin.then_some(Input::Drain).into_iter().chain([head]) {
        shared.post(Message::Input(input)).await;
    }
    shared.snapshots().await.links
}
