use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::io::AsyncWriteExt as _;
use tokio::net::{TcpListener, TcpStream};

use super::harness::{
    accepted, closed, harness, patient, reply, soon, start, try_reply, until, up,
};
use crate::tailnet::Presence;

#[tokio::test]
async fn a_caller_that_disconnects_does_not_cancel_its_request() {
    let harness = harness(patient()).await;
    let stream = harness.begin_pull().await;
    until(async || harness.handler.started.load(Ordering::SeqCst) == 1).await;
    drop(stream);
    // The server has seen it, and has closed its side, too.
    until(async || accepted(harness.address.port()) == 0).await;
    harness.handler.go_on.add_permits(1);
    until(async || harness.handler.finished.load(Ordering::SeqCst) == 1).await;
}

#[tokio::test]
async fn a_peer_that_is_removed_while_its_body_comes_is_refused() {
    let harness = harness(patient()).await;
    let text = harness.peer_post("sync.peer_info");
    let (begin, rest) = text.split_at(text.len() - 5);
    let mut stream = harness.connect().await;
    stream.write_all(begin.as_bytes()).await.unwrap();
    until(async || harness.handler.authenticated.load(Ordering::SeqCst) == 1).await;
    harness.handler.removed.store(true, Ordering::SeqCst);
    stream.write_all(rest.as_bytes()).await.unwrap();
    let refused = reply(&mut stream).await;
    assert_eq!((refused.status, refused.code()), (401, -32001));
}

#[tokio::test]
async fn stopping_finishes_the_requests_under_way() {
    let mut harness = harness(patient()).await;
    let mut fresh = harness.connect().await;
    let mut idle = harness.connect_peer().await;
    let mut busy = harness.begin_pull().await;
    until(async || harness.handler.started.load(Ordering::SeqCst) == 1).await;
    harness.stop.cancel();
    soon(harness.bound.wait_for(Vec::is_empty)).await.unwrap();
    assert!(TcpStream::connect(harness.address).await.is_err(), "nothing listens any more");
    closed(&mut fresh).await;
    closed(&mut idle).await;
    assert!(!harness.task.is_finished());
    harness.handler.go_on.add_permits(1);
    assert_eq!(reply(&mut busy).await.status, 200);
    drop((busy, idle, fresh));
    soon(harness.task).await.unwrap();
}

#[tokio::test]
async fn a_caller_that_keeps_an_idle_connection_does_not_hold_up_the_end() {
    let hour = Duration::from_secs(3600);
    let harness =
        harness(super::super::limits::Limits { linger: hour, grace: hour, ..patient() }).await;
    let mut idle = harness.connect_peer().await;
    harness.stop.cancel();
    soon(harness.task).await.unwrap();
    closed(&mut idle).await;
}

#[tokio::test]
async fn a_request_that_does_not_end_is_cut_off_at_last() {
    let limits = super::super::limits::Limits { grace: Duration::from_millis(50), ..patient() };
    let harness = harness(limits).await;
    let mut busy = harness.begin_pull().await;
    until(async || harness.handler.started.load(Ordering::SeqCst) == 1).await;
    harness.stop.cancel();
    soon(harness.task).await.unwrap();
    assert!(soon(try_reply(&mut busy)).await.is_none());
}

#[test]
fn a_panic_in_a_request_ends_the_process() {
    let mut process = std::process::Command::new(std::env::current_exe().unwrap());
    process.args(["--ignored", "--exact", "rpc::tests::life::process_that_panics"]);
    let output = process.output().unwrap();
    assert_eq!(output.status.code(), Some(70), "{output:?}");
}

#[tokio::test]
#[ignore = "ends the process; run by the test above"]
async fn process_that_panics() {
    crate::service::exit_on_panic();
    let harness = harness(patient()).await;
    harness.call_as_peer("panic").await;
}

#[tokio::test]
async fn callers_unknown_to_the_tailnet_are_not_served() {
    let harness = harness(patient()).await;
    harness.handler.knows_callers.store(false, Ordering::SeqCst);
    let mut stream = harness.connect().await;
    // It may be closed before this is written.
    drop(stream.write_all(harness.peer_post("sync.peer_info").as_bytes()).await);
    assert!(soon(try_reply(&mut stream)).await.is_none());
}

#[tokio::test]
async fn a_port_in_use_is_reported_and_retried() {
    let other = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = other.local_addr().unwrap().port();
    let mut harness = start(patient(), port);
    let problem = soon(harness.problem.wait_for(Option::is_some)).await.unwrap().clone().unwrap();
    assert!(problem.contains(&port.to_string()) && problem.contains("THRUM_TS_PORT"), "{problem}");
    assert!(harness.bound.borrow().is_empty());
    drop(other);
    let bound = soon(harness.bound.wait_for(|bound| !bound.is_empty())).await.unwrap()[0];
    assert_eq!(bound.port(), port);
    soon(harness.problem.wait_for(Option::is_none)).await.unwrap();
}

#[tokio::test]
async fn listeners_follow_the_addresses_of_the_tailnet() {
    let mut harness = harness(patient()).await;
    let port = harness.address.port();
    harness.presence.send_replace(up(&["127.0.0.1", "127.0.0.2"]));
    soon(harness.bound.wait_for(|bound| bound.len() == 2)).await.unwrap();
    assert!(harness.bound.borrow().iter().all(|address| address.port() == port));
    soon(TcpStream::connect(("127.0.0.2", port))).await.unwrap();
    harness
        .presence
        .send_replace(Presence::Waiting { reason: "logged out".into(), starting: false });
    soon(harness.bound.wait_for(Vec::is_empty)).await.unwrap();
    assert!(TcpStream::connect(harness.address).await.is_err());
    harness.presence.send_replace(up(&["127.0.0.1"]));
    soon(harness.bound.wait_for(|bound| bound.len() == 1)).await.unwrap();
    assert_eq!(harness.call_as_peer("sync.peer_info").await.status, 200);
}
