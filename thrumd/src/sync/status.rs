//! The status of each peer.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use thrum_api::local::{PeerState, PeerStatus, SyncFailureKind};
use thrum_api::{DaemonId, Sequence, Timestamp};

use super::hub::{FailureKind, LinkSnapshot, MonotonicTime};
use super::shared::Shared;
use crate::log::LastSync;
use crate::metrics::SyncErrorKind;
use crate::peer::Peer;

/// What `/metrics` tells of a peer beyond its status.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct PeerFigures {
    /// It answered or called last time, and sync with it is on.
    pub is_reachable: bool,
    /// When it last answered or called, since the start.
    pub last_contact: Option<Timestamp>,
    /// It was sent our log up to here, as far as is known.
    pub sent: Option<Sequence>,
}

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

impl From<FailureKind> for SyncErrorKind {
    fn from(kind: FailureKind) -> Self {
        match kind {
            FailureKind::Unreachable => Self::Unreachable,
            FailureKind::TokenRefused => Self::TokenRefused,
            FailureKind::BadAnswer => Self::BadAnswer,
            FailureKind::Local => Self::Local,
        }
    }
}

/// The status of every peer, by name.
pub(super) async fn status(shared: &Arc<Shared>) -> Vec<PeerStatus> {
    figures(shared).await.into_iter().map(|(status, _)| status).collect()
}

/// The status of every peer, by name, and what `/metrics` tells beyond that.
pub(super) async fn figures(shared: &Arc<Shared>) -> Vec<(PeerStatus, PeerFigures)> {
    let snapshots = shared.snapshots().await;
    let clock =
        ClockConverter { now: crate::clock::now(), elapsed: MonotonicTime(snapshots.elapsed) };
    // For all at once: a read, or a look at the others' names, for each of hundreds of peers would take long.
    let last_syncs = shared.log.last_syncs().await.unwrap_or_default();
    let mut names = shared.names();
    let mut peers = Vec::new();
    for peer in shared.registry.all() {
        let id = peer.daemon_id;
        let last = last_syncs.get(&id).copied().unwrap_or_default();
        let name = names.remove(&id).unwrap_or_else(|| shared.name_of(&peer));
        peers.push(one(shared, (peer, name), snapshots.links.get(&id), last, &clock));
    }
    peers.sort_by(|(a, _), (b, _)| (&a.name, a.daemon_id).cmp(&(&b.name, b.daemon_id)));
    peers
}

/// Since when each peer that can't be reached now could not be: nobody here knows what its agents do.
pub(super) async fn silent(shared: &Arc<Shared>) -> BTreeMap<DaemonId, Timestamp> {
    let snapshots = shared.snapshots().await;
    let clock =
        ClockConverter { now: crate::clock::now(), elapsed: MonotonicTime(snapshots.elapsed) };
    let silent = snapshots.links.iter().filter(|(_, snapshot)| snapshot.is_silent());
    silent.map(|(peer, snapshot)| (*peer, clock.time(snapshot.since))).collect()
}

fn one(
    shared: &Shared,
    (peer, name): (Peer, String),
    snapshot: Option<&LinkSnapshot>,
    last: LastSync,
    clock: &ClockConverter,
) -> (PeerStatus, PeerFigures) {
    let traffic = shared.traffic.lock().get(&peer.daemon_id).cloned().unwrap_or_default();
    let failure = snapshot.and_then(|snapshot| snapshot.last_failure.as_ref());
    let held = Some(last.held).filter(|held| *held > Sequence::ZERO);
    let figures = PeerFigures {
        is_reachable: snapshot.is_some_and(|snapshot| !snapshot.unreachable),
        last_contact: traffic.last_contact,
        sent: snapshot.and_then(|snapshot| snapshot.sent).or(held),
    };
    let status = PeerStatus {
        daemon_id: peer.daemon_id,
        name,
        address: peer.address,
        state: snapshot.map_or(PeerState::Off, |snapshot| snapshot.state),
        since: snapshot.map_or(clock.now, |snapshot| clock.time(snapshot.since)),
        last_sync: last.at.max(traffic.last_sync),
        we_lack: snapshot.and_then(|snapshot| snapshot.we_lack),
        they_lack: snapshot.and_then(|snapshot| snapshot.they_lack),
        checkpoint: last.checkpoint,
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
    };
    (status, figures)
}
