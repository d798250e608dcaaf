//! Sending, reading and waiting over a real log.

use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt as _;
use thrum_api::ErrorCode;
use thrum_api::limits::MESSAGE_TEXT_MAX_BYTES;
use thrum_api::local::{MessageSendParams, WaitParams, WaitResult};
use tokio::time::{Instant, sleep};

use super::super::AgentsError;
use super::super::follow::{BURST_MAX, Follower, FollowerSignals, Progress, QUIET};
use super::super::threads::{Reader, Worker};
use super::home::{Home, LIMIT, message_params, reader, waiter, within};
use super::*;

#[tokio::test]
async fn a_sent_message_is_in_the_inbox_at_once() {
    let (_directory, home) = Home::new();
    for number in 0..50 {
        home.say("@planner", &["coder"], &format!("{number}")).await;
        let inbox = within(home.agents.inbox(reader("coder"))).await.unwrap();
        assert_eq!(inbox.unread, number + 1);
    }
    home.close().await;
}

#[tokio::test]
async fn an_agent_joins_once_by_sending_or_waiting_and_not_by_reading() {
    let (_directory, home) = Home::new();
    home.say("a", &["b"], "one").await;
    home.say("a", &["b"], "two").await;
    assert_eq!(home.inbox("b").await, ["one*", "two*"]);
    assert_eq!(home.inbox("nobody").await, Vec::<String>::new());
    for _ in 0..2 {
        within(home.agents.wait(waiter("c", Duration::ZERO))).await.unwrap();
    }
    // Several at once with one new name.
    let sends = (0..8).map(|_| home.say("d", &["b"], "three"));
    futures_util::future::join_all(sends).await;
    assert_eq!(home.joined().await, ["a", "c", "d"]);
    assert_eq!(home.listed(false).await, ["a", "c", "d"]);
    home.close().await;
}

#[tokio::test]
async fn an_agent_that_was_not_seen_for_a_month_is_not_listed_and_one_that_waits_is() {
    let (_directory, home) = Home::new();
    // Its time is long ago.
    home.apply(vec![joined(1, here(), "old"), joined(2, there(), "remote")]).await;
    home.say("a", &["old"], "one").await;
    assert_eq!(
        (home.listed(false).await, home.listed(true).await.len()),
        (vec!["a".to_owned()], 3)
    );
    for _ in 0..2 {
        within(home.agents.wait(waiter("old", Duration::ZERO))).await.unwrap();
    }
    assert_eq!(home.listed(false).await, ["a", "old"]);
    assert_eq!(home.joined().await, ["old", "remote", "a", "old"]);
    home.close().await;
}

#[tokio::test]
async fn recipients_that_nobody_has_seen_are_named() {
    let (_directory, home) = Home::new();
    home.apply(vec![joined(1, there(), "remote")]).await;
    home.is_digested().await;
    let sent = home.say("a", &["remote", "nobody", "a"], "hello").await;
    assert_eq!(sent.unknown, ["nobody"]);
    home.close().await;
}

/// An agent that waits, and so has joined.
async fn waiting(home: &Home) -> tokio::task::JoinHandle<Result<WaitResult, AgentsError>> {
    let agents = home.agents.clone();
    let wait = tokio::spawn(async move { agents.wait(waiter("coder", LIMIT)).await });
    let mut heads = home.log.watch();
    within(heads.wait_for(|head| head.position.sequence == Sequence(1))).await.unwrap();
    wait
}

#[tokio::test]
async fn waiting_ends_with_a_message_that_a_peer_brought() {
    let (_directory, home) = Home::new();
    let wait = waiting(&home).await;
    home.apply(vec![message_to(1, there(), "planner", &["other"])]).await;
    home.apply(vec![message_to(2, there(), "planner", &["coder"])]).await;
    let waited = within(wait).await.unwrap().unwrap();
    let message = &waited.messages[0];
    assert_eq!((message.text.as_str(), message.read, waited.left), ("number 2", false, 0));
    // It is returned again until it is marked read.
    let again = within(home.agents.wait(waiter("coder", LIMIT))).await.unwrap();
    assert_eq!(again, waited);
    home.mark_read("coder", vec![message.event_id]).await;
    let none = within(home.agents.wait(waiter("coder", Duration::ZERO))).await.unwrap();
    assert_eq!(none, WaitResult::default());
    home.close().await;
}

#[tokio::test]
async fn a_wait_returns_what_there_is_and_says_how_many_are_left() {
    let (_directory, home) = Home::new();
    home.apply((1..=120).map(|n| message_to(n, there(), "planner", &["coder"])).collect()).await;
    let asked = |limit| WaitParams { limit, ..waiter("coder", LIMIT) };
    for (limit, shown, left) in [(None, 50, 70), (Some(0), 1, 119), (Some(1000), 120, 0)] {
        let waited = within(home.agents.wait(asked(limit))).await.unwrap();
        assert_eq!((waited.messages.len(), waited.left), (shown, left));
        assert_eq!(waited.messages[0].text, "number 1");
    }
    home.close().await;
}

#[tokio::test]
async fn stopping_ends_waiting() {
    let (_directory, home) = Home::new();
    let wait = waiting(&home).await;
    home.agents.close().await;
    assert!(matches!(within(wait).await.unwrap(), Err(AgentsError::Stopping)));
    let late = within(home.agents.inbox(reader("coder"))).await.unwrap_err();
    assert_eq!(late.to_rpc().code, ErrorCode::STOPPING);
    home.close().await;
}

#[tokio::test]
async fn sending_the_same_id_twice_sends_once() {
    let (_directory, home) = Home::new();
    let message_params =
        MessageSendParams { event_id: Some(id(7)), ..message_params("a", &["b"], "once") };
    let first = within(home.agents.send(message_params.clone())).await.unwrap();
    let second = within(home.agents.send(message_params)).await.unwrap();
    assert_eq!((first.event_id, first.sequence), (second.event_id, second.sequence));
    assert_eq!(home.inbox("b").await, ["once*"]);
    home.close().await;
}

#[tokio::test]
async fn a_bad_message_is_refused_and_says_why() {
    let (_directory, home) = Home::new();
    let many: Vec<String> = (0..65).map(|n| format!("agent{n}")).collect();
    let many: Vec<&str> = many.iter().map(String::as_str).collect();
    let fits = "a".repeat(MESSAGE_TEXT_MAX_BYTES);
    let large = format!("a{fits}");
    // Each is six bytes in an event.
    let escaped = format!("a{}", "\u{1}".repeat(60 * 1024));
    let cases = [
        (message_params("a b", &["c"], "t"), ErrorCode::INVALID_PARAMS, "must not contain ' '"),
        (message_params("a", &[""], "t"), ErrorCode::INVALID_PARAMS, "must not be empty"),
        (message_params("a", &[], "t"), ErrorCode::INVALID_PARAMS, "no recipient"),
        (message_params("a", &many, "t"), ErrorCode::INVALID_PARAMS, "65 recipients"),
        (message_params("a", &["b"], " \n"), ErrorCode::INVALID_PARAMS, "no text"),
        (message_params("a", &["b"], &large), ErrorCode::TOO_LARGE, "131073 bytes; at most 131072"),
        (message_params("a", &["b"], &escaped), ErrorCode::TOO_LARGE, "at most 262144"),
        (message_params("a", &["b@laptop"], "t"), ErrorCode::INVALID_PARAMS, "laptop"),
        (
            MessageSendParams { all: true, ..message_params("a", &["b"], "t") },
            ErrorCode::INVALID_PARAMS,
            "for everyone",
        ),
        (
            MessageSendParams { project: "a\nb".to_owned(), ..message_params("a", &["b"], "t") },
            ErrorCode::INVALID_PARAMS,
            "a project's name",
        ),
    ];
    for (message_params, code, words) in cases {
        let error = within(home.agents.send(message_params)).await.unwrap_err().to_rpc();
        assert_eq!(error.code, code, "{error}");
        assert!(error.message.contains(words), "{error}");
    }
    assert_eq!(home.log.head().position, LogPosition::START, "nothing was written");
    home.say("a", &["b"], &fits).await;
    home.close().await;
}

#[tokio::test]
async fn without_readers_events_are_digested_when_the_log_is_quiet() {
    let (_directory, home) = Home::new();
    for number in 0..5 {
        home.apply(vec![message_to(number + 1, there(), "planner", &["coder"])]).await;
    }
    let head = home.log.head().position.sequence;
    let mut progress = home.agents.inner.progress.clone();
    within(progress.wait_for(|now| now.has(head))).await.unwrap();
    home.close().await;
}

/// A second follower, on its own tables. Its threads end with it.
fn follower(home: &Home) -> (Follower, std::thread::JoinHandle<()>) {
    let directory = tempfile::tempdir().unwrap();
    let store = store(directory.path());
    let reader = Reader::start(store.for_reader().unwrap()).unwrap().0;
    let (worker, thread) = Worker::start("views", store).unwrap();
    let (log, signals) = (home.log.clone(), Arc::new(FollowerSignals::default()));
    let progress = tokio::sync::watch::channel(Progress::default()).0;
    (Follower { log, worker, reader, progress, signals }, thread)
}

#[tokio::test]
async fn a_burst_is_over_at_once_for_readers_that_wait_or_ask() {
    let (_directory, home) = Home::new();
    let (follower, thread) = follower(&home);
    let signals = Arc::clone(&follower.signals);
    let heads = home.log.watch();
    assert_eq!(follower.wait_for_burst_end(&heads).now_or_never(), None, "no reader");
    let waiting = signals.waiters.register("coder", None);
    assert_eq!(follower.wait_for_burst_end(&heads).now_or_never(), Some(()), "a reader waits");
    drop(waiting);
    assert_eq!(follower.wait_for_burst_end(&heads).now_or_never(), None, "it waits no more");
    signals.change_readers.add();
    assert_eq!(follower.wait_for_burst_end(&heads).now_or_never(), Some(()), "one is shown it");
    signals.change_readers.remove();
    assert_eq!(follower.wait_for_burst_end(&heads).now_or_never(), None, "and is no more");
    signals.requested.notify_one();
    assert_eq!(follower.wait_for_burst_end(&heads).now_or_never(), Some(()), "a reader asks");
    drop(follower);
    thread.join().unwrap();
    home.close().await;
}

#[tokio::test(start_paused = true)]
async fn a_burst_without_end_is_digested_after_a_limit() {
    let (_directory, home) = Home::new();
    let (follower, thread) = follower(&home);
    let (grow, heads) = tokio::sync::watch::channel(home.log.head());
    let growing = async {
        loop {
            grow.send_modify(|head| head.position.sequence = head.position.sequence.next());
            sleep(QUIET / 2).await;
        }
    };
    let begun = Instant::now();
    tokio::select! {
        () = growing => {}
        () = follower.wait_for_burst_end(&heads) => {}
        () = sleep(10 * BURST_MAX) => panic!("the burst is waited for without a limit"),
    }
    assert!((BURST_MAX..BURST_MAX + 2 * QUIET).contains(&begun.elapsed()), "{:?}", begun.elapsed());
    drop(follower);
    thread.join().unwrap();
    home.close().await;
}
