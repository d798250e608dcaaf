//! What this daemon tells others of their messages, and when.

use std::time::Duration;

use thrum_api::event::{MessageReceipts, Route};
use thrum_api::local::{EventListParams, MarkReadParams};
use tokio::time::{Instant, sleep};

use super::super::Agents;
use super::super::receipts::PAUSE;
use super::home::{Home, LIMIT, parts};
use super::*;

/// What was told, in order.
async fn told(home: &Home) -> Vec<MessageReceipts> {
    let events = home.of_type("message.receipts").await;
    events.iter().map(|event| serde_json::from_value(event.body.clone()).unwrap()).collect()
}

/// Waits until that many receipts are in the log.
async fn until_told(home: &Home, count: usize) -> Vec<MessageReceipts> {
    let mut heads = home.log.watch();
    loop {
        let now = told(home).await;
        if now.len() >= count {
            return now;
        }
        heads.changed().await.unwrap();
    }
}

/// Waits until nothing is to be told any more: without that, nothing is written. By the clock of the machine, so that
/// one that is paused does not matter.
async fn settled(home: &Home, is_peer: fn(DaemonId) -> bool) {
    let begun = std::time::Instant::now();
    loop {
        assert!(begun.elapsed() < LIMIT, "there is always something to tell");
        let head = home.log.head().position.sequence;
        home.agents.digested(head).await.unwrap();
        let log = home.log.reader();
        let due = home.agents.read(move |store| store.receipts_due(&log, &is_peer, head));
        if due.await.unwrap().body == MessageReceipts::default()
            && home.log.head().position.sequence == head
        {
            return;
        }
        sleep(Duration::from_millis(10)).await;
    }
}

fn nobody(_: DaemonId) -> bool {
    false
}

async fn read(home: &Home, agent: &str, event_id: EventId, route: Route) {
    let params = MarkReadParams {
        agent: agent.to_owned(),
        messages: vec![by_id(event_id)],
        route: Some(route),
        session: None,
    };
    home.agents.mark_read(params).await.unwrap();
}

/// Opens the views anew, as after a restart.
async fn reopened(home: &mut Home, directory: &Path) {
    home.agents.close().await;
    home.agents = Agents::open(parts(directory, &home.log)).unwrap();
}

#[tokio::test]
async fn the_sender_s_daemon_is_told_how_a_message_was_read_and_not_told_again() {
    let (directory, mut home) = Home::new();
    home.apply(vec![message_to(1, there(), "a", &["x"])]).await;
    home.say("b", &["x"], "of this machine").await;
    read(&home, "x", id(1), Route::Hook).await;
    let first = until_told(&home, 1).await;
    let receipt = &first[0].read[0];
    assert_eq!((receipt.agent.as_str(), receipt.route), ("x", Route::Hook));
    assert_eq!(receipt.project.as_deref(), Some(PROJECT));
    assert_eq!((receipt.origin_daemon, receipt.event_ids.as_slice()), (there(), &[id(1)][..]));
    assert_eq!(first[0].there, [], "no agent of this machine had it before it was sent here");
    // Nor of the message of this machine, nor after a restart or a rebuild.
    let inbox = home.agents.inbox(super::home::reader("x")).await.unwrap();
    for message in inbox.messages {
        read(&home, "x", message.event_id, Route::Inbox).await;
    }
    settled(&home, nobody).await;
    reopened(&mut home, directory.path()).await;
    settled(&home, nobody).await;
    home.agents.close().await;
    store(directory.path()).reset().unwrap();
    home.agents = Agents::open(parts(directory.path(), &home.log)).unwrap();
    settled(&home, nobody).await;
    assert_eq!(told(&home).await, first);
    home.close().await;
}

#[tokio::test]
async fn a_daemon_that_is_no_peer_is_told_once_that_its_messages_are_here() {
    let (directory, mut home) = Home::new();
    home.say("local", &["local"], "hello").await;
    home.apply(vec![message_to(1, there(), "a", &["other"])]).await;
    settled(&home, nobody).await;
    assert_eq!(told(&home).await, [], "nobody of this machine");
    home.apply(vec![message_to(2, there(), "a", &["local"])]).await;
    let first = until_told(&home, 1).await;
    let of = |receipts: &MessageReceipts| -> Vec<(DaemonId, u64)> {
        receipts.there.iter().map(|it| (it.origin_daemon, it.origin_sequence.0)).collect()
    };
    assert_eq!((of(&first[0]), first[0].read.len()), (vec![(there(), 2)], 0));
    settled(&home, nobody).await;
    reopened(&mut home, directory.path()).await;
    settled(&home, nobody).await;
    home.agents.close().await;
    std::fs::remove_file(directory.path().join("views.db")).unwrap();
    home.agents = Agents::open(parts(directory.path(), &home.log)).unwrap();
    settled(&home, nobody).await;
    assert_eq!(told(&home).await, first);
    // What is after a hole is not said to be here before the hole is filled.
    home.apply(vec![message_to(4, there(), "a", &["local"])]).await;
    settled(&home, nobody).await;
    assert_eq!(told(&home).await, first);
    home.apply(vec![message_to(3, there(), "a", &["other"])]).await;
    let second = until_told(&home, 2).await;
    assert_eq!(of(&second[1]), [(there(), 4)]);
    home.close().await;
}

#[tokio::test]
async fn peers_are_not_told_what_they_know_and_receipts_cause_none() {
    let is_peer = |daemon| daemon == there();
    let (directory, mut home) = Home::new();
    home.agents.close().await;
    let mut parts = parts(directory.path(), &home.log);
    parts.is_peer = std::sync::Arc::new(is_peer);
    home.agents = Agents::open(parts).unwrap();
    home.say("local", &["local"], "hello").await;
    home.apply(vec![message_to(1, there(), "a", &["local"])]).await;
    let there = json!({
        "origin_daemon": here(), "origin_epoch": home.log.head().epoch, "origin_sequence": 2,
    });
    let receipts = json!({ "there": [there] });
    home.apply(vec![event(1, daemon(3), None, "message.receipts", &receipts)]).await;
    settled(&home, is_peer).await;
    assert_eq!(told(&home).await.len(), 1, "that of the other daemon");
    read(&home, "local", id(1), Route::Wait).await;
    assert_eq!(until_told(&home, 2).await[1].read.len(), 1, "a peer does not know what was read");
    settled(&home, is_peer).await;
    assert_eq!(told(&home).await.len(), 2);
    home.close().await;
}

#[tokio::test(start_paused = true)]
async fn the_first_of_a_burst_of_reads_is_told_at_once_and_all_others_together_a_second_later() {
    const READS: u64 = 1000;
    let (_directory, home) = Home::new();
    home.apply((1..=READS).map(|n| message_to(n, there(), "a", &["x"])).collect()).await;
    // Meanwhile the paused clock does not go on by itself.
    let (release, held) = std::sync::mpsc::channel::<()>();
    let holds = tokio::task::spawn_blocking(move || held.recv());
    read(&home, "x", id(1), Route::Wait).await;
    let first = until_told(&home, 1).await;
    for number in 2..=READS {
        read(&home, "x", id(number), Route::Wait).await;
    }
    assert_eq!(told(&home).await, first, "the second is not over");
    let before = Instant::now();
    drop(release);
    holds.await.unwrap().unwrap_err();
    let all = until_told(&home, 2).await;
    assert!(before.elapsed() >= PAUSE, "{:?}", before.elapsed());
    settled(&home, nobody).await;
    assert_eq!(told(&home).await, all);
    let ids = |it: &MessageReceipts| -> Vec<EventId> {
        it.read.iter().flat_map(|read| read.event_ids.clone()).collect()
    };
    assert_eq!(ids(&all[0]), [id(1)]);
    let mut rest = ids(&all[1]);
    rest.sort_unstable();
    assert_eq!(rest, (2..=READS).map(id).collect::<Vec<_>>(), "each once");
    home.close().await;
}

#[tokio::test(start_paused = true)]
async fn what_does_not_fit_into_an_event_comes_in_the_next_one() {
    const EACH: u64 = 2000;
    let (_directory, home) = Home::new();
    for page in 0..10 {
        let numbers = page * EACH + 1..=(page + 1) * EACH;
        home.apply(numbers.map(|n| message_to(n, there(), "a", &["x"])).collect()).await;
    }
    home.agents.inbox(super::home::reader("x")).await.unwrap();
    let params = MarkReadParams {
        agent: "x".to_owned(),
        messages: (1..=10 * EACH).map(|n| by_id(id(n))).collect(),
        ..MarkReadParams::default()
    };
    home.agents.mark_read(params).await.unwrap();
    settled(&home, nobody).await;
    let events = home.log.list(EventListParams {
        event_type: Some("message.receipts".to_owned()),
        ..EventListParams::default()
    });
    let sizes: Vec<usize> =
        events.await.unwrap().events.iter().map(|it| it.event.get().len()).collect();
    let told = told(&home).await;
    assert!(sizes.len() == 3 && sizes.iter().all(|size| *size < 256 * 1024), "{sizes:?}");
    let ids: usize = told.iter().flat_map(|it| &it.read).map(|read| read.event_ids.len()).sum();
    assert_eq!(ids, 20_000);
    assert!(told.iter().all(|it| it.read.len() == 1), "read at once, told at once");
    home.close().await;
}
