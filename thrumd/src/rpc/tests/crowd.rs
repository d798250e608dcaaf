use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpSocket, TcpStream};

use super::super::limits::Limits;
use super::harness::{
    Harness, LARGE, accepted, advance, body, closed, harness, patient, post, reply, soon, until,
    waiting,
};

const SECOND: Duration = Duration::from_secs(1);

#[tokio::test]
async fn a_peer_is_served_beside_2000_idle_unauthenticated_connections() {
    let harness = harness(patient()).await;
    let mut friend = harness.connect_peer().await;
    let mut idle = Vec::new();
    for number in 0..2000 {
        idle.push(harness.connect().await);
        if number % 500 == 0 {
            assert_eq!(harness.call_as_peer("sync.peer_info").await.status, 200);
        }
        // The test and the server share one limit of open files.
        if idle.len() > 300 {
            closed(&mut idle.remove(0)).await;
        }
    }
    assert_eq!(harness.call_as_peer("sync.peer_info").await.status, 200);
    // The peer's connection, older than all of them, was not closed.
    harness.ask_on(&mut friend).await;
}

#[tokio::test]
async fn the_oldest_unauthenticated_connection_is_closed_when_slots_run_out() {
    let harness = harness(Limits { connections: 3, ..patient() }).await;
    let mut idle = Vec::new();
    for _ in 0..5 {
        idle.push(harness.connect().await);
    }
    closed(&mut idle[0]).await;
    closed(&mut idle[1]).await;
    harness.ask_on(&mut idle[4]).await;
}

#[tokio::test]
async fn a_burst_of_connections_never_has_more_files_open_than_slots_and_accept_permits() {
    let harness = harness(Limits { connections: 3, closing: 2, ..patient() }).await;
    let most = Arc::new(AtomicUsize::new(0));
    let (port, seen) = (harness.address.port(), Arc::clone(&most));
    let count = move || {
        seen.fetch_max(accepted(port), Ordering::SeqCst);
    };
    assert!(harness.handler.on_whois.set(Box::new(count)).is_ok());
    // They wait in the system's queue: nothing else runs on this thread meanwhile.
    let burst: Vec<_> =
        (0..30).map(|_| std::net::TcpStream::connect(harness.address).unwrap()).collect();
    // The newest three keep their slots, the others are closed.
    until(async || accepted(port) == 3 && waiting(port) == 0).await;
    let most = most.load(Ordering::SeqCst);
    assert!((3..=5).contains(&most), "{most} were open at once");
    drop(burst);
}

#[tokio::test]
async fn peers_that_keep_connections_leave_slots_for_others() {
    let harness = harness(Limits { connections: 4, peer_connections: 3, ..patient() }).await;
    let mut newcomer = harness.connect_as(1).await;
    let mut friends = [harness.connect_peer().await, harness.connect_peer().await];
    // Used last, although it is the older one.
    harness.ask_on(&mut friends[0]).await;
    let mut next = harness.connect_as(2).await;
    // Of the peer that has most, the one that was idle for longest.
    closed(&mut friends[1]).await;
    // A stranger is served, and takes no slot of a peer.
    let mut stranger = harness.connect().await;
    stranger.write_all(post("", &body("pair.request", "{}")).as_bytes()).await.unwrap();
    assert_eq!(reply(&mut stranger).await.status, 200);
    harness.ask_on(&mut friends[0]).await;
    harness.ask_as(1, &mut newcomer).await;
    harness.ask_as(2, &mut next).await;
}

#[tokio::test]
async fn no_peer_loses_its_slot_while_it_is_answered() {
    let harness = harness(Limits { connections: 2, peer_connections: 1, ..patient() }).await;
    let mut busy = [harness.begin_pull().await, harness.begin_pull().await];
    until(async || harness.handler.started.load(Ordering::SeqCst) == 2).await;
    closed(&mut harness.connect().await).await;
    harness.handler.go_on.add_permits(2);
    for stream in &mut busy {
        assert_eq!(reply(stream).await.status, 200);
    }
    harness.ask_on(&mut busy[0]).await;
}

#[tokio::test]
async fn a_peer_for_which_no_slot_is_left_is_answered_and_displaces_nobody() {
    let harness = harness(Limits { connections: 4, peer_connections: 2, ..patient() }).await;
    let mut kept = [harness.connect_as(0).await, harness.connect_as(1).await];
    for _ in 0..5 {
        let mut late = harness.connect().await;
        late.write_all(harness.post_as(2, "sync.peer_info").as_bytes()).await.unwrap();
        let reply = reply(&mut late).await;
        assert_eq!(reply.status, 200);
        assert!(reply.head.to_lowercase().contains("connection: close"), "{}", reply.head);
        closed(&mut late).await;
    }
    for (number, stream) in kept.iter_mut().enumerate() {
        harness.ask_as(number, stream).await;
    }
    // One ends: the next keeps its connection.
    let [first, mut second] = kept;
    drop(first);
    until(async || accepted(harness.address.port()) == 1).await;
    let mut next = harness.connect_as(2).await;
    harness.ask_as(2, &mut next).await;
    harness.ask_as(1, &mut second).await;
}

#[tokio::test]
async fn strangers_get_few_of_many_slots() {
    let harness = harness(Limits { unauthenticated: 2, ..patient() }).await;
    let mut friend = harness.connect_peer().await;
    let mut strangers = Vec::new();
    for _ in 0..3 {
        strangers.push(harness.connect().await);
    }
    closed(&mut strangers[0]).await;
    harness.ask_on(&mut strangers[2]).await;
    harness.ask_on(&mut friend).await;
}

#[test]
fn the_limits_follow_that_of_open_files() {
    let of = |descriptors| {
        let limits = Limits::within(descriptors);
        (limits.connections, limits.peer_connections, limits.unauthenticated, limits.closing)
    };
    assert_eq!(of(1024), (256, 224, 256, 32));
    assert_eq!(of(8192), (1024, 896, 256, 32));
    assert_eq!(of(usize::MAX), (1024, 896, 256, 32));
    assert_eq!(of(128), (32, 28, 32, 4));
    assert_eq!(of(0), (16, 14, 16, 2));
}

#[tokio::test]
async fn a_peer_that_opens_too_many_connections_loses_the_one_that_was_idle_for_longest() {
    let harness = harness(Limits { connections_per_peer: 2, ..patient() }).await;
    let mut friends = [harness.connect_peer().await, harness.connect_peer().await];
    harness.ask_on(&mut friends[0]).await;
    let mut newest = harness.connect_peer().await;
    closed(&mut friends[1]).await;
    harness.ask_on(&mut friends[0]).await;
    harness.ask_on(&mut newest).await;
}

#[tokio::test]
async fn idle_unauthenticated_connections_are_closed_and_idle_peers_are_not() {
    let harness = harness(patient()).await;
    let mut friend = harness.connect_peer().await;
    // Silent from the start, and silent after a request.
    let mut silent = harness.connect().await;
    let mut asked = harness.connect().await;
    asked.write_all(post("", &body("pair.request", "{}")).as_bytes()).await.unwrap();
    assert_eq!(reply(&mut asked).await.status, 200);
    advance(patient().unauthenticated_idle + SECOND).await;
    closed(&mut silent).await;
    closed(&mut asked).await;
    harness.ask_on(&mut friend).await;
}

#[tokio::test]
async fn a_peer_keeps_its_idle_connection_until_it_is_removed() {
    let harness = harness(patient()).await;
    let mut friend = harness.connect_peer().await;
    advance(Duration::from_secs(7 * 24 * 3600)).await;
    harness.ask_on(&mut friend).await;
    harness.handler.remove();
    // The connection learns of it some time later.
    let ends = async { closed(&mut friend).await };
    let time_passes = async {
        loop {
            advance(patient().unauthenticated_idle + SECOND).await;
            tokio::task::yield_now().await;
        }
    };
    tokio::select! {
        () = ends => {}
        () = time_passes => {}
    }
}

#[tokio::test]
async fn a_peer_that_is_removed_while_its_token_is_checked_keeps_no_slot() {
    let harness = harness(patient()).await;
    harness.handler.removed_meanwhile.store(true, Ordering::SeqCst);
    let mut late = harness.connect().await;
    late.write_all(harness.peer_post("sync.peer_info").as_bytes()).await.unwrap();
    assert_eq!(reply(&mut late).await.status, 401);
    // Nothing tells the connection a second time.
    advance(patient().unauthenticated_idle + SECOND).await;
    closed(&mut late).await;
}

#[tokio::test]
async fn a_peer_that_does_not_read_its_answer_is_disconnected() {
    let harness = harness(Limits { requests_per_peer: 1, ..patient() }).await;
    let _lazy = ask_without_reading(&harness).await;
    assert_eq!(harness.call_as_peer("sync.peer_info").await.status, 429);
    advance(patient().peer_reading + SECOND).await;
    soon(async { while harness.call_as_peer("sync.peer_info").await.status != 200 {} }).await;
}

#[tokio::test]
async fn the_fifth_request_at_once_is_refused_and_other_peers_go_on() {
    let harness = harness(patient()).await;
    let mut busy = Vec::new();
    for _ in 0..4 {
        busy.push(harness.begin_pull().await);
    }
    until(async || harness.handler.started.load(Ordering::SeqCst) == 4).await;
    let fifth = harness.call_as_peer("sync.peer_info").await;
    assert_eq!((fifth.status, fifth.code()), (429, -32008));
    let params = format!(r#"{{"token":"{}"}}"#, harness.token());
    let fifth = harness.call("sync.peer_info", &params).await;
    assert_eq!((fifth.status, fifth.code()), (429, -32008));
    let params = format!(r#"{{"token":"{}"}}"#, harness.handler.tokens[1].0);
    assert_eq!(harness.call("sync.peer_info", &params).await.status, 200);
    harness.handler.go_on.add_permits(4);
    for mut stream in busy {
        assert_eq!(reply(&mut stream).await.status, 200);
    }
    soon(async { while harness.call_as_peer("sync.peer_info").await.status != 200 {} }).await;
}

#[tokio::test]
async fn unread_answers_count_as_requests() {
    let harness = harness(patient()).await;
    let mut lazy = Vec::new();
    for _ in 0..4 {
        lazy.push(ask_without_reading(&harness).await);
    }
    assert_eq!(harness.call_as_peer("sync.peer_info").await.status, 429);
    drop(lazy.split_off(2));
    soon(async { while harness.call_as_peer("sync.peer_info").await.status != 200 {} }).await;
    for stream in &mut lazy {
        assert_eq!(read_large(stream).await, *LARGE);
    }
    soon(async { while harness.call_as_peer("sync.peer_info").await.status != 200 {} }).await;
}

/// Asks for a large answer and returns when it has begun to arrive: kernel buffers are filling, and
/// can't hold all of it.
async fn ask_without_reading(harness: &Harness) -> TcpStream {
    let socket = TcpSocket::new_v4().unwrap();
    // A size that was set stays as it is; else the kernel may make it larger.
    socket.set_recv_buffer_size(64 * 1024).unwrap();
    let mut stream = soon(socket.connect(harness.address)).await.unwrap();
    stream.write_all(harness.peer_post("large").as_bytes()).await.unwrap();
    assert_eq!(soon(stream.peek(&mut [0])).await.unwrap(), 1);
    stream
}

/// Reads the text of a large answer and counts it.
async fn read_large(stream: &mut TcpStream) -> usize {
    let (mut count, mut chunk) = (0, vec![0; 1 << 20]);
    while count < *LARGE {
        let read = soon(stream.read(&mut chunk)).await.unwrap();
        assert_ne!(read, 0, "the answer broke off");
        count += chunk[..read].iter().filter(|byte| **byte == b'x').count();
    }
    count
}
