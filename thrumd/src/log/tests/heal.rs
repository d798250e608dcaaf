use thrum_api::Timestamp;

use super::*;

/// Pulls both ways until nothing changes, and checks that both logs hold the same events.
async fn converge(a: &World, b: &World) {
    for _ in 0..6 {
        a.pull_from(b).await;
        b.pull_from(a).await;
    }
    assert_eq!(a.contents().await, b.contents().await);
    check_invariants(a);
    check_invariants(b);
}

/// With what is noted of the log that was closed last, as a state directory is copied as a whole.
pub(super) fn copy_database(from: &Path, to: &Path) {
    for name in ["log.db", "log.closed"] {
        std::fs::copy(from.join(name), to.join(name)).unwrap();
    }
}

#[tokio::test]
async fn a_wiped_database_gets_a_new_epoch_and_its_old_events_back() {
    let (mut a, b) = (World::new(), World::new());
    a.say_many(30).await;
    converge(&a, &b).await;
    let old = a.origin();
    a.reopen(|dir| std::fs::remove_file(dir.join("log.db")).unwrap()).await;
    // Written before the first contact.
    let written = a.say("new life").await;
    assert_eq!(written.origin_sequence.0, 1);
    assert_ne!(a.origin(), old);
    converge(&a, &b).await;
    assert_eq!(a.contents().await.len(), 31);
    assert!(a.log.head().epoch != old.epoch);
}

#[tokio::test]
async fn a_restored_database_with_nothing_new_takes_a_new_epoch_at_the_first_contact() {
    let (mut a, b) = (World::new(), World::new());
    let backup = TempDir::new().unwrap();
    a.say_many(10).await;
    a.reopen(|dir| copy_database(dir, backup.path())).await;
    a.say_many(10).await;
    converge(&a, &b).await;
    let old = a.origin();
    a.reopen(|dir| copy_database(backup.path(), dir)).await;
    assert_eq!(a.origin(), old, "nothing to tell it by yet");
    assert_eq!(a.log.head().position.sequence, Sequence(10));
    // b's heads name events of ours beyond ours.
    assert_eq!(a.missing(b.heads().await).await, [old]);
    let applied = a.pull_from(&b).await;
    assert!(applied.new_epoch);
    assert_ne!(a.origin(), old);
    assert_eq!(a.say("goes on").await.origin_sequence.0, 1);
    converge(&a, &b).await;
    assert_eq!(a.contents().await.len(), 21);
    let forked: i64 =
        a.sql().query_row("SELECT sum(forked) FROM origins", [], |row| row.get(0)).unwrap();
    assert_eq!(forked, 0);
}

/// Copies what a thrumd that was killed now would leave.
async fn killed(world: &World) -> TempDir {
    // The writer has begun then.
    world.log.pulse().await.unwrap();
    let left = TempDir::new().unwrap();
    for name in ["log.db", "log.db-wal", "log.closed"] {
        std::fs::copy(world.dir.path().join(name), left.path().join(name)).unwrap();
    }
    left
}

fn epoch_in(dir: &TempDir, daemon: DaemonId) -> Epoch {
    Log::open(dir.path(), testing::key_of(daemon), true).unwrap().0.head().epoch
}

#[tokio::test]
async fn a_database_that_is_not_the_one_that_was_open_last_begins_a_new_epoch_at_once() {
    for before in [10, 0] {
        let mut world = World::new();
        let backup = TempDir::new().unwrap();
        if before > 0 {
            world.say_many(before).await;
        }
        world.reopen(|dir| copy_database(dir, backup.path())).await;
        let copy = backup.path().join("log.db");
        let old = epoch_of(&world);
        world.say_many(10).await;

        // Of a killed daemon, whose WAL was taken away: the copy is as the log was closed last.
        let left = killed(&world).await;
        std::fs::copy(&copy, left.path().join("log.db")).unwrap();
        std::fs::remove_file(left.path().join("log.db-wal")).unwrap();
        assert_ne!(epoch_in(&left, world.daemon), old, "killed, a copy with {before} events");

        world
            .reopen(|dir| {
                std::fs::copy(&copy, dir.join("log.db")).unwrap();
            })
            .await;
        let began = epoch_of(&world);
        assert_ne!(began, old, "a copy with {before} events");
        assert_eq!(epoch_in(&killed(&world).await, world.daemon), began, "once, if it is killed");
        world.reopen(|_| ()).await;
        assert_eq!(epoch_of(&world), began, "once");
    }
}

#[tokio::test]
async fn an_older_pair_of_database_and_wal_beside_a_killed_daemon_begins_a_new_epoch() {
    let mut world = World::new();
    world.say_many(3).await;
    let pair = killed(&world).await;
    world.say_many(3).await;
    world.reopen(|_| ()).await;
    let left = killed(&world).await;
    for name in ["log.db", "log.db-wal"] {
        std::fs::copy(pair.path().join(name), left.path().join(name)).unwrap();
    }
    assert_ne!(epoch_in(&left, world.daemon), epoch_of(&world));
}

#[tokio::test]
async fn a_note_of_the_last_close_that_a_power_cut_brings_back_begins_no_epoch() {
    let mut world = World::new();
    world.say_many(3).await;
    let notes = TempDir::new().unwrap();
    world.reopen(|dir| copy_database(dir, notes.path())).await;
    world.say_many(3).await;
    let left = killed(&world).await;
    std::fs::copy(notes.path().join("log.closed"), left.path().join("log.closed")).unwrap();
    assert_eq!(epoch_in(&left, world.daemon), epoch_of(&world));
}

#[tokio::test]
async fn a_restored_database_with_new_events_forks_and_both_histories_survive() {
    let (mut a, b, c) = (World::new(), World::new(), World::new());
    let backup = TempDir::new().unwrap();
    a.say_many(10).await;
    a.reopen(|dir| copy_database(dir, backup.path())).await;
    a.say_many(10).await;
    converge(&a, &b).await;
    converge(&b, &c).await;
    let old = a.origin();
    a.reopen(|dir| copy_database(backup.path(), dir)).await;
    // More than before, so that b's checkpoint is within the new log.
    a.say_many(15).await;
    b.pull_from(&a).await;
    converge(&a, &b).await;
    converge(&b, &c).await;
    assert_ne!(a.origin(), old);
    assert_eq!(a.contents().await.len(), 10 + 10 + 15);
    for world in [&a, &b, &c] {
        let origins: Vec<_> = world.heads().await.iter().map(Head::origin).collect();
        assert!(!origins.contains(&old), "no head of a forked origin");
    }
    a.say("goes on").await;
    converge(&a, &b).await;
    converge(&b, &c).await;
    assert_eq!(c.contents().await, a.contents().await);
}

#[tokio::test]
async fn an_event_of_ours_beyond_ours_begins_an_epoch_and_is_stored_but_not_one_after_another() {
    let world = World::new();
    world.say_many(3).await;
    foreign::write(&world.all().await);
    let old = world.origin();
    let beyond = [foreign(old, 4), foreign(old, 5)];
    let applied = world.log.apply(raw_batch(testing::daemon(), &beyond)).await.unwrap();
    assert_eq!(applied, Applied { applied: 2, new_epoch: true, ..Applied::default() });
    let now = world.origin();
    assert_ne!(now, old);
    assert_eq!(world.heads().await[0].origin_sequence.0, 5);

    // Another event at one of our positions, a moment later: two machines that write with one key would begin epochs
    // without end.
    world.say_many(3).await;
    let applied = world.log.apply(raw_batch(testing::daemon(), &[foreign(now, 2)])).await.unwrap();
    assert_eq!(applied, Applied { applied: 1, new_epoch: false, ..Applied::default() });
    assert_eq!(world.origin(), now);
    let heads = world.heads().await;
    assert!(heads.iter().all(|head| head.origin() != now), "forked");
    world.say("goes on").await;
    check_invariants(&world);
}

#[tokio::test]
async fn our_own_events_that_come_back_begin_nothing() {
    let (world, peer) = (World::new(), World::new());
    world.say_many(3).await;
    peer.pull_from(&world).await;
    let runs = page(&peer, LogPosition::START, 100, vec![]).await.runs;
    let epoch = epoch_of(&world);
    let applied = world.log.apply(batch(peer.daemon, runs, None)).await.unwrap();
    assert_eq!(applied, Applied { skipped: 3, ..Applied::default() });
    assert_eq!(epoch_of(&world), epoch);
}

/// Has a peer bring the first event of an epoch of ours that is not the present one, written at this time.
async fn bring_of_other_epoch(world: &World, peer: DaemonId, millis: i64, id: EventId) {
    let event = foreign_with_id(Origin { daemon: world.daemon, epoch: ids::epoch() }, 1, id);
    let written = Timestamp::from_millis(millis).to_string();
    let event = event.replace("2026-11-24T16:00:00.123Z", &written);
    let applied = world.log.apply(raw_batch(peer, &[event])).await.unwrap();
    assert_eq!(applied, Applied { applied: 1, ..Applied::default() });
}

async fn is_cloned(world: &World) -> bool {
    world.log.stats().await.unwrap().cloned_at.is_some()
}

#[tokio::test]
async fn an_event_of_ours_that_was_written_elsewhere_while_we_ran_is_told_as_a_clone() {
    let (mut world, peer) = (World::new(), testing::daemon());
    let before = crate::clock::now().as_millis();
    let begin = |write: &mut WriteTransaction<'_>| {
        write.begin_epoch();
        Ok(())
    };
    world.log.write(Priority::Local, "begin an epoch", 0, begin).await.unwrap();
    bring_of_other_epoch(&world, peer, before, ids::event()).await;
    assert!(!is_cloned(&world).await, "from before the present epoch");
    // As after the directory was restored: we did not run then, or wrote it ourselves.
    let closed = crate::clock::now().as_millis();
    world.reopen(|_| ()).await;
    bring_of_other_epoch(&world, peer, closed, ids::event()).await;
    assert!(!is_cloned(&world).await, "from before the log was opened");
    // Another machine's event with the same id was damaged here, which says nothing of this one.
    let (id, position) = (ids::event(), world.log.head().position.sequence.next());
    let other = foreign_with_id(new_origin(), 1, id);
    world.log.apply(raw_batch(peer, &[other])).await.unwrap();
    damage::damage(&world, position.0, "");
    page(&world, LogPosition::START, 100, vec![]).await;
    bring_of_other_epoch(&world, peer, crate::clock::now().as_millis() + 1000, id).await;
    assert!(is_cloned(&world).await);
    check_invariants(&world);
}

#[tokio::test]
async fn a_damaged_event_of_ours_that_comes_back_in_a_new_epoch_is_no_sign_of_a_clone() {
    let (world, peer) = (World::new(), World::new());
    world.say_many(3).await;
    peer.pull_from(&world).await;
    damage::damage(&world, 2, "");
    page(&world, LogPosition::START, 100, vec![]).await;
    // The event is later than the log was opened, and than an epoch that seems to have begun long ago.
    let earlier = Epoch::from_ulid(ulid::Ulid::from_parts(1000, 7)).ulid().to_bytes();
    let runs = page(&peer, LogPosition::START, 100, vec![]).await.runs;
    let begin = move |write: &mut WriteTransaction<'_>| {
        write.begin_epoch();
        write.state.meta_mut().epoch = column::epoch(earlier);
        Ok(())
    };
    world.log.write(Priority::Local, "begin an epoch", 0, begin).await.unwrap();
    let applied = world.log.apply(batch(peer.daemon, runs, None)).await.unwrap();
    assert_eq!((applied.applied, applied.skipped), (1, 2));
    assert!(!is_cloned(&world).await);
}

#[tokio::test]
async fn what_a_second_rollback_lost_is_no_sign_of_a_clone() {
    let (mut a, b) = (World::new(), World::new());
    let backup = TempDir::new().unwrap();
    a.say_many(3).await;
    a.reopen(|dir| copy_database(dir, backup.path())).await;
    a.say_many(3).await;
    converge(&a, &b).await;
    a.reopen(|dir| copy_database(backup.path(), dir)).await;
    assert!(a.pull_from(&b).await.new_epoch);
    assert_eq!(a.log.metrics().event_age.count(), 0, "own events that come back are not late");
    let second = a.origin();
    a.say_many(3).await;
    converge(&a, &b).await;
    a.reopen(|dir| copy_database(backup.path(), dir)).await;
    assert_ne!(a.origin(), second, "of the first epoch again");
    let mut runs = page(&b, LogPosition::START, 100, vec![]).await.runs;
    runs.retain(|run| parse(&run.events[0].event).header.origin() == second);
    let applied = a.log.apply(batch(b.daemon, runs, None)).await.unwrap();
    assert_eq!((applied.applied, applied.new_epoch), (3, false));
    assert!(!is_cloned(&a).await);
    converge(&a, &b).await;
    assert!(!is_cloned(&a).await);
}
