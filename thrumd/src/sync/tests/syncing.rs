use std::sync::Arc;
use std::time::Duration;

use serde_json::value::RawValue;
use thrum_api::local::PeerState;
use thrum_api::peer::{NotifyParams, Run};
use thrum_api::proof::{Chain, Signature};
use thrum_api::{LogPosition, Sequence, SequencedEvent};
use tokio::time::Instant;

use super::harness::{Daemon, converge, daemon, eventually, pair};
use crate::log::NewsRequest;
use crate::sync::hub::Input;
use crate::sync::progress;
use crate::sync::shared::{Message, UNSIGNED_PAUSE};

#[tokio::test]
async fn both_sides_get_all_events_and_report_in_sync() {
    let (a, b) = (daemon("a").await, daemon("b").await);
    a.write(3).await;
    pair(&a, &b).await;
    converge(&[&a, &b], 3).await;
    for _ in 0..10 {
        a.write(1).await;
        b.write(1).await;
    }
    converge(&[&a, &b], 23).await;
    a.reaches(&b, PeerState::InSync).await;
    b.reaches(&a, PeerState::InSync).await;
    let status = a.status_of(&b).await.unwrap();
    assert_eq!((status.we_lack, status.they_lack, status.failures), (Some(0), Some(0), 0));
    assert!(status.round_trip_us.is_some() && status.last_sync.is_some());
    assert!(eventually(async || b.status_of(&a).await.unwrap().version.is_some()).await);
}

#[tokio::test]
async fn a_long_log_is_pulled_page_by_page() {
    let (a, b) = (daemon("a").await, daemon("b").await);
    a.write(4500).await;
    pair(&a, &b).await;
    converge(&[&a, &b], 4500).await;
    let counters = b.sync.counters();
    assert_eq!((counters.events_received, counters.events_duplicate), (4500, 0));
    assert!(counters.pulls_sent >= 5, "{counters:?}");
}

#[tokio::test]
async fn along_a_line_events_are_relayed() {
    let (a, b, c) = (daemon("a").await, daemon("b").await, daemon("c").await);
    pair(&a, &b).await;
    pair(&b, &c).await;
    a.write(2).await;
    c.write(2).await;
    converge(&[&a, &b, &c], 4).await;
}

#[tokio::test]
async fn a_peer_that_was_away_catches_up_when_it_comes_back() {
    let (a, b) = (daemon("a").await, daemon("b").await);
    pair(&a, &b).await;
    let b = b.stop().await;
    a.write(300).await;
    let b = b.start().await;
    converge(&[&a, &b], 300).await;
    b.write(1).await;
    converge(&[&a, &b], 301).await;
}

#[tokio::test]
async fn an_offline_peer_backs_off_until_it_calls() {
    let (a, b) = (daemon("a").await, daemon("b").await);
    pair(&a, &b).await;
    a.reaches(&b, PeerState::InSync).await;
    let gone = b.stop().await;
    a.write(1).await;
    let failing = async || {
        let status = a.sync.status().await.remove(0);
        status.state == PeerState::BackingOff
            && status.next_try_at.is_some()
            && status.last_error.is_some_and(|error| error.contains("can't connect to 127.0.0.1"))
    };
    assert!(eventually(failing).await, "{:?}", a.sync.status().await);
    let b = gone.start().await;
    a.reaches(&b, PeerState::InSync).await;
}

#[tokio::test]
async fn a_peer_whose_database_was_lost_gets_everything_back() {
    let (a, b) = (daemon("a").await, daemon("b").await);
    pair(&a, &b).await;
    a.write(5).await;
    b.write(5).await;
    converge(&[&a, &b], 10).await;
    let b = b.stop().await;
    b.lose_database();
    let b = b.start().await;
    // As many new events as before, so that the sequence alone would match the old checkpoint.
    b.write(10).await;
    converge(&[&a, &b], 20).await;
    a.reaches(&b, PeerState::InSync).await;
}

#[tokio::test]
async fn after_a_restore_both_histories_survive_everywhere() {
    let (a, b, c) = (daemon("a").await, daemon("b").await, daemon("c").await);
    pair(&a, &b).await;
    pair(&b, &c).await;
    b.write(3).await;
    converge(&[&a, &b, &c], 3).await;
    let stopped = b.stop().await;
    let backup = stopped.backup();
    let b = stopped.start().await;
    b.write(4).await;
    converge(&[&a, &b, &c], 7).await;
    let epoch = b.log.head().epoch;
    let (a, c) = (a.stop().await, c.stop().await);
    let stopped = b.stop().await;
    stopped.restore(&backup);
    let b = stopped.start().await;
    // Written at positions that the lost events have on the peers.
    b.write(4).await;
    let (a, c) = (a.start().await, c.start().await);
    converge(&[&a, &b, &c], 11).await;
    assert_ne!(b.log.head().epoch, epoch);
    b.write(1).await;
    converge(&[&a, &b, &c], 12).await;
}

#[tokio::test]
async fn a_damaged_own_event_reappears_without_a_new_epoch() {
    let (a, b) = (daemon("a").await, daemon("b").await);
    pair(&a, &b).await;
    a.write(5).await;
    converge(&[&a, &b], 5).await;
    let epoch = a.log.head().epoch;
    for (count, damaged) in [(5, 3), (6, 5)] {
        a.damage(damaged);
        assert_eq!(a.events().await.len(), count - 1);
        // The heads of b name the event that a has lost; a gets it back.
        b.write(1).await;
        converge(&[&a, &b], count + 1).await;
    }
    assert_eq!(a.log.head().epoch, epoch, "every place that a gave is its own");
}

#[tokio::test]
async fn an_event_that_is_found_damaged_is_asked_for_at_once() {
    let (a, b) = (daemon("a").await, daemon("b").await);
    pair(&a, &b).await;
    b.write(5).await;
    converge(&[&a, &b], 5).await;
    a.damage(3);
    assert_eq!(a.events().await.len(), 4, "whoever reads it finds it");
    converge(&[&a, &b], 5).await;
}

#[tokio::test]
async fn sync_pauses_when_turned_off_and_resumes_when_turned_on() {
    let (a, b) = (daemon("a").await, daemon("b").await);
    pair(&a, &b).await;
    a.reaches(&b, PeerState::InSync).await;
    // As when the tailnet goes down.
    a.sync.shared.enabled.send_replace(false);
    a.reaches(&b, PeerState::Off).await;
    let before = a.sync.counters().notifies_sent;
    a.write(1).await;
    a.sync.sync_now(None).await;
    assert_eq!(a.sync.status().await[0].state, PeerState::Off);
    assert_eq!(a.sync.counters().notifies_sent, before);
    a.sync.enable();
    converge(&[&a, &b], 1).await;
}

#[tokio::test]
async fn close_ends_every_task() {
    let (a, b) = (daemon("a").await, daemon("b").await);
    pair(&a, &b).await;
    a.write(100).await;
    a.sync.close().await;
    assert_eq!(a.sync.status().await[0].state, PeerState::Off);
}

/// What a daemon would tell a peer that holds nothing of its log.
async fn news_of(daemon: &Daemon) -> NotifyParams {
    let (peer, start) = (crate::testing::daemon(), LogPosition::START);
    let request = NewsRequest { peer, examined: start, sent: start, relayed: false };
    let news = daemon.log.news(request, Arc::new(|_| false)).await.unwrap().content.unwrap();
    let of = NotifyParams::of(daemon.id, daemon.log.head().position);
    NotifyParams { after_seq: Some(start.sequence), heads: news.heads, runs: news.window, ..of }
}

#[tokio::test]
async fn after_unsigned_events_those_of_a_peer_are_not_read_for_a_moment_and_others_go_on() {
    let [a, b, c] = [daemon("a").await, daemon("b").await, daemon("c").await];
    b.write(1).await;
    c.write(1).await;
    let (of_b, of_c) = (news_of(&b).await, news_of(&c).await);
    let event = RawValue::from_string("{}".to_owned()).unwrap();
    let events = vec![SequencedEvent { sequence: Sequence(1), event }];
    let unsigned = Run { previous: Chain([0; 32]), signature: Signature([0; 64]), events };
    let bad = NotifyParams { runs: Some(vec![unsigned]), ..of_b.clone() };
    let held = async |of: &Daemon, params: &NotifyParams| {
        let answer = a.sync.serve_notify(of.id, params.clone()).await;
        (answer.ok().map(|it| it.held_seq.0), a.log.head().position.sequence.0)
    };
    let moved = |sent_unsigned| {
        a.sync.shared.traffic(b.id, |traffic| {
            assert!(traffic.sent_unsigned.replace(sent_unsigned).is_some());
        });
    };
    assert_eq!(held(&b, &bad).await, (None, 0));
    // However slow this machine is, the pause goes on.
    moved(Instant::now() + Duration::from_secs(3600));
    // Neither what is signed nor what is not: that is found out by reading it.
    assert_eq!(held(&b, &of_b).await, (Some(0), 0));
    assert_eq!(held(&b, &bad).await, (Some(0), 0));
    assert_eq!(held(&c, &of_c).await, (Some(1), 1));
    moved(Instant::now().checked_sub(UNSIGNED_PAUSE).unwrap());
    assert_eq!(held(&b, &of_b).await, (Some(1), 2));
}

/// What those were told who follow the peers is what is known of them now.
async fn all_is_published(daemon: &Daemon) {
    let mut published = daemon.sync.progress_changes();
    loop {
        let mut all = published.borrow_and_update().clone();
        let now = daemon.sync.shared.snapshots().await;
        if published.has_changed().unwrap() {
            continue;
        }
        for (peer, snapshot) in &now.links {
            let is_news = progress::note(&mut all, *peer, snapshot, now.elapsed);
            assert!(!is_news, "{snapshot:?} was not told");
        }
        return;
    }
}

#[tokio::test]
async fn whatever_is_known_of_a_peer_is_published() {
    let (a, b) = (daemon("a").await, daemon("b").await);
    pair(&a, &b).await;
    a.reaches(&b, PeerState::InSync).await;
    let peer = b.id;
    let inputs = [
        Input::PullNeeded { peer, latest: Sequence(9), creators: vec![a.id] },
        Input::SyncNow(None),
        Input::SyncNow(Some(peer)),
        Input::NodeChanged(peer),
        Input::ConnectionClosed(peer),
        Input::NetworkChanged,
        Input::Synced { peer, latest: Sequence(9) },
    ];
    let give = async |input: &Input| {
        a.sync.shared.post(Message::Input(input.clone())).await;
        all_is_published(&a).await;
    };
    for input in &inputs {
        give(input).await;
    }
    drop(b.stop().await);
    let is_failing = async || a.sync.status().await.remove(0).failures > 0;
    for input in &inputs {
        a.sync.sync_now(None).await;
        assert!(eventually(is_failing).await);
        give(input).await;
    }
}
