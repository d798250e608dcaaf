use thrum_api::limits::{HEADS_MAX, NOTIFY_MAX_EVENTS};

use super::*;

#[tokio::test]
async fn a_small_window_carries_our_own_events() {
    let (a, b) = (World::new(), World::new());
    b.say_many(3).await;
    a.say("one").await;
    a.pull_from(&b).await;
    let after = a.log.head().position;
    let quiet = a.log.news(b.daemon, after).await.unwrap();
    assert!(!quiet.concerns_peer && !quiet.own);
    assert_eq!(quiet.window.unwrap().len(), 0);

    a.say("two").await;
    a.say("three").await;
    let news = a.log.news(b.daemon, after).await.unwrap();
    assert!(news.concerns_peer && news.own);
    assert_eq!(news.head, a.log.head().position);
    assert_eq!(news.heads.unwrap(), a.log.heads().await.unwrap());
    assert_eq!(sequences(&news.window.unwrap()), [5, 6]);
    // From the start: what came from b is left out.
    let all = a.log.news(b.daemon, LogPosition::START).await.unwrap();
    assert_eq!(sequences(&all.window.unwrap()), [1, 5, 6]);
}

#[tokio::test]
async fn a_window_that_is_too_large_or_of_another_log_is_left_out() {
    let world = World::new();
    let peer = ids::daemon();
    world.say_many(NOTIFY_MAX_EVENTS).await;
    let news = world.log.news(peer, LogPosition::START).await.unwrap();
    assert_eq!(news.window.unwrap().len(), NOTIFY_MAX_EVENTS);
    world.say("one too many").await;
    assert!(world.log.news(peer, LogPosition::START).await.unwrap().window.is_none());

    let other = LogPosition { sequence: Sequence(129), event_id: Some(ids::event()) };
    let news = world.log.news(peer, other).await.unwrap();
    assert!(news.window.is_none() && news.concerns_peer && news.own);
    let beyond = LogPosition { sequence: Sequence(500), event_id: None };
    assert!(world.log.news(peer, beyond).await.unwrap().window.is_none());

    let after = world.log.head().position;
    let mut large = draft("");
    large.body = json(&format!("\"{}\"", "x".repeat(150_000)));
    world.log.append(vec![large.clone()]).await.unwrap();
    assert_eq!(world.log.news(peer, after).await.unwrap().window.unwrap().len(), 1);
    world.log.append(vec![large]).await.unwrap();
    assert!(world.log.news(peer, after).await.unwrap().window.is_none());
}

#[tokio::test]
async fn news_that_all_came_from_the_peer_do_not_concern_it() {
    let (a, b, c) = (World::new(), World::new(), World::new());
    b.say_many(3).await;
    c.say_many(2).await;
    a.pull_from(&b).await;
    let news = a.log.news(b.daemon, LogPosition::START).await.unwrap();
    assert!(!news.concerns_peer && !news.own);
    assert!(a.log.news(c.daemon, LogPosition::START).await.unwrap().concerns_peer);
    let between = a.log.head().position;
    a.pull_from(&c).await;
    assert!(a.log.news(b.daemon, between).await.unwrap().concerns_peer);
    assert!(!a.log.news(c.daemon, between).await.unwrap().concerns_peer);
}

#[tokio::test]
async fn heads_that_do_not_describe_the_whole_log_are_left_out() {
    let world = World::new();
    let peer = ids::daemon();
    let origin = new_origin();
    world.log.apply(raw_batch(peer, &[foreign(origin, 1)])).await.unwrap();
    assert_eq!(world.log.news(peer, LogPosition::START).await.unwrap().heads.unwrap().len(), 1);
    world.log.apply(raw_batch(peer, &[foreign(origin, 1)])).await.unwrap();
    assert!(world.log.news(peer, LogPosition::START).await.unwrap().heads.is_none(), "forked");

    let world = World::new();
    let many: Vec<String> = (0..HEADS_MAX).map(|_| foreign(new_origin(), 1)).collect();
    world.log.apply(raw_batch(peer, &many)).await.unwrap();
    assert_eq!(
        world.log.news(peer, LogPosition::START).await.unwrap().heads.unwrap().len(),
        HEADS_MAX
    );
    let newest = new_origin();
    world.log.apply(raw_batch(peer, &[foreign(newest, 1)])).await.unwrap();
    assert!(world.log.news(peer, LogPosition::START).await.unwrap().heads.is_none(), "too many");
    let heads = world.log.heads().await.unwrap();
    assert_eq!(heads.len(), HEADS_MAX);
    assert!(heads.iter().any(|head| head.origin() == newest));
    assert!(heads.is_sorted());
}
