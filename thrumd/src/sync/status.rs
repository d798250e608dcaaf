//! How it stands with each peer.

use std::sync::Arc;
use std::time::Duration;

use thrum_api::local::{PeerState, PeerStatus, SyncFailureKind};
use thrum_api::{Sequence, Timestamp};
use tokio::sync::oneshot;

use super::hub::{FailureKind, LinkSnapshot, MonotonicTime};
use super::shared::{Message, Shared, Views};
use crate::clock;
use crate::log::Checkpoint;
use crate::peer::Peer;

fn millis(span: Duration) -> i64 {
    i64::try_from(span.as_millis()).unwrap_or(i64::MAX)
}

/// Turns moments of the hub's clock into times of day.
struct Dial {
    now: Timestamp,
    elapsed: MonotonicTime,
}

impl Dial {
    fn time(&self, moment: MonotonicTime) -> Timestamp {
        let ahead = millis(moment.since(self.elapsed)) - millis(self.elapsed.since(moment));
        Timestamp::from_millis(self.now.as_millis().saturating_add(ahead))
    }
}

impl From<FailureKind> for SyncFailureKind {
    fn from(kind: FailureKind) -> Self {
        match kind {
            FailureKind::Unreachable => Self::Unreachable,
            FailureKind::TokenRefused | FailureKind::BadAnswer => Self::Refusing,
            FailureKind::Local => Self::Own,
        }
    }
}

/// Every peer, by name.
pub(super) async fn status(shared: &Arc<Shared>) -> Vec<PeerStatus> {
    let (answer, views) = oneshot::channel();
    // A driver that has stopped answers nothing: then sync is off.
    let asked = shared.inputs.send(Message::Views(answer)).await.is_ok();
    let views = match asked {
        true => views.await.ok(),
        false => None,
    };
    let views = views.unwrap_or(Views { elapsed: Duration::ZERO, links: Default::default() });
    let dial = Dial { now: clock::now(), elapsed: MonotonicTime(views.elapsed) };
    let mut peers = Vec::new();
    for peer in shared.registry.all() {
        let checkpoint = shared.log.checkpoint(peer.daemon_id).await.ok();
        let view = views.links.get(&peer.daemon_id);
        peers.push(one(shared, peer, view, checkpoint, &dial));
    }
    peers.sort_by(|a, b| a.name.cmp(&b.name).then(a.daemon_id.cmp(&b.daemon_id)));
    peers
}

fn one(
    shared: &Shared,
    peer: Peer,
    view: Option<&LinkSnapshot>,
    checkpoint: Option<Checkpoint>,
    dial: &Dial,
) -> PeerStatus {
    let traffic = shared.traffic.lock().get(&peer.daemon_id).cloned().unwrap_or_default();
    let stored = checkpoint.and_then(|checkpoint| checkpoint.last_sync);
    let seen = view.and_then(|view| view.last_sync).map(|at| dial.time(at));
    let failure = view.and_then(|view| view.last_failure.as_ref());
    PeerStatus {
        daemon_id: peer.daemon_id,
        name: shared.name_of(&peer),
        address: peer.address,
        state: view.map_or(PeerState::Off, |view| view.state),
        since: view.map_or(dial.now, |view| dial.time(view.since)),
        last_sync: stored.max(seen),
        we_lack: view.and_then(|view| view.we_lack),
        they_lack: view.and_then(|view| view.they_lack),
        checkpoint: checkpoint.map_or(Sequence::ZERO, |checkpoint| checkpoint.place.sequence),
        round_trip_us: traffic
            .round_trip
            .map(|time| u64::try_from(time.as_micros()).unwrap_or(u64::MAX)),
        next_try_at: view.and_then(|view| view.next_try).map(|at| dial.time(at)),
        failures: view.map_or(0, |view| view.failures),
        trouble: failure
            .filter(|_| view.is_some_and(|view| view.failures > 0))
            .map(|it| it.kind.into()),
        last_error: failure.map(|failure| failure.text.clone()),
        version: traffic.version,
        events_received: traffic.events_received,
        refused_elsewhere: shared.registry.refused_elsewhere(peer.daemon_id),
        refused_caller: shared.registry.refused_caller(peer.daemon_id),
        refusal: traffic.refusal.map(str::to_owned),
        by_policy: peer.by_policy,
    }
}
