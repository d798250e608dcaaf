use std::sync::Arc;

use thrum_api::limits::{HEADS_MAX, NOTIFY_MAX_EVENTS};

use super::*;

#[tokio::test]
async fn a_small_window_carries_our_own_events() {
    let (a, b) = (World::new(), World::new());
    b.say_many(3).await;
    a.say("one").await;
    a.pull_from(&b).await;
    let after = a.log.head().position;
    let (quiet, urgency) = a.news(b.daemon, after).await;
    assert_eq!(urgency, Urgency { own: false, concerns_peer: false });
    assert_eq!(quiet.window.unwrap().len(), 0);

    a.say("two").await;
    a.say("three").await;
    let (news, urgency) = a.news(b.daemon, after).await;
    assert_eq!(urgency, Urgency { own: true, concerns_peer: true });
    assert_eq!((news.after, news.held), (after, Some(b.log.head().position.sequence)));
    // Only of the origin that has news.
    assert_eq!(news.heads.unwrap(), a.log.heads(after.sequence).await.unwrap());
    assert_eq!(sequences(&events_of(news.window.unwrap())), [5, 6]);
    // From the start: what came from b is left out.
    let (all, _) = a.news(b.daemon, LogPosition::START).await;
    assert_eq!(sequences(&events_of(all.window.unwrap())), [1, 5, 6]);
    assert_eq!(all.heads.unwrap(), a.heads().await);
}

#[tokio::test]
async fn a_window_that_is_too_large_or_of_another_log_is_left_out() {
    let world = World::new();
    let peer = testing::daemon();
    world.say_many(NOTIFY_MAX_EVENTS).await;
    let (news, _) = world.news(peer, LogPosition::START).await;
    assert_eq!(events_of(news.window.unwrap()).len(), NOTIFY_MAX_EVENTS);
    world.say("one too many").await;
    assert!(world.news(peer, LogPosition::START).await.0.window.is_none());

    let other = LogPosition { hash: Some(thrum_api::LogHash(7)), ..world.log.head().position };
    let (news, urgency) = world.news(peer, other).await;
    assert!(news.window.is_none() && urgency.concerns_peer && urgency.own);
    assert_eq!(news.after, LogPosition::START);
    let beyond = LogPosition { sequence: Sequence(500), ..LogPosition::START };
    assert!(world.news(peer, beyond).await.0.window.is_none());

    let after = world.log.head().position;
    let mut large = draft("");
    large.body = json(&format!("\"{}\"", "x".repeat(150_000)));
    world.log.append(vec![large.clone()]).await.unwrap();
    assert_eq!(world.news(peer, after).await.0.window.unwrap().len(), 1);
    world.log.append(vec![large]).await.unwrap();
    assert!(world.news(peer, after).await.0.window.is_none());
}

fn request(peer: DaemonId, after: LogPosition, relayed: bool) -> NewsRequest {
    NewsRequest { peer, examined: after, sent: after, relayed }
}

#[tokio::test]
async fn a_window_with_relayed_events_leaves_out_what_came_from_the_peer() {
    let (a, b, c) = (World::new(), World::new(), World::new());
    a.say("one").await;
    b.say_many(2).await;
    a.pull_from(&b).await;
    c.say("of c, by b").await;
    b.pull_from(&c).await;
    a.pull_from(&b).await;
    a.say("five").await;
    let window = async |peer, after| {
        let news = a.log.news(request(peer, after, true), Arc::new(|_| false)).await.unwrap();
        news.content.unwrap().window.map(|runs| sequences(&events_of(runs)))
    };
    assert_eq!(window(b.daemon, LogPosition::START).await, Some(vec![1, 5]));
    assert_eq!(window(c.daemon, LogPosition::START).await, Some(vec![1, 2, 3, 4, 5]));
    let after = a.log.head().position;
    b.say_many(NOTIFY_MAX_EVENTS + 1).await;
    a.say("ours").await;
    a.pull_from(&b).await;
    let ours = after.sequence.0 + 1;
    assert_eq!(window(c.daemon, after).await, Some(vec![ours]), "they are too many with others");
}

#[tokio::test]
async fn news_that_is_read_together_is_as_if_each_was_read_alone() {
    let (a, b, c) = (World::new(), World::new(), World::new());
    b.say_many(2).await;
    a.pull_from(&b).await;
    let middle = a.log.head().position;
    a.say_many(3).await;
    c.say("six").await;
    a.pull_from(&c).await;
    let mut requests = Vec::new();
    for peer in [b.daemon, c.daemon, testing::daemon()] {
        for after in [LogPosition::START, middle, a.log.head().position] {
            requests.extend([false, true].map(|relayed| request(peer, after, relayed)));
        }
    }
    // News that concern the peer have a content, and that differs by peer, position and whether others are relayed.
    let ask = |request| {
        let (log, waits) = (a.log.clone(), Arc::new(|urgency: Urgency| !urgency.concerns_peer));
        tokio::spawn(async move { log.news(request, waits).await })
    };
    let together: Vec<_> = requests.iter().map(|request| ask(*request)).collect();
    for (request, answer) in requests.into_iter().zip(together) {
        let alone = format!("{:?}", ask(request).await.unwrap().unwrap());
        assert_eq!(format!("{:?}", answer.await.unwrap().unwrap()), alone, "{request:?}");
    }
}

#[tokio::test]
async fn news_that_all_came_from_the_peer_do_not_concern_it() {
    let (a, b, c) = (World::new(), World::new(), World::new());
    b.say_many(3).await;
    c.say_many(2).await;
    a.pull_from(&b).await;
    let (_, urgency) = a.news(b.daemon, LogPosition::START).await;
    assert_eq!(urgency, Urgency { own: false, concerns_peer: false });
    assert!(a.news(c.daemon, LogPosition::START).await.1.concerns_peer);
    let between = a.log.head().position;
    a.pull_from(&c).await;
    assert!(a.news(b.daemon, between).await.1.concerns_peer);
    assert!(!a.news(c.daemon, between).await.1.concerns_peer);
}

#[tokio::test]
async fn heads_that_do_not_describe_all_news_are_left_out() {
    let world = World::new();
    let peer = testing::daemon();
    let origin = new_origin();
    world.log.apply(raw_batch(peer, &[foreign(origin, 1)])).await.unwrap();
    assert_eq!(world.news(peer, LogPosition::START).await.0.heads.unwrap().len(), 1);
    world.log.apply(raw_batch(peer, &[foreign(origin, 1)])).await.unwrap();
    assert!(world.news(peer, LogPosition::START).await.0.heads.is_none(), "forked");
    // Later news is not of that origin.
    let after = world.log.head().position;
    world.say("hi").await;
    assert_eq!(world.news(peer, after).await.0.heads.unwrap().len(), 1);

    let world = World::new();
    let many: Vec<String> = (0..HEADS_MAX).map(|_| foreign(new_origin(), 1)).collect();
    world.log.apply(raw_batch(peer, &many)).await.unwrap();
    assert_eq!(world.news(peer, LogPosition::START).await.0.heads.unwrap().len(), HEADS_MAX);
    let newest = new_origin();
    world.log.apply(raw_batch(peer, &[foreign(newest, 1)])).await.unwrap();
    assert!(world.news(peer, LogPosition::START).await.0.heads.is_none(), "too many");
    let heads = world.heads().await;
    assert_eq!(heads.len(), HEADS_MAX);
    assert!(heads.iter().any(|head| head.origin() == newest));
    assert!(heads.is_sorted());
}

#[tokio::test]
async fn news_that_waits_is_not_read() {
    let world = World::new();
    world.say("one").await;
    let start = LogPosition::START;
    let request =
        NewsRequest { peer: testing::daemon(), examined: start, sent: start, relayed: false };
    let news = world.log.news(request, Arc::new(|urgency| urgency.own)).await.unwrap();
    assert!(news.content.is_none() && news.head == world.log.head().position);
}

#[tokio::test]
async fn a_position_without_its_event_is_completed() {
    let world = World::new();
    world.say_many(2).await;
    let end = world.log.head().position;
    let bare = LogPosition { sequence: end.sequence, ..LogPosition::START };
    world.say("news").await;
    assert_eq!(world.news(testing::daemon(), bare).await.0.after, end);
}

#[tokio::test]
async fn there_is_no_window_without_what_cannot_be_proved() {
    let mut world = World::new();
    let origin = new_origin();
    let events: Vec<_> = (1..=2).map(|position| foreign(origin, position)).collect();
    world.log.apply(raw_batch(testing::daemon(), &events)).await.unwrap();
    world.reopen(|_| ()).await;
    world.sql().execute("DELETE FROM points WHERE sequence = 2", []).unwrap();
    let news = request(testing::daemon(), LogPosition::START, true);
    let news = world.log.news(news, Arc::new(|_| false)).await.unwrap().content.unwrap();
    assert!(news.window.is_none(), "{news:?}");
}
