//! Rows that are not as they were written, though their events are JSON or their bytes whole.

use super::damage::{check_gaps, damage, gaps};
use super::*;

#[tokio::test]
async fn an_event_whose_bytes_were_changed_is_neither_served_nor_taken_for_another_history() {
    let changed = r#"{"body":{"text":"changed"}}"#;
    // Of another daemon, and of our own.
    for of_peer in [true, false] {
        let (a, b, c) = (World::new(), World::new(), World::new());
        a.say_many(6).await;
        b.pull_from(&a).await;
        let (world, good) = if of_peer { (&b, &a) } else { (&a, &b) };
        let (before, epoch) = (good.contents().await, epoch_of(world));
        let mut found = world.log.damaged_rows();
        // Found when it is served.
        damage(world, 3, changed);
        c.pull_from(world).await;
        assert!(!c.contents().await.iter().any(|text| text == changed));
        check_gaps(world, 1);
        assert!(found.has_changed().unwrap(), "sync asks the peers for it");
        found.mark_unchanged();
        // Found when the true one comes.
        damage(world, 5, changed);
        world.log.reset_checkpoint(good.daemon).await.unwrap();
        let runs = page(good, LogPosition::START, 100, vec![]).await.runs;
        let applied = world.log.apply(batch(good.daemon, runs, None)).await.unwrap();
        assert_eq!((applied.applied, applied.refused), (2, 0));
        assert!(found.has_changed().unwrap(), "as well");
        assert_eq!(epoch_of(world), epoch);
        assert_eq!(world.contents().await, before);
        check_gaps(world, 2);
        c.pull_from(world).await;
        assert_eq!(c.contents().await, before);
        let forked: bool =
            world.sql().query_row("SELECT max(forked) FROM origins", [], |row| row.get(0)).unwrap();
        assert!(!forked);
    }
}

#[tokio::test]
async fn of_what_is_beside_the_bytes_a_change_costs_that_row_alone() {
    let cases = [1, 3, 6].into_iter().flat_map(|position| {
        // Of our own and of a peer, also of one that has forked.
        [(true, false), (true, true), (false, false)]
            .map(|(is_own, forked)| (position, is_own, forked))
    });
    for (position, is_own, forked) in cases {
        let (a, b, c) = (World::new(), World::new(), World::new());
        a.say_many(6).await;
        b.pull_from(&a).await;
        let before = a.contents().await;
        let (world, good) = if is_own { (&a, &b) } else { (&b, &a) };
        let epoch = epoch_of(world);
        world.sql().execute("UPDATE origins SET forked = ?1", [forked]).unwrap();
        let change = "UPDATE events SET previous = zeroblob(32) WHERE sequence = ?1";
        world.sql().execute(change, [column::int(position)]).unwrap();
        page(world, LogPosition::START, 100, vec![]).await;
        assert_eq!(gaps(world), 1);
        let rest = page(world, LogPosition::START, 100, vec![]).await;
        let rest = sequences(&rest.events());
        let healthy: Vec<_> = (1..=6).filter(|sequence| *sequence != position).collect();
        match is_own {
            true => assert_eq!(rest, healthy),
            // What was signed together with it is proved again when it is back.
            false => assert!(rest.iter().all(|sequence| healthy.contains(sequence)), "{rest:?}"),
        }
        let applied = world.pull_from(good).await;
        assert_eq!(
            (applied.applied, applied.new_epoch),
            (1, false),
            "{position} {is_own} {forked}"
        );
        let now_forked: bool =
            world.sql().query_row("SELECT max(forked) FROM origins", [], |row| row.get(0)).unwrap();
        assert!(!now_forked || forked, "{position} {is_own}");
        assert_eq!(epoch_of(world), epoch);
        c.pull_from(world).await;
        assert_eq!((world.contents().await, c.contents().await), (before.clone(), before));
        if !now_forked {
            assert_eq!(world.heads().await[0].origin_sequence.0, 6);
        }
    }
}

#[tokio::test]
async fn what_is_written_after_a_damaged_end_of_the_log_is_whole() {
    let a = World::new();
    a.say_many(3).await;
    a.sql().execute("UPDATE events SET body = x'5b5d', hash = 7 WHERE sequence = 3", []).unwrap();
    page(&a, LogPosition::START, 100, vec![]).await;
    assert_eq!(gaps(&a), 1);
    a.say("next").await;
    let served = page(&a, LogPosition::START, 100, vec![]).await;
    assert_eq!(sequences(&served.events()), [1, 2, 4]);
    check_gaps(&a, 1);
}

#[tokio::test]
async fn a_hash_of_the_log_that_was_changed_is_put_right() {
    for position in [1, 3, 6] {
        let a = World::new();
        a.say_many(6).await;
        let head = a.log.head().position;
        let change = "UPDATE events SET hash = hash + 1 WHERE sequence = ?1";
        a.sql().execute(change, [position]).unwrap();
        page(&a, LogPosition::START, 100, vec![]).await;
        check_gaps(&a, 0);
        let again = page(&a, LogPosition::START, 100, vec![]).await;
        assert_eq!((sequences(&again.events()), again.next), ((1..=6).collect(), head));
    }
}

#[tokio::test]
async fn a_changed_row_beside_a_new_event_is_found_before_it_makes_a_fork() {
    // The new event is the third or the fifth one; the fourth one has changed.
    for new in [2, 4] {
        let (world, peer, origin) = (World::new(), testing::daemon(), new_origin());
        let events: Vec<_> = (1..=5).map(|position| foreign(origin, position)).collect();
        let there = [events[0].clone(), events[1].clone(), events[3].clone()];
        world.log.apply(raw_batch(peer, &there)).await.unwrap();
        let change = "UPDATE events SET previous = zeroblob(32) WHERE sequence = 3";
        world.sql().execute(change, []).unwrap();
        world.log.apply(raw_batch(peer, &events[new..=new])).await.unwrap();
        check_gaps(&world, 1);
        world.log.apply(raw_batch(peer, &events)).await.unwrap();
        assert_eq!(world.heads().await[0].origin_sequence.0, 5, "it has not forked");
    }
}

#[tokio::test]
async fn a_changed_hash_before_an_event_that_is_read_alone_is_put_right() {
    let mut world = World::new();
    world.say("one").await;
    let after = world.log.head().position;
    world.log.apply(raw_batch(testing::daemon(), &[foreign(new_origin(), 1)])).await.unwrap();
    world.say("two").await;
    // What was written is no longer in memory.
    world.reopen(|_| ()).await;
    world.sql().execute("UPDATE events SET hash = hash + 1 WHERE sequence = 2", []).unwrap();
    let window = async || world.news(testing::daemon(), after).await.0.window;
    assert!(window().await.is_none(), "it seems damaged");
    assert_eq!(window().await.unwrap().len(), 1);
    check_gaps(&world, 0);
}
