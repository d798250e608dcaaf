//! What is told of peers as it changes: how far each has come in this log, and how it is with it.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use thrum_api::local::PeerState;
use thrum_api::{DaemonId, Sequence, Timestamp};

use super::hub::{Input, LinkSnapshot, MonotonicTime};
use super::shared::{Message, Shared};
use crate::clock;

/// How far a peer has come in this log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct PeerProgress {
    /// It has the log on its disk up to here, as it said.
    pub confirmed: Sequence,
    /// It was sent the log up to here; None: unknown.
    pub sent: Option<Sequence>,
    /// Since when it can't be reached, if it can't.
    pub unreachable_since: Option<Timestamp>,
    /// When that began by the clock of the hub, which no correction of the time changes.
    since: Option<MonotonicTime>,
    /// Its state.
    state: PeerState,
    /// Nobody here knows what its agents do: it can't be reached.
    pub is_silent: bool,
    /// How many events of its log we lack.
    we_lack: Option<u64>,
    /// Failures in a row. With each, what is told of the trouble is another.
    failures: u32,
    /// When the next attempt is due, while the peer is held up.
    next_try: Option<MonotonicTime>,
}

/// Notes what the hub says of a peer. `elapsed`: the time by the hub's clock. Answers whether that is new.
pub(super) fn note(
    all: &mut BTreeMap<DaemonId, PeerProgress>,
    peer: DaemonId,
    snapshot: &LinkSnapshot,
    elapsed: Duration,
) -> bool {
    let known = all.get(&peer);
    // The state may change while the peer can't be reached: the first one counts.
    let since = match known.and_then(|known| known.since) {
        Some(since) if snapshot.unreachable => Some(since),
        _ => snapshot.unreachable.then_some(snapshot.since),
    };
    let unreachable_since = match (since, known.and_then(|known| known.unreachable_since)) {
        (Some(_), Some(at)) => Some(at),
        (Some(since), None) => Some(at(since, elapsed)),
        (None, _) => None,
    };
    let now = PeerProgress {
        confirmed: snapshot.confirmed,
        sent: snapshot.sent,
        unreachable_since,
        since,
        state: snapshot.state,
        is_silent: snapshot.is_silent(),
        we_lack: snapshot.we_lack,
        failures: snapshot.failures,
        next_try: snapshot.next_try,
    };
    all.insert(peer, now) != Some(now)
}

/// That moment as a time of day.
fn at(since: MonotonicTime, elapsed: Duration) -> Timestamp {
    let ago = MonotonicTime(elapsed).since(since).as_millis();
    let now = clock::now().as_millis();
    Timestamp::from_millis(now.saturating_sub(i64::try_from(ago).unwrap_or(i64::MAX)))
}

/// Waits until each of these peers has this log up to a position, or can't be reached.
pub(super) async fn reached(shared: &Shared, peers: &BTreeSet<DaemonId>, position: Sequence) {
    let mut progress = shared.progress.subscribe();
    loop {
        let lacking: Vec<DaemonId> = {
            let all = progress.borrow_and_update();
            let lacks = |peer: &&DaemonId| {
                all.get(*peer)
                    .is_some_and(|it| it.unreachable_since.is_none() && it.confirmed < position)
            };
            peers.iter().filter(lacks).copied().collect()
        };
        if lacking.is_empty() {
            return;
        }
        for peer in lacking {
            shared.post(Message::Input(Input::Confirm(peer))).await;
        }
        if progress.changed().await.is_err() {
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sync::hub::{DrainState, Failure, FailureKind};

    fn snapshot(confirmed: u64, unreachable: bool, since: u64) -> LinkSnapshot {
        LinkSnapshot {
            state: PeerState::BackingOff,
            since: MonotonicTime(Duration::from_secs(since)),
            last_sync: None,
            we_lack: None,
            they_lack: None,
            sent: Some(Sequence(confirmed)),
            confirmed: Sequence(confirmed),
            unreachable,
            drain: DrainState::Waiting,
            next_try: None,
            failures: 0,
            last_failure: None,
        }
    }

    #[test]
    fn a_peer_that_stays_away_is_unreachable_since_the_same_moment() {
        let (mut all, peer) = (BTreeMap::new(), crate::testing::daemon());
        let mut note = |snapshot: &LinkSnapshot, elapsed| {
            let is_new = note(&mut all, peer, snapshot, Duration::from_secs(elapsed));
            (is_new, all[&peer])
        };
        assert!(note(&snapshot(4, false, 0), 5).0);
        assert!(!note(&snapshot(4, false, 0), 6).0, "nothing is new");
        let (is_new, first) = note(&snapshot(4, true, 10), 70);
        let ago = clock::now().as_millis() - first.unreachable_since.unwrap().as_millis();
        assert!(is_new && (60_000..90_000).contains(&ago), "{ago}");
        assert_eq!(note(&snapshot(4, true, 80), 90), (false, first), "unreachable as before");
        let (is_new, back) = note(&snapshot(5, false, 95), 96);
        assert_eq!((is_new, back.unreachable_since, back.confirmed), (true, None, Sequence(5)));
    }

    #[test]
    fn whatever_status_tells_of_a_peer_is_news() {
        let (mut all, peer) = (BTreeMap::new(), crate::testing::daemon());
        let mut note = |snapshot: &LinkSnapshot| note(&mut all, peer, snapshot, Duration::ZERO);
        let mut now = snapshot(4, true, 0);
        assert!(note(&now) && !note(&now));
        let failure = Failure { kind: FailureKind::Unreachable, text: "refused".to_owned() };
        let changes: [&dyn Fn(&mut LinkSnapshot); 5] = [
            &|it| it.state = PeerState::NeverReached,
            &|it| (it.failures, it.last_failure) = (1, Some(failure.clone())),
            &|it| it.next_try = Some(MonotonicTime(Duration::from_secs(9))),
            &|it| it.we_lack = Some(3),
            &|it| it.state = PeerState::RemovedUs,
        ];
        for (number, change) in changes.into_iter().enumerate() {
            change(&mut now);
            assert!(note(&now) && !note(&now), "{number}");
        }
    }
}
