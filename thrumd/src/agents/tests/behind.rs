//! Sending and reading while nothing is digested.

use std::sync::mpsc;

use futures_util::FutureExt as _;
use futures_util::future::join_all;
use thrum_api::local::AgentListParams;

use super::super::digest::PAGE_EVENTS;
use super::super::{AgentsError, send};
use super::home::{Home, LIMIT, reader, waiter, within};
use super::*;

/// The thread that digests, which does nothing else until this is dropped.
struct Held {
    _release: mpsc::Sender<()>,
}

/// Holds the thread that digests, once it has done what it was told before.
async fn hold(home: &Home) -> Held {
    let (release, released) = mpsc::channel::<()>();
    let (begun, begins) = tokio::sync::oneshot::channel();
    let agents = home.agents.clone();
    tokio::spawn(async move {
        let held = move |_: &mut Store| {
            begun.send(()).unwrap();
            assert!(released.recv().is_err(), "it is released by dropping");
            Ok::<_, AgentsError>(())
        };
        agents.call(held).await.unwrap();
    });
    within(begins).await.unwrap();
    Held { _release: release }
}

#[tokio::test]
async fn messages_are_sent_while_nothing_is_digested_and_a_new_name_joins_once() {
    let (_directory, home) = Home::new();
    let held = hold(&home).await;
    join_all((0..8).map(|_| home.say("planner", &["coder"], "together"))).await;
    home.say("planner", &["coder"], "later").await;
    assert_eq!(home.joined().await, ["planner"]);
    drop(held);
    let expected: Vec<_> = [vec!["together*"; 8], vec!["later*"]].concat();
    assert_eq!(home.inbox("coder").await, expected);
    home.say("planner", &["coder"], "afterwards").await;
    assert_eq!(home.joined().await, ["planner"]);
    home.close().await;
}

#[tokio::test]
async fn a_name_from_before_joins_once_more_at_most() {
    let (_directory, home) = Home::new();
    let held = hold(&home).await;
    home.log
        .append(vec![send::joined(PROJECT, &home.agents.announced("planner", None)).unwrap()])
        .await
        .unwrap();
    for _ in 0..3 {
        home.say("planner", &["coder"], "one").await;
    }
    assert_eq!(home.joined().await, ["planner"; 2]);
    drop(held);
    let agents = within(home.agents.list(AgentListParams::default())).await.unwrap();
    assert_eq!(agents.len(), 1, "{agents:?}");
    home.close().await;
}

#[tokio::test]
async fn who_is_unknown_is_not_said_while_the_views_are_behind() {
    let (_directory, home) = Home::new();
    home.is_digested().await;
    assert_eq!(home.say("planner", &["coder"], "one").await.unknown, ["coder"]);
    let held = hold(&home).await;
    let many = PAGE_EVENTS as u64 + 1;
    home.apply((1..=many).map(|n| message_to(n, there(), "reviewer", &["qa"])).collect()).await;
    assert_eq!(home.say("planner", &["coder"], "two").await.unknown, Vec::<String>::new());
    drop(held);
    home.is_digested().await;
    assert_eq!(home.say("planner", &["coder", "reviewer"], "three").await.unknown, ["coder"]);
    home.close().await;
}

#[tokio::test]
async fn what_is_digested_is_read_while_the_other_thread_works() {
    let (_directory, home) = Home::new();
    home.say("planner", &["coder"], "one").await;
    let wait = async || within(home.agents.wait(waiter("coder", LIMIT))).await.unwrap();
    assert_eq!(wait().await.messages.len(), 1);
    let held = hold(&home).await;
    assert_eq!(home.inbox("coder").await, ["one*"]);
    assert_eq!(wait().await.messages.len(), 1);
    let agents = within(home.agents.list(AgentListParams::default())).await.unwrap();
    assert_eq!(agents.len(), 2, "{agents:?}");
    drop(held);
    home.close().await;
}

#[tokio::test]
async fn only_those_who_got_a_message_look_again() {
    let (_directory, home) = Home::new();
    home.inbox("coder").await;
    let waiters = &home.agents.inner.signals.waiters;
    let coder = waiters.register("coder", Some(PROJECT));
    let other = waiters.register("reviewer", Some(PROJECT));
    home.apply(vec![message_to(1, there(), "planner", &["coder"])]).await;
    assert_eq!(home.inbox("coder").await, ["number 1*"]);
    assert_eq!(coder.woken().now_or_never(), Some(()));
    assert_eq!(other.woken().now_or_never(), None);
    home.apply(vec![message_to_all(2, there(), "planner")]).await;
    within(home.agents.inbox(reader("coder"))).await.unwrap();
    assert_eq!(coder.woken().now_or_never(), Some(()));
    assert_eq!(other.woken().now_or_never(), Some(()), "whoever may read it looks");
    drop((coder, other));
    home.close().await;
}

#[tokio::test]
async fn of_those_who_wait_in_all_projects_the_readers_of_a_message_to_all_look_again() {
    let (_directory, home) = Home::new();
    home.say("coder", &["named"], "one").await;
    home.inbox("coder").await;
    let waiters = &home.agents.inner.signals.waiters;
    let reads = ["coder", "named", "reviewer"].map(|agent| waiters.register(agent, None));
    home.apply(vec![message_to_all(1, there(), "planner")]).await;
    assert_eq!(home.inbox("coder").await, ["number 1*"]);
    within(reads[0].woken()).await;
    // One is no agent of this machine, one is none at all.
    assert_eq!([&reads[1], &reads[2]].map(|it| it.woken().now_or_never()), [None; 2]);
    drop(reads);
    home.close().await;
}

#[tokio::test]
async fn everyone_looks_again_after_the_file_was_opened_anew() {
    use std::sync::atomic::Ordering;

    let (_directory, home) = Home::new();
    home.inbox("coder").await;
    let signals = &home.agents.inner.signals;
    let other = signals.waiters.register("reviewer", None);
    signals.unusable.store(true, Ordering::SeqCst);
    home.inbox("coder").await;
    assert_eq!(other.woken().now_or_never(), Some(()));
    drop(other);
    home.close().await;
}
