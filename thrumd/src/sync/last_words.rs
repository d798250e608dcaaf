//! Before the end: what was acknowledged here goes out to those who listen. A CI runner's disk may
//! be gone a moment later.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use thrum_api::DaemonId;
use thrum_api::local::PeerState;
use tokio::sync::oneshot;
use tokio::time::{Instant, sleep};

use super::hub::{DrainState, Input, LinkSnapshot};
use super::shared::{Message, Shared};

/// How long the end may wait for a first answer.
const SILENCE: Duration = Duration::from_millis(1500);
/// How long it may wait for those who answer and still read. The service allows its end 5 s in all.
const READING: Duration = Duration::from_secs(2);
/// How often we look, for as long as somebody lacks something.
const LOOK: Duration = Duration::from_millis(10);

/// Asks every peer whether it holds this log. Returns when those that answer said so, or have had
/// their time.
pub(super) async fn say(shared: &Arc<Shared>) {
    let begun = Instant::now();
    let mut links = look(shared, true).await;
    let waits = |view: &LinkSnapshot| match view.drain {
        DrainState::Waiting => begun.elapsed() < SILENCE,
        DrainState::Reading => begun.elapsed() < READING,
        DrainState::Confirmed | DrainState::Unreachable => false,
    };
    while links.values().any(waits) {
        sleep(LOOK).await;
        links = look(shared, false).await;
    }
    for (peer, view) in links {
        if view.drain != DrainState::Confirmed && view.state != PeerState::RemovedUs {
            warn(shared, peer, view.they_lack);
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

async fn look(shared: &Arc<Shared>, part: bool) -> BTreeMap<DaemonId, LinkSnapshot> {
    // The driver may not have heard of the last events yet.
    let head = Input::Head(shared.log.head().place.sequence);
    let (answer, views) = oneshot::channel();
    let said = part.then_some(Input::Drain).into_iter().chain([head]).map(Message::Input);
    for message in said.chain([Message::Views(answer)]) {
        if shared.inputs.send(message).await.is_err() {
            return BTreeMap::new();
        }
    }
    views.await.map(|views| views.links).unwrap_or_default()
}
