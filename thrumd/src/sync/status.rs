//! The status of each peer.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use thrum_api::local::{PeerState, PeerStatus, SyncFailureKind};
use thrum_api::{DaemonId, Sequence, Timestamp};

use super::hub::{FailureKind, LinkSnapshot, MonotonicTime};
use super::shared::Shared;
use crate::log::Checkpoint;
use crate::peer::Peer;

fn millis(span: Duration) -> i64 {
    i64::try_from(span.as_millis()).unwrap_or(i64::MAX)
}

/// Converts times of the hub's clock to wall-clock time.
struct ClockConverter {
    now: Timestamp,
    elapsed: MonotonicTime,
}

impl ClockConverter {
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

/// The status of every peer, by name.
pub(super) async fn status(shared: &Arc<Shared>) -> Vec<PeerStatus> {
    let snapshots = shared.snapshots().await;
    let clock =
        ClockConverter { now: crate::clock::now(), elapsed: MonotonicTime(snapshots.elapsed) };
    let mut peers = Vec::new();
    for peer in shared.registry.all() {
        let checkpoint = shared.log.checkpoint(peer.daemon_id).await.ok();
        let snapshot = snapshots.links.get(&peer.daemon_id);
        peers.push(one(shared, peer, snapshot, checkpoint, &clock));
    }
    peers.sort_by(|a, b| a.name.cmp(&b.name).then(a.daemon_id.cmp(&b.daemon_id)));
    peers
}

/// Since when each peer that can't be reached now could not be: nobody here knows what its agents do.
pub(super) async fn silent(shared: &Arc<Shared>) -> BTreeMap<DaemonId, Timestamp> {
    let snapshots = shared.snapshots().await;
    let clock =
        ClockConverter { now: crate::clock::now(), elapsed: MonotonicTime(snapshots.elapsed) };
    let since = |snapshot: &LinkSnapshot| {
        let is_silent = match snapshot.state {
            PeerState::InSync | PeerState::CatchingUp | PeerState::LogChanged => false,
            // At the start nothing was tried yet; and our own log says nothing of the peer.
            PeerState::BackingOff | PeerState::NeverReached => {
                let failure = snapshot.last_failure.as_ref();
                snapshot.failures > 0 && failure.is_none_or(|it| it.kind != FailureKind::Local)
            }
            PeerState::RemovedUs | PeerState::Off => true,
        };
        is_silent.then(|| clock.time(snapshot.since))
    };
    let of = |(peer, snapshot): (&DaemonId, &LinkSnapshot)| Some((*peer, since(snapshot)?));
    snapshots.links.iter().filter_map(of).collect()
}

fn one(
    shared: &Shared,
    peer: Peer,
    snapshot: Option<&LinkSnapshot>,
    checkpoint: Option<Checkpoint>,
    clock: &ClockConverter,
) -> PeerStatus {
    let traffic = shared.traffic.lock().get(&peer.daemon_id).cloned().unwrap_or_default();
    let stored = checkpoint.and_then(|checkpoint| checkpoint.last_sync);
    let seen = snapshot.and_then(|snapshot| snapshot.last_sync).map(|at| clock.time(at));
    let failure = snapshot.and_then(|snapshot| snapshot.last_failure.as_ref());
    PeerStatus {
        daemon_id: peer.daemon_id,
        name: shared.name_of(&peer),
        address: peer.address,
        state: snapshot.map_or(PeerState::Off, |snapshot| snapshot.state),
        since: snapshot.map_or(clock.now, |snapshot| clock.time(snapshot.since)),
        last_sync: stored.max(seen),
        we_lack: snapshot.and_then(|snapshot| snapshot.we_lack),
        they_lack: snapshot.and_then(|snapshot| snapshot.they_lack),
        checkpoint: checkpoint.map_or(Sequence::ZERO, |checkpoint| checkpoint.position.sequence),
        round_trip_us: traffic
            .round_trip
            .map(|time| u64::try_from(time.as_micros()).unwrap_or(u64::MAX)),
        next_try_at: snapshot.and_then(|snapshot| snapshot.next_try).map(|at| clock.time(at)),
        failures: snapshot.map_or(0, |snapshot| snapshot.failures),
        trouble: failure
            .filter(|_| snapshot.is_some_and(|snapshot| snapshot.failures > 0))
            .map(|it| it.kind.into()),
        last_error: failure.map(|failure| failure.text.clone()),
        version: traffic.version,
        events_received: traffic.events_received,
        refused_elsewhere: shared.registry.refused_elsewhere(peer.daemon_id),
        refused_caller: shared.registry.refused_caller(peer.daemon_id),
        refusal: traffic.refusal.map(str::to_owned),
        by_policy: peer.by_policy,
        former: peer.former,
    }
}
