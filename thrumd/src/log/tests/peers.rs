use thrum_api::limits::EVENT_MAX_BYTES;

use super::*;

fn quarantine(world: &World) -> Vec<(String, i64, Vec<u8>)> {
    world
        .sql()
        .prepare("SELECT reason, size, bytes FROM quarantine ORDER BY id")
        .unwrap()
        .query_map([], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))
        .unwrap()
        .collect::<Result<_, _>>()
        .unwrap()
}

#[tokio::test]
async fn events_and_the_checkpoint_arrive_together_and_once() {
    let (a, b) = (World::new(), World::new());
    a.say_many(20).await;
    let applied = b.pull_from(&a).await;
    assert_eq!((applied.applied, applied.skipped), (20, 0));
    assert_eq!(b.contents().await, a.contents().await);
    let checkpoint = b.log.checkpoint(a.daemon).await.unwrap();
    assert_eq!(checkpoint.position, a.log.head().position);
    assert!(checkpoint.last_sync.is_some());

    let runs = page(&a, LogPosition::START, 1000, vec![]).await.runs;
    let again = b.log.apply(batch(a.daemon, runs, None)).await.unwrap();
    assert_eq!(again, Applied { skipped: 20, ..Applied::default() });
    assert_eq!(b.log.checkpoint(a.daemon).await.unwrap().position, checkpoint.position);

    b.log.reset_checkpoint(a.daemon).await.unwrap();
    assert_eq!(b.log.checkpoint(a.daemon).await.unwrap().position, LogPosition::START);
    assert_eq!(b.pull_from(&a).await, Applied::default(), "`have` makes starting again cheap");
    check_invariants(&b);
}

#[tokio::test]
async fn a_page_that_a_notification_has_overtaken_does_not_set_the_checkpoint_back() {
    let (a, b) = (World::new(), World::new());
    a.say_many(9).await;
    let epoch = a.log.head().epoch;
    let mut positions = vec![LogPosition::START];
    for limit in 1..=9 {
        positions.push(page(&a, LogPosition::START, limit, vec![]).await.next);
    }
    let position = |n: usize| positions[n];
    let take = async |range: std::ops::Range<usize>, epoch| {
        let runs = page(&a, position(range.start), range.len(), vec![]).await.runs;
        let batch = batch(a.daemon, runs, Some(position(range.end)));
        b.log.apply(Batch { epoch, ..batch }).await.unwrap();
        b.log.checkpoint(a.daemon).await.unwrap()
    };
    assert_eq!(take(0..3, Some(epoch)).await.position, position(3));
    assert_eq!(take(3..9, None).await.position, position(9), "a notification");
    let late = take(3..6, Some(epoch)).await;
    assert_eq!(
        (late.position, late.epoch),
        (position(9), Some(epoch)),
        "the page under way meanwhile"
    );
    assert_eq!(take(3..5, None).await.position, position(9), "an older notification");
    // A log of a new epoch is another one.
    let other = ids::epoch();
    let again = take(0..3, Some(other)).await;
    assert_eq!((again.position, again.epoch), (position(3), Some(other)));
    b.log.reset_checkpoint(a.daemon).await.unwrap();
    assert_eq!(take(0..2, Some(other)).await.position, position(2));
    // A notification has no epoch, so a checkpoint may have none.
    b.log.reset_checkpoint(a.daemon).await.unwrap();
    assert_eq!(take(0..9, None).await.epoch, None);
    assert_eq!(take(0..3, Some(other)).await.position, position(9));
    check_invariants(&b);
}

#[tokio::test]
async fn an_unknown_type_and_unknown_members_are_stored_and_relayed_byte_for_byte() {
    let world = World::new();
    let strange = foreign(new_origin(), 1)
        .replace("some.type", "Typ einer späteren Version")
        .replace("\"body\"", " \"later\" : [1,2.50,1e3], \"body\"\n");
    world.log.apply(raw_batch(testing::daemon(), std::slice::from_ref(&strange))).await.unwrap();
    assert_eq!(world.all().await[0].event.get(), strange);
}

#[tokio::test]
async fn an_invalid_event_goes_to_quarantine_and_the_rest_is_stored() {
    let world = World::new();
    let peer = testing::daemon();
    let origin = new_origin();
    let large = foreign(origin, 9).replace(r#"{"n":9}"#, &"9".repeat(EVENT_MAX_BYTES));
    let values: Vec<serde_json::Value> =
        serde_json::from_str::<serde_json::Map<String, serde_json::Value>>(&foreign(origin, 9))
            .unwrap()
            .into_iter()
            .map(|(_, value)| value)
            .collect();
    let wrong = [
        "17".to_owned(),
        "null".to_owned(),
        "[]".to_owned(),
        serde_json::to_string(&values).unwrap(),
        "{}".to_owned(),
        foreign(origin, 9).replace("origin_epoch", "origin_epoche"),
        foreign(origin, 0),
        foreign(origin, u64::MAX),
        foreign(origin, 1 << 53),
        foreign(origin, 9).replace(":9,", ":-9,"),
        foreign(origin, 9).replace("2026-11-24", "2026-13-24"),
        foreign(origin, 9).replace("\"event_id\":\"0", "\"event_id\":\"z"),
        large,
        foreign(origin, 9).replace("0192f3a1b2c3-0004", &"x".repeat(10_000)),
        foreign(origin, 9).replace(":9,", &format!(":{:?},", "x".repeat(10_000))),
    ];
    let mut events = vec![foreign(origin, 1)];
    events.extend(wrong.iter().cloned());
    events.push(foreign(origin, 2));
    let applied = world.log.apply(raw_batch(peer, &events)).await.unwrap();
    assert_eq!((applied.applied, applied.refused), (2, wrong.len()));
    let found = quarantine(&world);
    assert_eq!(found.len(), wrong.len());
    for ((reason, size, bytes), wrong) in found.iter().zip(&wrong) {
        assert!(!reason.is_empty() && reason.len() <= 250, "{reason}");
        assert_eq!(*size as usize, wrong.len());
        assert!(wrong.as_bytes().starts_with(bytes) && bytes.len() <= 64 * 1024);
    }
    assert_eq!(world.log.stats().await.unwrap().quarantined, wrong.len() as u64);

    // The same page again: counted again, kept once.
    let again = world.log.apply(raw_batch(peer, &events)).await.unwrap();
    assert_eq!((again.skipped, again.refused), (2, wrong.len()));
    assert_eq!(quarantine(&world).len(), wrong.len());
    check_invariants(&world);
}

#[tokio::test]
async fn two_events_with_one_id_are_kept_of_two_origins_and_of_a_forked_one() {
    let world = World::new();
    let (origin, other, id) = (new_origin(), new_origin(), ids::event());
    let events = [
        foreign_with_id(origin, 1, id),
        foreign_with_id(other, 1, id),
        foreign_with_id(origin, 1, id).replace(r#"{"n":1}"#, r#"{"n":2}"#),
    ];
    let applied = world.log.apply(raw_batch(testing::daemon(), &events)).await.unwrap();
    assert_eq!((applied.applied, applied.skipped, applied.refused), (3, 0, 0));
    let held: Vec<_> = world.all().await.iter().map(|event| event.event.get().to_owned()).collect();
    assert_eq!(held, events);
    assert_eq!(world.heads().await[0].origin(), other, "the forked one has none");
    check_invariants(&world);
}

#[tokio::test]
async fn the_quarantine_is_bounded_and_each_peer_has_a_share_of_it() {
    let mut world = World::new();
    let junk: Vec<String> = (0..400).map(|n| format!("{{\"junk\":{n}}}")).collect();
    let peers: Vec<DaemonId> = (0..5).map(|_| testing::daemon()).collect();
    for (peer, kept) in peers.iter().zip([250, 500, 750, 1000, 1000]) {
        for _ in 0..2 {
            let applied = world.log.apply(raw_batch(*peer, &junk)).await.unwrap();
            assert_eq!(applied.refused, 400);
            assert_eq!(quarantine(&world).len(), kept);
        }
    }
    world.reopen(|_| ()).await;
    world.log.apply(raw_batch(peers[0], &["{\"one\":\"more\"}".to_owned()])).await.unwrap();
    assert_eq!(quarantine(&world).len(), 1000);
}

#[tokio::test]
async fn what_was_cleared_from_the_quarantine_does_not_come_back_and_what_is_new_does() {
    let mut world = World::new();
    let peer = testing::daemon();
    let junk: Vec<String> = (0..300).map(|n| format!("{{\"junk\":{n}}}")).collect();
    world.log.apply(raw_batch(peer, &junk[..3])).await.unwrap();
    world.say_many(2).await;
    world.sql().execute("UPDATE events SET body = x'ff' WHERE sequence = 1", []).unwrap();
    world.all().await;
    let list = world.log.quarantined().await.unwrap().entries;
    let said: Vec<_> = list.iter().map(|it| (it.daemon_id, it.size_bytes, &*it.excerpt)).collect();
    let sent = |n: usize| (peer, 10, &*junk[n]);
    assert_eq!(said, [sent(0), sent(1), sent(2), (world.daemon, 1, "\u{fffd}")]);
    assert!(list[3].reason.contains("not a JSON object any more"), "{list:?}");
    // Only what was seen.
    assert_eq!(world.log.clear_quarantine(list[1].id).await.unwrap(), 2);
    assert_eq!(world.log.quarantined().await.unwrap().entries, list[2..]);
    assert_eq!(world.log.clear_quarantine(list[3].id).await.unwrap(), 2);
    world.reopen(|_| ()).await;
    // The same again, and then new ones, which have the whole share of the peer.
    for (sent, kept) in [(3, 0), (300, 250)] {
        world.log.apply(raw_batch(peer, &junk[..sent])).await.unwrap();
        assert_eq!(world.log.quarantined().await.unwrap().entries.len(), kept);
        assert_eq!(world.log.stats().await.unwrap().quarantined, kept as u64);
    }
}

#[tokio::test]
async fn an_entry_that_was_not_shown_is_not_cleared_with_one_that_is_gone() {
    let mut world = World::new();
    let (peer, other) = (testing::daemon(), testing::daemon());
    let junk = |n: usize| format!("{{\"junk\":{n}}}");
    world.log.apply(raw_batch(peer, &[junk(0), junk(1)])).await.unwrap();
    world.say_many(1).await;
    world.sql().execute("UPDATE events SET body = x'ff' WHERE sequence = 1", []).unwrap();
    world.all().await;
    // Two people see the same list, and the first one clears it, or removes the peer.
    let shown = world.log.quarantined().await.unwrap().entries;
    let last = shown[2].id;
    assert_eq!(world.log.clear_quarantine(last).await.unwrap(), 3);
    world.log.forget_peer(peer).await.unwrap();
    world.reopen(|_| ()).await;
    world.log.apply(raw_batch(other, &[junk(2)])).await.unwrap();
    assert_eq!(world.log.clear_quarantine(last).await.unwrap(), 0);
    let left = world.log.quarantined().await.unwrap().entries;
    assert!(left.len() == 1 && left[0].id > last, "{left:?}");
}

#[tokio::test]
async fn the_bytes_in_quarantine_are_bounded_and_the_same_is_kept_once() {
    let world = World::new();
    let kept = || quarantine(&world).iter().map(|(_, _, bytes)| bytes.len()).sum::<usize>();
    // They differ in their first bytes, or in their lengths alone.
    let large = |n: usize| format!("{{\"junk\":\"{}{}\"}}", n % 8, "x".repeat(200_000 + n / 8));
    let junk: Vec<String> = (0..16).map(large).collect();
    let (first, second) = (testing::daemon(), testing::daemon());
    for _ in 0..2 {
        world.log.apply(raw_batch(first, &junk)).await.unwrap();
        assert_eq!(kept(), 16 * 64 * 1024);
    }
    world.log.apply(raw_batch(second, &junk)).await.unwrap();
    assert_eq!(kept(), 2 * 16 * 64 * 1024, "another peer's is another entry");
    for n in 2..40 {
        let junk: Vec<String> = (0..16).map(|m| large(n * 16 + m)).collect();
        world.log.apply(raw_batch(first, &junk)).await.unwrap();
    }
    assert_eq!(kept(), 3 * 1024 * 1024, "2 MiB of the first and 1 MiB of the second");
}

#[tokio::test]
async fn heads_are_the_highest_contiguous_positions_and_gaps_close() {
    let world = World::new();
    let origin = new_origin();
    let events: Vec<String> = (1..=7).map(|position| foreign(origin, position)).collect();
    let peer = testing::daemon();
    let take = async |places: &[usize]| {
        let some: Vec<String> =
            places.iter().map(|position| events[position - 1].clone()).collect();
        assert_eq!(world.log.apply(raw_batch(peer, &some)).await.unwrap().applied, places.len());
        check_invariants(&world);
        world.heads().await.first().map_or(0, |head| head.origin_sequence.0)
    };
    assert_eq!(take(&[3]).await, 0);
    assert_eq!(take(&[1]).await, 1);
    assert_eq!(take(&[5, 4]).await, 1);
    assert!(world.news(peer, LogPosition::START).await.0.heads.is_none(), "a hole");
    assert_eq!(take(&[2]).await, 5);
    assert_eq!(take(&[7]).await, 5);
    assert_eq!(take(&[6]).await, 7);
    assert!(world.news(peer, LogPosition::START).await.0.heads.is_some());
    // Log order is arrival order.
    let order: Vec<u64> = world
        .all()
        .await
        .iter()
        .map(|event| parse(&event.event).header.origin_sequence.0)
        .collect();
    assert_eq!(order, [3, 1, 5, 4, 2, 7, 6]);
}

#[tokio::test]
async fn missing_events_are_found_by_comparing_heads() {
    let (a, b) = (World::new(), World::new());
    a.say_many(5).await;
    b.pull_from(&a).await;
    assert_eq!(b.missing(a.heads().await).await, []);
    a.say("more").await;
    let heads = a.heads().await;
    assert_eq!(b.missing(heads.clone()).await, [a.origin()]);
    assert_eq!(a.missing(b.heads().await).await, []);
    // Another event than ours at the same position.
    b.pull_from(&a).await;
    let other = Head { chain: thrum_api::proof::Chain([7; 32]), ..heads[0] };
    assert_eq!(b.missing(vec![other, other]).await, [a.origin()]);
}
