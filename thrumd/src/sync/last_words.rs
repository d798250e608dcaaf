//! Before the end: what was acknowledged here goes out to those who listen. A CI runner's disk may
//! be gone a moment later.

use std::sync::Arc;
use std::time::Duration;

use thrum_api::DaemonId;
use thrum_api::local::PeerState;
use tokio::sync::oneshot;
use tokio::time::{sleep, timeout};

use super::hub::{Input, LinkView};
use super::shared::{Message, Shared};

/// How long the end may wait for it.
const LIMIT: Duration = Duration::from_millis(1500);
/// How often we look, for as long as somebody lacks something.
const LOOK: Duration = Duration::from_millis(10);

/// Returns when every peer that answers holds this log, or has had its time.
pub(super) async fn say(shared: &Arc<Shared>) {
    let said = async {
        while !lacking(shared).await.is_empty() {
            sleep(LOOK).await;
        }
    };
    if timeout(LIMIT, said).await.is_ok() {
        return;
    }
    for (peer, lack) in lacking(shared).await {
        let name =
            shared.registry.get(peer).map_or_else(|| peer.to_string(), |it| shared.name_of(&it));
        let count = lack.map_or_else(|| "some".to_owned(), |count| count.to_string());
        tracing::warn!(
            "{name} still lacks events of this log ({count}); they go out when thrumd runs again"
        );
    }
}

/// Who answers and lacks something, and how many events.
async fn lacking(shared: &Arc<Shared>) -> Vec<(DaemonId, Option<u64>)> {
    // The driver may not have heard of the last events yet.
    let head = shared.log.head().place.sequence;
    let (answer, views) = oneshot::channel();
    for message in [Message::Input(Input::Head(head)), Message::Views(answer)] {
        if shared.inputs.send(message).await.is_err() {
            return Vec::new();
        }
    }
    let views = views.await.map(|views| views.links).unwrap_or_default();
    let waits = |view: &LinkView| answers(view.state) && view.they_lack != Some(0);
    let waiting = views.into_iter().filter(|(_, view)| waits(view));
    waiting.map(|(peer, view)| (peer, view.they_lack)).collect()
}

fn answers(state: PeerState) -> bool {
    match state {
        PeerState::InSync | PeerState::CatchingUp | PeerState::LogChanged => true,
        PeerState::BackingOff | PeerState::NeverReached | PeerState::RemovedUs | PeerState::Off => {
            false
        }
    }
}
