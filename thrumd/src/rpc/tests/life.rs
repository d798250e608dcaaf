use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::io::AsyncWriteExt as _;
use tokio::net::{TcpListener, TcpStream};

use super::lab::{closed, lab, patient, reply, soon, start, try_reply, until, up};
use crate::tailnet::Presence;

#[tokio::test]
async fn a_caller_that_hangs_up_does_not_cancel_its_request() {
    let lab = lab(patient()).await;
    let mut stream = lab.connect().await;
    stream.write_all(lab.peer_post("sync.pull").as_bytes()).await.unwrap();
    until(|| lab.double.started.load(Ordering::SeqCst) == 1).await;
    drop(stream);
    // Long enough for the other side to see it; the outcome does not depend on it.
    tokio::time::sleep(Duration::from_millis(20)).await;
    lab.double.go_on.add_permits(1);
    until(|| lab.double.finished.load(Ordering::SeqCst) == 1).await;
}

#[tokio::test]
async fn a_peer_that_is_removed_while_its_body_comes_is_refused() {
    let lab = lab(patient()).await;
    let text = lab.peer_post("sync.peer_info");
    let (begin, rest) = text.split_at(text.len() - 5);
    let mut stream = lab.connect().await;
    stream.write_all(begin.as_bytes()).await.unwrap();
    until(|| lab.double.authenticated.load(Ordering::SeqCst) == 1).await;
    lab.double.removed.store(true, Ordering::SeqCst);
    stream.write_all(rest.as_bytes()).await.unwrap();
    let refused = reply(&mut stream).await;
    assert_eq!((refused.status, refused.code()), (401, -32001));
}

#[tokio::test]
async fn stopping_finishes_the_requests_under_way() {
    let mut lab = lab(patient()).await;
    let mut fresh = lab.connect().await;
    let mut idle = lab.connect().await;
    idle.write_all(lab.peer_post("sync.peer_info").as_bytes()).await.unwrap();
    assert_eq!(reply(&mut idle).await.status, 200);
    let mut busy = lab.connect().await;
    busy.write_all(lab.peer_post("sync.pull").as_bytes()).await.unwrap();
    until(|| lab.double.started.load(Ordering::SeqCst) == 1).await;
    lab.stop.send(true).unwrap();
    soon(lab.bound.wait_for(Vec::is_empty)).await.unwrap();
    assert!(TcpStream::connect(lab.address).await.is_err(), "nothing listens any more");
    closed(&mut fresh).await;
    closed(&mut idle).await;
    assert!(!lab.task.is_finished());
    lab.double.go_on.add_permits(1);
    assert_eq!(reply(&mut busy).await.status, 200);
    drop((busy, idle, fresh));
    soon(lab.task).await.unwrap();
}

#[tokio::test]
async fn a_caller_that_keeps_an_idle_connection_does_not_hold_up_the_end() {
    let hour = Duration::from_secs(3600);
    let lab = lab(super::super::limits::Limits { linger: hour, grace: hour, ..patient() }).await;
    let mut idle = lab.connect().await;
    idle.write_all(lab.peer_post("sync.peer_info").as_bytes()).await.unwrap();
    assert_eq!(reply(&mut idle).await.status, 200);
    lab.stop.send(true).unwrap();
    soon(lab.task).await.unwrap();
    closed(&mut idle).await;
}

#[tokio::test]
async fn a_request_that_does_not_end_is_cut_off_at_last() {
    let limits = super::super::limits::Limits { grace: Duration::from_millis(50), ..patient() };
    let lab = lab(limits).await;
    let mut busy = lab.connect().await;
    busy.write_all(lab.peer_post("sync.pull").as_bytes()).await.unwrap();
    until(|| lab.double.started.load(Ordering::SeqCst) == 1).await;
    lab.stop.send(true).unwrap();
    soon(lab.task).await.unwrap();
    assert!(soon(try_reply(&mut busy)).await.is_none());
}

#[tokio::test]
async fn a_panic_in_a_request_ends_the_surface() {
    let lab = lab(patient()).await;
    let reply = lab.call_as_peer("panic").await;
    assert_eq!(reply.code(), -32603);
    assert!(soon(lab.task).await.unwrap_err().is_panic());
}

#[tokio::test]
async fn nobody_is_served_whom_the_tailnet_does_not_know() {
    let lab = lab(patient()).await;
    lab.double.knows_callers.store(false, Ordering::SeqCst);
    let mut stream = lab.connect().await;
    // It may be closed before this is written.
    drop(stream.write_all(lab.peer_post("sync.peer_info").as_bytes()).await);
    assert!(soon(try_reply(&mut stream)).await.is_none());
}

#[tokio::test]
async fn a_taken_port_is_told_and_tried_again() {
    let other = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = other.local_addr().unwrap().port();
    let mut lab = start(patient(), port);
    let problem = soon(lab.problem.wait_for(Option::is_some)).await.unwrap().clone().unwrap();
    assert!(problem.contains(&port.to_string()) && problem.contains("THRUM_TS_PORT"), "{problem}");
    assert!(lab.bound.borrow().is_empty());
    drop(other);
    let bound = soon(lab.bound.wait_for(|bound| !bound.is_empty())).await.unwrap()[0];
    assert_eq!(bound.port(), port);
    soon(lab.problem.wait_for(Option::is_none)).await.unwrap();
}

#[tokio::test]
async fn listeners_follow_the_addresses_of_the_tailnet() {
    let mut lab = lab(patient()).await;
    let port = lab.address.port();
    lab.presence.send_replace(up(&["127.0.0.1", "127.0.0.2"]));
    soon(lab.bound.wait_for(|bound| bound.len() == 2)).await.unwrap();
    assert!(lab.bound.borrow().iter().all(|address| address.port() == port));
    soon(TcpStream::connect(("127.0.0.2", port))).await.unwrap();
    lab.presence.send_replace(Presence::Waiting { why: "logged out".into(), passing: false });
    soon(lab.bound.wait_for(Vec::is_empty)).await.unwrap();
    assert!(TcpStream::connect(lab.address).await.is_err());
    lab.presence.send_replace(up(&["127.0.0.1"]));
    soon(lab.bound.wait_for(|bound| bound.len() == 1)).await.unwrap();
    assert_eq!(lab.call_as_peer("sync.peer_info").await.status, 200);
}
