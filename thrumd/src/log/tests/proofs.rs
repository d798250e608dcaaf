//! What is taken of a peer because its origin has signed it, and what is not.

use thrum_api::OriginSequence;
use thrum_api::limits::PULL_MAX_EVENTS;
use thrum_api::proof::{Chain, Signature};

use super::*;
use crate::proof::{chain_next, chain_start, point_message};

/// One run of these events, which follow one another.
fn run_of(events: &[String]) -> Run {
    let mut runs: Vec<Run> = events
        .iter()
        .enumerate()
        .map(|(n, text)| {
            let sequence = Sequence(n as u64 + 1);
            foreign::run_of(SequencedEvent { sequence, event: json(text) })
        })
        .collect();
    let signature = runs.last().unwrap().signature;
    let previous = runs[0].previous;
    let events = runs.drain(..).flat_map(|run| run.events).collect();
    Run { previous, signature, events }
}

fn three(origin: Origin) -> Vec<String> {
    (1..=3).map(|position| foreign(origin, position)).collect()
}

#[tokio::test]
async fn a_run_is_taken_whole_or_not_at_all_and_the_others_of_its_page_are_taken() {
    let (origin, other) = (new_origin(), new_origin());
    let events = three(origin);
    let good = run_of(&events);
    assert_eq!(foreign::apply(&World::new(), vec![good.clone()]).await, (3, 0));
    let with = |change: &dyn Fn(&mut Run)| {
        let mut run = good.clone();
        change(&mut run);
        run
    };
    let swap = |run: &mut Run| {
        let event = run.events[0].event.clone();
        run.events[0].event = std::mem::replace(&mut run.events[1].event, event);
    };
    let mut cut = good.signature;
    cut.0[63] ^= 0x80;
    let of_two = run_of(&events[..2]).signature;
    let of_other = run_of(&three(other)).signature;
    let changed = events[1].replace(r#"{"n":2}"#, r#"{"n":7}"#);
    let foreign_start = run_of(&events[1..]).previous;
    let bad = [
        ("a changed signature", with(&|run| run.signature = cut)),
        ("no signature", with(&|run| run.signature = Signature([0; 64]))),
        ("the signature of an earlier point", with(&|run| run.signature = of_two)),
        ("the signature of another key", with(&|run| run.signature = of_other)),
        ("a byte changed", with(&|run| run.events[1].event = json(&changed))),
        ("another order", with(&swap)),
        ("an event left out", with(&|run| drop(run.events.remove(1)))),
        ("the last event left out", with(&|run| drop(run.events.pop()))),
        ("an event twice", with(&|run| run.events.insert(1, run.events[0].clone()))),
        ("no events", with(&|run| run.events.clear())),
        ("another start", with(&|run| run.previous = foreign_start)),
        ("begins in the middle with the chain of its start", {
            let mut run = run_of(&events[1..]);
            run.previous = good.previous;
            run
        }),
        ("events of two origins", with(&|run| run.events[2].event = json(&foreign(other, 3)))),
    ];
    for (what, run) in bad {
        let world = World::new();
        let count = run.events.len().max(1);
        let applied = foreign::apply(&world, vec![run, run_of(&three(new_origin()))]).await;
        assert_eq!(applied, (3, count), "{what}");
        assert!(world.heads().await.iter().all(|head| head.origin() != origin), "{what}");
        check_invariants(&world);
    }
    // A run that begins in the middle is taken: what is before it may be elsewhere.
    assert_eq!(foreign::apply(&World::new(), vec![run_of(&events[1..])]).await, (2, 0));
}

#[tokio::test]
async fn what_is_not_signed_is_told_with_the_peer_that_brought_it_until_its_whole_log_was_taken() {
    let (world, peer) = (World::new(), testing::daemon());
    let good = run_of(&three(new_origin()));
    let bad = Run { signature: Signature([7; 64]), ..good.clone() };
    world.log.apply(batch(peer, vec![bad], None)).await.unwrap();
    let stats = world.log.stats().await.unwrap();
    assert_eq!((stats.refused[0].0, stats.refused.len(), stats.withheld), (peer, 1, vec![]));
    let kept = world.log.quarantined().await.unwrap().entries;
    assert!(kept[0].reason.contains("signature") && kept[0].daemon_id == peer, "{kept:?}");
    assert!(world.log.checkpoint(peer).await.unwrap().is_withheld);
    let whole = |run| Batch {
        is_whole: true,
        checkpoint: Some(LogPosition { sequence: Sequence(3), hash: None }),
        ..batch(peer, vec![run], None)
    };
    world.log.apply(whole(good)).await.unwrap();
    assert_eq!(world.log.stats().await.unwrap().refused, []);
    assert!(!world.log.checkpoint(peer).await.unwrap().is_withheld);
}

/// Has one take the whole log of another in pages of a size; how many events were sent.
async fn take_all(from: &World, to: &World, limit: usize) -> usize {
    let (mut after, mut sent) = (LogPosition::START, 0);
    loop {
        let page = page(from, after, limit, vec![]).await;
        assert!(page.events().len() <= PULL_MAX_EVENTS);
        after = page.next;
        sent += page.runs.iter().map(|run| run.events.len()).sum::<usize>();
        let applied = to.log.apply(batch(from.daemon, page.runs, Some(after))).await.unwrap();
        assert_eq!(applied.refused, 0);
        if !page.more_available {
            return sent;
        }
    }
}

#[tokio::test]
async fn what_was_relayed_can_be_relayed_again_at_every_end_of_a_page() {
    let (a, b) = (World::new(), World::new());
    for n in 0..300 {
        match n % 3 {
            0 => drop(a.say_many(1).await),
            _ => {
                b.pull_from(&a).await;
                b.say_many(n % 5).await;
            }
        }
    }
    b.pull_from(&a).await;
    for limit in [1, 2, 7, 100, 1000] {
        let c = World::new();
        let sent = take_all(&b, &c, limit).await;
        assert_eq!(c.contents().await, b.contents().await, "pages of {limit}");
        assert_eq!(sent, c.contents().await.len(), "nothing twice in pages of {limit}");
        check_invariants(&c);
    }
}

#[tokio::test]
async fn few_signed_points_are_kept_of_events_that_come_one_by_one() {
    let (a, b) = (World::new(), World::new());
    for _ in 0..500 {
        a.say("x").await;
        b.pull_from(&a).await;
    }
    let points: i64 =
        b.sql().query_row("SELECT count(*) FROM points", [], |row| row.get(0)).unwrap();
    // One for each 128 of them.
    assert!((4..=6).contains(&points), "{points}");
    // And passed on, to a machine that gets them in few pages.
    let c = World::new();
    take_all(&b, &c, 1000).await;
    let points: i64 =
        c.sql().query_row("SELECT count(*) FROM points", [], |row| row.get(0)).unwrap();
    assert!((3..=6).contains(&points), "{points}");
}

/// A run of an origin that signs whatever it is given.
fn signed_by(origin: Origin, places: &[u64], previous: Chain) -> Run {
    let events: Vec<String> = places.iter().map(|place| foreign(origin, *place)).collect();
    let chain = events.iter().fold(previous, |chain, it| chain_next(chain, it.as_bytes()));
    let last = OriginSequence(*places.last().unwrap());
    let message = point_message(&origin, last, chain);
    Run { previous, signature: testing::key_of(origin.daemon).sign(&message), ..run_of(&events) }
}

#[tokio::test]
async fn not_even_its_origin_can_sign_a_chain_that_begins_elsewhere_or_leaves_places_out() {
    let applied = async |places: &[u64], begins_well| {
        let origin = new_origin();
        let start = if begins_well { chain_start(&origin) } else { Chain([7; 32]) };
        foreign::apply(&World::new(), vec![signed_by(origin, places, start)]).await
    };
    assert_eq!(applied(&[1, 2], true).await, (2, 0));
    for (places, begins_well) in [([1, 2], false), ([1, 3], true), ([2, 1], true), ([1, 1], true)] {
        assert_eq!(applied(&places, begins_well).await, (0, 2), "{places:?}");
    }
}

#[tokio::test]
async fn what_could_not_be_proved_is_sent_once_it_can_be() {
    let (a, b, c) = (World::new(), World::new(), World::new());
    a.say_many(3).await;
    b.pull_from(&a).await;
    b.sql().execute("UPDATE events SET body = x'00' WHERE sequence = 3", []).unwrap();
    assert_eq!(c.pull_from(&b).await.applied, 0, "the third has the proof of all");
    b.pull_from(&a).await;
    assert_eq!(c.pull_from(&b).await.applied, 3);
    assert_eq!(c.contents().await, a.contents().await);
}

#[tokio::test]
async fn the_rest_is_served_of_a_run_with_a_damaged_event_and_what_can_not_be_proved_is_not() {
    let (a, b, c) = (World::new(), World::new(), World::new());
    a.say_many(6).await;
    b.pull_from(&a).await;
    b.sql().execute("UPDATE events SET body = x'00' WHERE sequence = 3", []).unwrap();
    // The first two need the third for their proof.
    let served = page(&b, LogPosition::START, 100, vec![]).await;
    assert_eq!(sequences(&served.events()), [4, 5, 6]);
    let applied = c.pull_from(&b).await;
    assert_eq!((applied.applied, applied.refused), (3, 0));
    // They come from their origin, and so does the lost one.
    c.pull_from(&a).await;
    assert_eq!(c.contents().await, a.contents().await);
    b.pull_from(&a).await;
    let served = page(&b, LogPosition::START, 100, vec![]).await;
    assert_eq!(events_of(served.runs).len(), 6, "with the event, its proof has come back");
}

#[tokio::test]
async fn what_damage_left_unproved_is_taken_again_with_the_proof_that_another_has() {
    let (a, relay, other, last) = (World::new(), World::new(), World::new(), World::new());
    a.say_many(2).await;
    other.pull_from(&a).await;
    a.say("lost everywhere").await;
    take_all(&a, &relay, 1000).await;
    relay.sql().execute("UPDATE events SET body = x'00' WHERE sequence = 3", []).unwrap();
    assert_eq!(last.pull_from(&relay).await.applied, 0);
    relay.pull_from(&other).await;
    assert_eq!(last.pull_from(&relay).await.applied, 2);
    assert_eq!(last.contents().await, other.contents().await);
}

#[tokio::test]
async fn what_was_written_with_a_former_key_is_proved_by_what_was_signed_before_it_went() {
    let (mut world, peer, other) = (World::new(), World::new(), World::new());
    other.say_many(3).await;
    for _ in 0..3 {
        world.say_many(150).await;
        other.say_many(1).await;
        world.pull_from(&other).await;
    }
    world.log.close().await.unwrap();
    let lock = Lock::take(world.dir.path()).unwrap();
    assert!(seal(&lock, world.dir.path(), testing::key_of(world.daemon)).unwrap() >= 6);
    drop(lock);
    world.daemon = testing::daemon();
    let key = testing::key_of(world.daemon);
    world.log = Log::open(world.dir.path(), key, true).unwrap().0;
    world.say("under the new one").await;
    let applied = peer.pull_from(&world).await;
    assert_eq!((applied.applied, applied.refused), (3 + 3 + 450 + 1, 0));
    assert_eq!(peer.contents().await, world.contents().await);
}

#[tokio::test]
async fn large_events_and_both_histories_of_a_fork_are_proved_after_the_key_went() {
    let (mut world, peer) = (World::new(), World::new());
    for _ in 0..4 {
        let large = (0..5).map(|_| draft(&"x".repeat(100_000))).collect();
        world.log.append(large).await.unwrap();
    }
    foreign::write(&world.all().await);
    // As another machine with this key has written it.
    let fork = [foreign(world.origin(), 20), foreign(world.origin(), 21)];
    world.log.apply(raw_batch(testing::daemon(), &fork)).await.unwrap();
    world.log.close().await.unwrap();
    let lock = Lock::take(world.dir.path()).unwrap();
    seal(&lock, world.dir.path(), testing::key_of(world.daemon)).unwrap();
    drop(lock);
    world.daemon = testing::daemon();
    world.log = Log::open(world.dir.path(), testing::key_of(world.daemon), true).unwrap().0;
    assert_eq!(peer.pull_from(&world).await.applied, 22);
    assert_eq!(peer.contents().await, world.contents().await);
}

#[tokio::test]
async fn an_origin_that_forks_without_end_makes_nobody_compare_without_end() {
    let (world, origin) = (World::new(), new_origin());
    let forks: Vec<String> = (0..70).map(|_| foreign(origin, 1)).collect();
    let applied = world.log.apply(raw_batch(testing::daemon(), &forks)).await.unwrap();
    assert_eq!((applied.applied, applied.skipped, applied.refused), (64, 6, 0));
    check_invariants(&world);
}

#[tokio::test]
async fn a_page_ends_before_what_there_is_no_room_to_prove() {
    let (relay, puller) = (World::new(), World::new());
    let origins = [new_origin(), new_origin()];
    // Of each origin 500 events, then 600 more; only the last of these is signed.
    for part in [1..501, 501..1101] {
        for origin in origins {
            let events: Vec<_> = part.clone().map(|position| foreign(origin, position)).collect();
            relay.log.apply(raw_batch(testing::daemon(), &events)).await.unwrap();
        }
    }
    let ends = "DELETE FROM points WHERE sequence NOT IN (1600, 2200)";
    relay.sql().execute(ends, []).unwrap();
    let first = page(&relay, LogPosition::START, PULL_MAX_EVENTS, vec![]).await;
    assert_eq!((first.next.sequence.0, first.more_available), (500, true));
    puller.pull_from(&relay).await;
    assert_eq!(puller.contents().await.len(), 2200);
    check_invariants(&puller);
}

#[tokio::test]
async fn what_is_before_a_fork_is_proved_by_any_of_the_histories() {
    let (relay, puller, origin) = (World::new(), World::new(), new_origin());
    // The fourth event of the first history, and with it the signature, was lost.
    let mut events: Vec<_> = (1..=3).map(|position| foreign(origin, position)).collect();
    events.extend([foreign(origin, 2)]);
    relay.log.apply(raw_batch(testing::daemon(), &events)).await.unwrap();
    relay.sql().execute("DELETE FROM points WHERE sequence < 4", []).unwrap();
    puller.pull_from(&relay).await;
    let held = page(&puller, LogPosition::START, 10, vec![]).await.events();
    let held: Vec<_> = held.iter().map(|it| it.event.get()).collect();
    assert_eq!(held, [&*events[0], &*events[3]]);
}

#[tokio::test]
async fn a_run_that_a_peer_may_send_has_room_if_need_be_alone() {
    let (relay, puller, origin) = (World::new(), World::new(), new_origin());
    let large = |count: u64| {
        let events: Vec<_> = (1..=count).map(|position| foreign::large(origin, position)).collect();
        run_of(&events)
    };
    let mut five = large(5);
    // Another origin's event stands after the first of them.
    let mut other = run_of(&[foreign(new_origin(), 1)]);
    other.events[0].sequence = Sequence(2);
    (1..5).for_each(|n| five.events[n].sequence = Sequence(n as u64 + 2));
    assert_eq!(foreign::apply(&relay, vec![five, other]).await, (6, 0));
    let first = page(&relay, LogPosition::START, PULL_MAX_EVENTS, vec![]).await;
    assert_eq!((first.events().len(), first.next.sequence.0), (5, 1));
    puller.pull_from(&relay).await;
    assert_eq!(puller.contents().await.len(), 6);
    check_invariants(&puller);
    assert_eq!(foreign::apply(&World::new(), vec![large(6)]).await, (0, 6), "it is too large");
}
