//! Drain before exit: peers that can be reached get what was acknowledged here. A CI runner's disk may be
//! gone a moment later.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use thrum_api::DaemonId;
use thrum_api::local::PeerState;
use tokio::sync::oneshot;
use tokio::time::{Instant, sleep};

use super::hub::{DrainState, Input, LinkSnapshot};
use super::protocol::drain::waits;
use super::shared::{Message, Shared};

/// How often the peers' states are looked at while the drain waits.
const POLL: Duration = Duration::from_millis(10);

/// Asks every peer whether it holds this log. Returns when those that answer have confirmed that, or
/// have had their time.
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
            "{name} did not say that it holds this log to its end; what it lacks goes out when \
             thrumd runs again"
        ),
    }
}

async fn snapshots(shared: &Arc<Shared>, begin: bool) -> BTreeMap<DaemonId, LinkSnapshot> {
    // The driver may not know of the last events yet.
    let head = Input::Head(shared.log.head().place.sequence);
    let (answer, views) = oneshot::channel();
    let inputs = begin.then_some(Input::Drain).into_iter().chain([head]).map(Message::Input);
    for message in inputs.chain([Message::Views(answer)]) {
        if shared.inputs.send(message).await.is_err() {
            return BTreeMap::new();
        }
    }
    views.await.map(|views| views.links).unwrap_or_default()
}
