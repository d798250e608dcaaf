use super::*;

pub(super) fn damage(world: &World, sequence: u64, bytes: &str) {
    let changed = world
        .sql()
        .execute(
            "UPDATE events SET body = ?2 WHERE sequence = ?1",
            rusqlite::params![column::int(sequence), bytes.as_bytes()],
        )
        .unwrap();
    assert_eq!(changed, 1);
}

#[tokio::test]
async fn a_damaged_row_goes_to_quarantine_and_reappears_from_a_peer() {
    let (a, b) = (World::new(), World::new());
    a.say_many(6).await;
    b.pull_from(&a).await;
    a.pull_from(&b).await;
    let good = a.contents().await;
    damage(&a, 3, "{\"not json");
    damage(&a, 4, "[]");
    damage(&a, 6, "\u{0}");

    let page = page(&a, LogPosition::START, 100, vec![]).await;
    assert_eq!(sequences(&page.events()), [1, 2, 5]);
    let head = a.log.head().position;
    assert_eq!(page.next.sequence, head.sequence);
    assert_eq!(
        a.log.stats().await.unwrap(),
        LogStats {
            events: 3,
            quarantined: 3,
            size_bytes: a.log.stats().await.unwrap().size_bytes,
            ..LogStats::default()
        }
    );
    assert_eq!(a.heads().await[0].origin_sequence.0, 2);
    assert!(b.pull_from(&a).await == Applied::default());

    // Positions are not reused, neither those of the log nor those of the origin.
    let next = a.say("next").await;
    assert_eq!((next.sequence.0, next.origin_sequence.0), (7, 7));
    let epoch = epoch_of(&a);
    assert_eq!(a.pull_from(&b).await.applied, 3);
    assert_eq!(epoch_of(&a), epoch, "no sign of a roll-back");
    let mut healed = a.contents().await;
    healed.retain(|text| good.contains(text));
    assert_eq!(healed, good);
    assert_eq!(a.heads().await[0].origin_sequence.0, 7);
    check_gaps(&a, 3);
}

#[tokio::test]
async fn a_checkpoint_behind_a_damaged_row_is_not_of_a_copy_in_which_it_is_whole() {
    let (mut a, b, c) = (World::new(), World::new(), World::new());
    a.say_many(6).await;
    c.pull_from(&a).await;
    let elsewhere = TempDir::new().unwrap();
    let kept = elsewhere.path().join("log.db");
    let copy = |from: &Path, to: &Path| {
        std::fs::copy(from, to).unwrap();
    };
    a.reopen(|dir| copy(&dir.join("log.db"), &kept)).await;
    damage(&a, 3, "[]");
    assert_eq!(b.pull_from(&a).await.applied, 5);
    let checkpoint = async |of: &World| of.log.checkpoint(a.daemon).await.unwrap().position;
    let (whole, damaged) = (checkpoint(&c).await, checkpoint(&b).await);
    assert!(a.log.holds(whole).await.unwrap() && a.log.holds(damaged).await.unwrap());
    // Again, now that the row is in quarantine.
    assert_eq!(page(&a, LogPosition::START, 100, vec![]).await.next, damaged);

    let epoch = epoch_of(&a);
    a.reopen(|dir| copy(&kept, &dir.join("log.db"))).await;
    assert_eq!(epoch_of(&a), epoch, "it ends where the other one ended");
    assert!(a.log.holds(whole).await.unwrap() && !a.log.holds(damaged).await.unwrap());
    b.pull_from(&a).await;
    assert_eq!(b.contents().await, c.contents().await);
}

#[tokio::test]
async fn no_window_skips_an_event_that_reappeared_at_a_later_position() {
    let (a, b, c) = (World::new(), World::new(), World::new());
    a.say_many(7).await;
    b.pull_from(&a).await;
    damage(&a, 3, "");
    page(&a, LogPosition::START, 100, vec![]).await;
    assert_eq!(c.pull_from(&a).await.applied, 6);
    let at_seven = c.log.checkpoint(a.daemon).await.unwrap().position;
    assert_eq!(a.pull_from(&b).await.applied, 1);
    let at_eight = a.log.head().position;
    assert_eq!((at_seven.sequence.0, at_eight.sequence.0), (7, 8));
    a.say("at nine").await;

    // The third event is at position 8 now: a window with the eighth alone, at position 9, would
    // move c's checkpoint over it.
    let (news, _) = a.news(c.daemon, at_seven).await;
    assert!(news.window.is_none() && news.heads.is_some(), "{news:?}");
    assert_eq!(c.pull_from(&a).await.applied, 2);
    assert_eq!(c.contents().await, a.contents().await);
    let (news, _) = a.news(c.daemon, at_eight).await;
    assert_eq!(news.window.unwrap().len(), 1, "behind it, windows say all again");
}

#[tokio::test]
async fn a_page_from_before_a_damaged_row_was_found_does_not_undo_the_reset() {
    let (a, b) = (World::new(), World::new());
    a.say_many(6).await;
    b.pull_from(&a).await;
    let end = a.log.head().position;
    let apply_late = async |from| {
        b.log.apply(Batch { from, ..batch(a.daemon, vec![], Some(end)) }).await.unwrap();
        b.log.checkpoint(a.daemon).await.unwrap().position
    };
    let find_damage = async |sequence| {
        damage(&b, sequence, "");
        page(&b, LogPosition::START, 100, vec![]).await;
    };
    // A pull begins; its page is empty, because nothing is missing, and arrives after the reset.
    let from = b.log.checkpoint(a.daemon).await.unwrap();
    assert_eq!(from.position, end);
    find_damage(3).await;
    assert_eq!(apply_late(from).await, LogPosition::START);
    // The same for a pull that began at 0 already.
    let from = b.log.checkpoint(a.daemon).await.unwrap();
    find_damage(5).await;
    assert_eq!(apply_late(from).await, LogPosition::START);
    assert_eq!(b.pull_from(&a).await.applied, 2);
    assert_eq!(b.contents().await, a.contents().await);

    // Nor does it undo a reset because the peer has another log.
    let from = b.log.checkpoint(a.daemon).await.unwrap();
    assert_eq!(from.position, end);
    b.log.reset_checkpoint(a.daemon).await.unwrap();
    assert_eq!(apply_late(from).await, LogPosition::START);
    check_gaps(&b, 2);
}

#[tokio::test]
async fn an_event_that_damage_lost_is_no_sign_of_a_rollback_and_another_at_its_position_is() {
    let world = World::new();
    world.say_many(5).await;
    let written = world.all().await;
    foreign::write(&written);
    damage(&world, 3, "");
    damage(&world, 5, "");
    page(&world, LogPosition::START, 100, vec![]).await;
    let texts: Vec<String> = written.iter().map(|event| event.event.get().to_owned()).collect();
    let back = world.log.apply(raw_batch(testing::daemon(), &texts)).await.unwrap();
    assert_eq!(back, Applied { applied: 2, skipped: 3, ..Applied::default() });
    let other = raw_batch(testing::daemon(), &[foreign(world.origin(), 5)]);
    assert!(world.log.apply(other).await.unwrap().new_epoch);
}

#[tokio::test]
async fn a_damaged_row_is_kept_whole_even_if_the_quarantine_is_full() {
    let world = World::new();
    let junk: Vec<String> = (0..1000).map(|n| format!("{{\"junk\":{n}}}")).collect();
    world.log.apply(raw_batch(testing::daemon(), &junk)).await.unwrap();
    world.say_many(3).await;
    let rest = "x".repeat(200_000);
    damage(&world, 1, &rest);
    // Two rows with the same bytes are two rows.
    damage(&world, 2, &rest);
    page(&world, LogPosition::START, 100, vec![]).await;
    let kept: Vec<(i64, i64, String)> = world
        .sql()
        .prepare(
            "SELECT quarantine.sequence, size, CAST(bytes AS TEXT)
             FROM quarantine JOIN gaps USING (event_id) ORDER BY 1",
        )
        .unwrap()
        .query_map([], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))
        .unwrap()
        .collect::<Result<_, _>>()
        .unwrap();
    assert_eq!(kept, [(1, 200_000, rest.clone()), (2, 200_000, rest)]);
}

pub(super) fn gaps(world: &World) -> i64 {
    world.sql().query_row("SELECT count(*) FROM gaps", [], |row| row.get(0)).unwrap()
}

pub(super) fn check_gaps(world: &World, count: i64) {
    assert_eq!(gaps(world), count);
    check_invariants(world);
}

#[tokio::test]
async fn lists_and_news_skip_a_damaged_row() {
    let world = World::new();
    world.say_many(3).await;
    damage(&world, 2, "");
    let list = world.log.list(EventListParams::default()).await.unwrap();
    assert_eq!(list.events.len(), 2);
    damage(&world, 3, "null");
    let window = async || world.news(testing::daemon(), LogPosition::START).await.0.window;
    assert!(window().await.is_none(), "it may be another row that is damaged");
    assert_eq!(window().await.unwrap().len(), 1);
    assert_eq!(world.log.stats().await.unwrap().quarantined, 2);
}

#[tokio::test]
async fn a_full_database_refuses_appends_and_continues_when_there_is_space() {
    let (world, peer) = (World::new(), World::new());
    world.say_many(3).await;
    peer.say_many(1000).await;
    let limit = |pages: i64| {
        move |write: &mut WriteTransaction<'_>| {
            let set = format!("PRAGMA max_page_count = {pages}");
            Ok(write.conn.query_row(&set, [], |row| row.get::<_, i64>(0))?)
        }
    };
    let pages = world.log.write(Priority::Local, "limit the database", 0, limit(1)).await.unwrap();
    let large = || {
        let mut draft = draft("");
        draft.body = json(&format!("\"{}\"", "x".repeat(100_000)));
        draft
    };
    let full = world.log.append(vec![large()]).await.unwrap_err();
    assert_eq!(full.fault(), Some(StorageFault::Full));
    assert!(full.to_string().contains("disk") && full.to_string().contains("log.db"), "{full}");
    let runs = page(&peer, LogPosition::START, 1000, vec![]).await.runs;
    let batch = batch(peer.daemon, runs, Some(peer.log.head().position));
    assert_eq!(world.log.apply(batch).await.unwrap_err().fault(), Some(StorageFault::Full));
    assert_eq!(world.log.checkpoint(peer.daemon).await.unwrap().position, LogPosition::START);
    assert_eq!(world.log.head().position.sequence, Sequence(3));

    // In one group with a job that fails on a full disk, the others are done.
    let (failed, done) = tokio::join!(world.log.append(vec![large()]), world.log.pulse());
    assert!(failed.is_err() && done.is_ok());
    check_invariants(&world);

    world.log.write(Priority::Local, "limit the database", 0, limit(pages + 10_000)).await.unwrap();
    let written = world.log.append(vec![large()]).await.unwrap()[0];
    assert_eq!((written.sequence.0, written.origin_sequence.0), (4, 4));
    world.pull_from(&peer).await;
    check_invariants(&world);
}

#[tokio::test]
async fn another_event_at_the_position_of_a_damaged_one_is_a_fork() {
    // In the middle and at the end.
    for position in [2, 3] {
        let (world, peer, origin) = (World::new(), testing::daemon(), new_origin());
        let events: Vec<_> = (1..=3).map(|position| foreign(origin, position)).collect();
        world.log.apply(raw_batch(peer, &events)).await.unwrap();
        damage(&world, position, "");
        page(&world, LogPosition::START, 100, vec![]).await;
        let before = world.heads().await;
        assert!(before.iter().all(|head| head.origin_sequence.0 < position));
        // With it the origin seems whole, and up to an event of the other history.
        let other = foreign(origin, position);
        world.log.apply(raw_batch(peer, &[other])).await.unwrap();
        assert!(world.heads().await.is_empty());
        check_invariants(&world);
        // The damaged one comes back beside it.
        world.log.apply(raw_batch(peer, &events)).await.unwrap();
        assert_eq!(world.log.stats().await.unwrap().events, 4);
        check_invariants(&world);
    }
}
