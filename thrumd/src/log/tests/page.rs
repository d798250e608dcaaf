use thrum_api::limits::PULL_MAX_BYTES;

use super::*;

#[tokio::test]
async fn pages_are_cut_by_count_and_continue_where_they_ended() {
    let world = World::new();
    let written = world.say_many(25).await;
    let mut after = LogPosition::START;
    let mut seen = Vec::new();
    for more in [true, true, false] {
        let page = page(&world, after, 10, vec![]).await;
        assert_eq!(page.more_available, more);
        assert!(page.next.hash.is_some());
        assert_eq!(page.next.sequence, page.events().last().unwrap().sequence);
        assert_eq!(page.head, world.log.head().position);
        seen.extend(page.events().iter().map(|event| event.sequence));
        after = page.next;
    }
    let wanted: Vec<_> = written.iter().map(|event| event.sequence).collect();
    assert_eq!(seen, wanted);
    let end = page(&world, after, 10, vec![]).await;
    assert!(end.events().is_empty() && !end.more_available && end.next == after);
    // Exactly as many as there are: nothing more.
    assert!(!page(&world, LogPosition::START, 25, vec![]).await.more_available);
    assert_eq!(page(&world, LogPosition::START, 0, vec![]).await.events().len(), 1);
    // A caller that names only the sequence gets the event there, too.
    let bare = LogPosition { sequence: Sequence(25), ..LogPosition::START };
    assert_eq!(page(&world, bare, 10, vec![]).await.next, after);
}

#[tokio::test]
async fn pages_are_cut_by_bytes_but_always_hold_one() {
    let world = World::new();
    let large = |n: usize| {
        let mut draft = draft("");
        draft.body = json(&format!("\"{n}{}\"", "x".repeat(200_000)));
        draft
    };
    for n in 0..3 {
        world.log.append((0..10).map(|m| large(n * 10 + m)).collect()).await.unwrap();
    }
    let first = page(&world, LogPosition::START, 1000, vec![]).await;
    let bytes: usize = first.events().iter().map(|event| event.event.get().len()).sum();
    assert!(first.more_available && bytes <= PULL_MAX_BYTES && bytes > PULL_MAX_BYTES - 210_000);
    assert_eq!(world.all().await.len(), 30);
}

#[tokio::test]
async fn a_position_of_another_log_is_refused() {
    let world = World::new();
    let mut hashes = Vec::new();
    for _ in 0..3 {
        world.say("x").await;
        hashes.push(world.log.head().position.hash);
    }
    let ask = async |sequence, hash| {
        let after = LogPosition { sequence: Sequence(sequence), hash };
        let request = PageRequest { peer: testing::daemon(), after, limit: 10, have: vec![] };
        matches!(world.log.page(request).await.unwrap(), PageAnswer::OtherLog(head)
            if head == world.log.head())
    };
    assert!(!ask(3, hashes[2]).await);
    assert!(!ask(3, None).await);
    assert!(ask(3, hashes[1]).await);
    assert!(ask(2, Some(thrum_api::LogHash(7))).await);
    assert!(ask(4, None).await, "beyond the head");
    assert!(ask(u64::MAX, hashes[2]).await);
}

#[tokio::test]
async fn events_that_the_puller_holds_are_left_out() {
    let (a, b, c) = (World::new(), World::new(), World::new());
    a.say_many(12).await;
    b.say_many(5).await;
    c.pull_from(&a).await;
    a.pull_from(&b).await;
    a.say("last").await;
    // c holds a's 12 events from elsewhere; it asks a from the start.
    let have = c.heads().await;
    // All of b's events, although fewer are wanted: the last of them has the signature.
    let asked = page(&a, LogPosition::START, 3, have.clone()).await;
    assert_eq!(sequences(&asked.events()), [13, 14, 15, 16, 17]);
    assert!(asked.more_available);
    // What follows is left out too: `next` moves over it.
    let full = page(&a, LogPosition::START, 6, have.clone()).await;
    assert_eq!((full.events().len(), full.more_available, full.next), (6, false, full.head));
    let all = page(&a, LogPosition::START, 10, a.heads().await).await;
    assert!(all.events().is_empty() && !all.more_available && all.next == a.log.head().position);

    // A head with another event than ours is ignored.
    let lie = vec![Head { chain: thrum_api::proof::Chain([7; 32]), ..have[0] }];
    assert_eq!(page(&a, LogPosition::START, 100, lie).await.events().len(), 18);
    let too_far = vec![Head { origin_sequence: thrum_api::OriginSequence(99), ..have[0] }];
    assert_eq!(page(&a, LogPosition::START, 100, too_far).await.events().len(), 18);
}

#[tokio::test]
async fn the_last_page_says_up_to_where_the_puller_s_log_is_held() {
    let (a, b) = (World::new(), World::new());
    a.say_many(3).await;
    b.say_many(2).await;
    a.pull_from(&b).await;
    let request =
        |limit| PageRequest { peer: b.daemon, after: LogPosition::START, limit, have: Vec::new() };
    let held = async |limit| match a.log.page(request(limit)).await.unwrap() {
        PageAnswer::Page(page) => page.held,
        PageAnswer::OtherLog(_) => panic!(),
    };
    assert_eq!((held(10).await, held(4).await), (Some(Sequence(2)), None));
    // What b held of a's log before that need not be named again.
    b.pull_from(&a).await;
    assert_eq!(b.log.checkpoint(a.daemon).await.unwrap().held, Sequence(2));
    let of = |heads: Vec<Head>| heads.iter().map(Head::origin).collect::<Vec<_>>();
    assert_eq!(of(b.log.heads(Sequence(2)).await.unwrap()), [a.origin()]);
    b.log.reset_checkpoint(a.daemon).await.unwrap();
    assert_eq!(b.log.checkpoint(a.daemon).await.unwrap().held, Sequence::ZERO);
}

#[tokio::test]
async fn the_same_event_at_the_same_position_after_other_events_is_another_log() {
    let peer = testing::daemon();
    let [first, other, last] = [(); 3].map(|()| foreign(new_origin(), 1));
    let (a, b) = (World::new(), World::new());
    a.log.apply(raw_batch(peer, &[first.clone(), last.clone()])).await.unwrap();
    b.log.apply(raw_batch(peer, &[other, last.clone()])).await.unwrap();
    let end = a.log.head().position;
    assert!(a.log.holds(end).await.unwrap() && !b.log.holds(end).await.unwrap());
    assert!(b.log.holds(LogPosition { hash: None, ..end }).await.unwrap());
}

#[tokio::test]
async fn two_logs_that_go_on_from_one_copy_are_told_apart() {
    let (mut world, copy) = (World::new(), TempDir::new().unwrap());
    world.say("before").await;
    // As a whole directory is restored: nothing but its events tells it from the log that it was.
    world.reopen(|dir| heal::copy_database(dir, copy.path())).await;
    let common = world.log.head();
    world.say("then").await;
    let end = world.log.head();
    world.reopen(|dir| heal::copy_database(copy.path(), dir)).await;
    world.say("then").await;
    assert_eq!(world.log.head().epoch, end.epoch);
    assert_eq!(world.log.head().position.sequence, end.position.sequence);
    assert!(!world.log.holds(end.position).await.unwrap());
    assert!(world.log.holds(common.position).await.unwrap());
    let request =
        PageRequest { peer: testing::daemon(), after: end.position, limit: 10, have: vec![] };
    assert!(matches!(world.log.page(request).await.unwrap(), PageAnswer::OtherLog(_)));
}

#[tokio::test]
async fn a_head_of_a_forked_origin_is_ignored() {
    let world = World::new();
    let origin = new_origin();
    let events = [foreign(origin, 1), foreign(origin, 1)];
    world.log.apply(raw_batch(testing::daemon(), &events[..1])).await.unwrap();
    let have = world.heads().await;
    assert_eq!(have[0].origin(), origin);
    assert_eq!(page(&world, LogPosition::START, 10, have.clone()).await.events().len(), 0);
    world.log.apply(raw_batch(testing::daemon(), &events[1..])).await.unwrap();
    assert_eq!(page(&world, LogPosition::START, 10, have.clone()).await.events().len(), 2);
    assert_eq!(world.heads().await, []);
    assert_eq!(world.missing(have).await, [origin]);
}

#[tokio::test]
async fn a_page_reads_a_limited_number_of_rows() {
    let world = World::new();
    for _ in 0..21 {
        world.say_many(1000).await;
    }
    let have = world.heads().await;
    world.say("one more").await;
    let first = page(&world, LogPosition::START, 10, have.clone()).await;
    assert!(first.events().is_empty() && first.more_available);
    assert_eq!(first.next.sequence, Sequence(20_000));
    let second = page(&world, first.next, 10, have).await;
    assert_eq!((second.events().len(), second.more_available), (1, false));
}
