//! Origins that a peer introduces.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use thrum_api::Timestamp;

use super::super::apply::forget_former_peer;
use super::super::introductions::{AT_ONCE, RESERVED};
use super::*;

const HOUR: i64 = 3_600_000;

/// The machine's ids, and a time of day that the test sets.
#[derive(Clone, Default)]
struct Clock(Arc<AtomicI64>);

impl Environment for Clock {
    fn event_id(&mut self) -> EventId {
        ids::event()
    }

    fn epoch(&mut self) -> Epoch {
        ids::epoch()
    }

    fn now(&mut self) -> Timestamp {
        Timestamp::from_millis(1_800_000_000_000 + self.0.load(Ordering::Relaxed))
    }
}

/// The first event of each of so many new origins.
fn invented(count: u64) -> Vec<String> {
    (0..count).map(|_| foreign(new_origin(), 1)).collect()
}

/// Has a peer bring them; how many are stored, and how many are withheld.
fn bring(store: &mut LogStore, peer: DaemonId, events: &[String]) -> (usize, usize) {
    let mut sum = (0, 0);
    for events in events.chunks(1000) {
        let from = store.checkpoint(peer).unwrap();
        let applied = store.apply(&Batch { from, ..raw_batch(peer, events) }).unwrap();
        sum = (sum.0 + applied.applied, sum.1 + applied.withheld);
    }
    sum
}

#[test]
fn a_peer_introduces_only_so_many_origins_and_the_rest_is_taken_later() {
    let clock = Clock::default();
    let daemon = testing::daemon();
    let mut store = LogStore::open_in_memory(testing::key_of(daemon), clock.clone()).unwrap();
    let (peer, other) = (testing::daemon(), testing::daemon());
    let most = AT_ONCE as usize;
    let mut flood = invented(AT_ONCE + 1100);
    assert_eq!(bring(&mut store, peer, &flood), (most, flood.len() - most));
    assert!(store.checkpoint(peer).unwrap().is_withheld);

    // Origins that are known, the peer's own, ours and those of other peers are taken as ever.
    let known: Event = parse(&json(&flood[0]));
    let own = |daemon| foreign(Origin { daemon, epoch: ids::epoch() }, 1);
    let honest = [foreign(known.header.origin(), 2), own(peer), own(daemon)];
    assert_eq!(bring(&mut store, peer, &honest), (3, 0));
    assert_eq!(bring(&mut store, other, &flood[most..most + 10]), (10, 0));
    flood.drain(..most + 10);

    // Neither a restart nor a reset gives it more.
    let mut store =
        LogStore::open(store.into_connection(), testing::key_of(daemon), clock.clone()).unwrap();
    store.reset_checkpoint(peer).unwrap();
    assert_eq!(bring(&mut store, peer, &flood), (0, flood.len()));
    // A clock that is set back does not either, nor does it stop the count for good.
    clock.0.store(-24 * HOUR, Ordering::Relaxed);
    assert_eq!(bring(&mut store, peer, &flood).0, 0);
    clock.0.store(-23 * HOUR, Ordering::Relaxed);
    let (taken, left) = bring(&mut store, peer, &flood);
    // One less for the peer's own.
    assert!((990..=999).contains(&taken), "{taken}");
    assert_eq!(left, flood.len() - taken);
    clock.0.store(24 * HOUR, Ordering::Relaxed);
    assert_eq!(bring(&mut store, peer, &flood), (left, 0));
    // That is over once its whole log was read.
    assert!(store.checkpoint(peer).unwrap().is_withheld);
    let from = store.checkpoint(peer).unwrap();
    let whole = |checkpoint| Batch {
        from,
        is_whole: true,
        checkpoint: Some(LogPosition { sequence: Sequence(checkpoint), ..LogPosition::START }),
        ..raw_batch(peer, &[])
    };
    store.apply(&whole(2)).unwrap();
    assert!(!store.checkpoint(peer).unwrap().is_withheld);
    // Not by a pull that ends before what was withheld meanwhile.
    bring(&mut store, peer, &invented(AT_ONCE));
    store.apply(&whole(1)).unwrap();
    assert!(store.checkpoint(peer).unwrap().is_withheld);
}

#[test]
fn a_peer_with_a_new_id_has_introduced_what_it_did_before() {
    let mut store =
        LogStore::open_in_memory(testing::key_of(testing::daemon()), Clock::default()).unwrap();
    let (old, new) = (testing::daemon(), testing::daemon());
    let half = AT_ONCE / 2;
    assert_eq!(bring(&mut store, old, &invented(half)), (half as usize, 0));
    // It began with the new id already.
    assert_eq!(bring(&mut store, new, &invented(half)).1, 0);
    store.transaction(|write| forget_former_peer(write, old, new)).unwrap();
    assert_eq!(bring(&mut store, new, &invented(10)), (0, 10));
    assert_eq!(store.checkpoint(old).unwrap(), Checkpoint::default());
}

/// The first events of so many invented epochs of a daemon.
fn epochs_of(daemon: DaemonId, count: u64) -> Vec<String> {
    (0..count).map(|_| foreign(Origin { daemon, epoch: ids::epoch() }, 1)).collect()
}

#[test]
fn what_a_peer_relays_does_not_use_up_what_it_may_introduce_of_itself() {
    let mut store =
        LogStore::open_in_memory(testing::key_of(testing::daemon()), Clock::default()).unwrap();
    let peer = testing::daemon();
    assert_eq!(bring(&mut store, peer, &invented(AT_ONCE + 10)), (AT_ONCE as usize, 10));
    let epochs = epochs_of(peer, RESERVED + 10);
    assert_eq!(bring(&mut store, peer, &epochs), (RESERVED as usize, 10));
}

#[test]
fn behind_withheld_events_an_origin_begins_with_its_first() {
    let clock = Clock::default();
    let mut store =
        LogStore::open_in_memory(testing::key_of(testing::daemon()), clock.clone()).unwrap();
    let (peer, origin) = (testing::daemon(), new_origin());
    bring(&mut store, peer, &invented(AT_ONCE));
    assert_eq!(bring(&mut store, peer, &[foreign(origin, 1)]), (0, 1));
    // There is room for it now, but not in front of its first event.
    clock.0.store(HOUR, Ordering::Relaxed);
    assert_eq!(bring(&mut store, peer, &[foreign(origin, 2)]), (0, 1));
    let both = [foreign(origin, 1), foreign(origin, 2)];
    assert_eq!(bring(&mut store, peer, &both), (2, 0));
    // A log whose first event of an origin was lost is taken, too: nothing before it was withheld.
    let peer = testing::daemon();
    assert_eq!(bring(&mut store, peer, &[foreign(new_origin(), 2)]), (1, 0));
}

#[tokio::test]
async fn heads_of_more_origins_than_fit_are_those_with_the_latest_events() {
    let world = World::new();
    let events = invented(1200);
    world.log.apply(raw_batch(testing::daemon(), &events)).await.unwrap();
    let forked = parse(&json(&events[1199])).header.origin();
    // An origin that forked, one with a gap, and one that has long been known and still grows.
    let growing = parse(&json(&events[0])).header.origin();
    let more = [foreign(forked, 1), foreign(new_origin(), 2), foreign(growing, 2)];
    world.log.apply(raw_batch(testing::daemon(), &more)).await.unwrap();
    let heads = world.heads().await;
    let mut newest: Vec<Origin> =
        events[200..1199].iter().map(|event| parse(&json(event)).header.origin()).collect();
    newest.push(growing);
    assert_eq!(heads.len(), 1000);
    assert!(newest.iter().all(|origin| heads.iter().any(|head| head.origin() == *origin)));
    assert!(heads.is_sorted_by_key(Head::origin));
    assert_eq!(world.news(testing::daemon(), LogPosition::START).await.0.heads, None);
    check_invariants(&world);
}

#[tokio::test]
async fn the_latest_origins_are_found_although_the_index_is_behind() {
    let world = World::new();
    let peer = testing::daemon();
    let apply = |events: Vec<String>| {
        let log = world.log.clone();
        async move { log.apply(raw_batch(peer, &events)).await.unwrap() }
    };
    let events = invented(1200);
    apply(events.clone()).await;
    // Its second event comes too soon for the index to change.
    let behind = parse(&json(&events[999])).header.origin();
    apply(vec![foreign(behind, 2)]).await;
    let later = invented(950);
    apply(later.clone()).await;
    let heads = world.heads().await;
    let mut latest: Vec<Origin> = events[1151..]
        .iter()
        .chain(&later)
        .map(|event| parse(&json(event)).header.origin())
        .chain([behind])
        .collect();
    latest.sort();
    assert_eq!(heads.iter().map(Head::origin).collect::<Vec<_>>(), latest);
    check_invariants(&world);
}

#[test]
fn few_appends_change_the_index_of_the_latest_origins() {
    let mut store =
        LogStore::open_in_memory(testing::key_of(testing::daemon()), Clock::default()).unwrap();
    let mut seen = BTreeSet::new();
    for number in 0..600 {
        store.append(&[draft(&number.to_string())]).unwrap();
        let conn = store.connection();
        let recent: i64 =
            conn.query_row("SELECT recent FROM origins", [], |row| row.get(0)).unwrap();
        seen.insert(recent);
    }
    assert_eq!(seen, BTreeSet::from([1, 252, 503]));
}
