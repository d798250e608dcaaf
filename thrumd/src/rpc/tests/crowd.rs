use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use super::super::limits::Limits;
use super::lab::{LARGE, closed, lab, patient, reply, soon, until};

#[tokio::test]
async fn a_peer_is_served_while_2000_idle_strangers_hold_on() {
    let lab = lab(patient()).await;
    let mut friend = lab.connect().await;
    friend.write_all(lab.peer_post("sync.peer_info").as_bytes()).await.unwrap();
    assert_eq!(reply(&mut friend).await.status, 200);
    let mut strangers = Vec::new();
    for number in 0..2000 {
        strangers.push(lab.connect().await);
        if number % 500 == 0 {
            assert_eq!(lab.call_as_peer("sync.peer_info").await.status, 200);
        }
        // The test and what it tests share the limit of open files.
        if strangers.len() > 300 {
            closed(&mut strangers.remove(0)).await;
        }
    }
    assert_eq!(lab.call_as_peer("sync.peer_info").await.status, 200);
    // The friend's connection, older than all of them, was not given away.
    friend.write_all(lab.peer_post("sync.peer_info").as_bytes()).await.unwrap();
    assert_eq!(reply(&mut friend).await.status, 200);
}

#[tokio::test]
async fn the_oldest_stranger_goes_when_all_seats_are_taken() {
    let lab = lab(Limits { connections: 3, ..patient() }).await;
    let mut strangers = Vec::new();
    for _ in 0..5 {
        strangers.push(lab.connect().await);
    }
    closed(&mut strangers[0]).await;
    closed(&mut strangers[1]).await;
    strangers[4].write_all(lab.peer_post("sync.peer_info").as_bytes()).await.unwrap();
    assert_eq!(reply(&mut strangers[4]).await.status, 200);
}

#[tokio::test]
async fn a_burst_of_connections_never_has_more_files_open_than_seats_and_doors() {
    let lab = lab(Limits { connections: 3, leaving: 2, ..patient() }).await;
    let most = Arc::new(AtomicUsize::new(0));
    let (port, seen) = (lab.address.port(), Arc::clone(&most));
    let look = move || {
        seen.fetch_max(accepted(port), Ordering::SeqCst);
    };
    assert!(lab.double.on_whois.set(Box::new(look)).is_ok());
    // They wait in the system's queue: nothing else runs on this thread meanwhile.
    let burst: Vec<_> =
        (0..30).map(|_| std::net::TcpStream::connect(lab.address).unwrap()).collect();
    // The newest three keep their seats, the others are closed.
    until(|| accepted(port) == 3 && waiting(port) == 0).await;
    let most = most.load(Ordering::SeqCst);
    assert!((3..=5).contains(&most), "{most} were open at once");
    drop(burst);
}

/// Connections to a port that the server has taken up, by the system's own list.
fn accepted(port: u16) -> usize {
    connections(port).filter(|inode| inode != "0").count()
}

/// Connections to a port that the server has not taken up: they have no inode yet.
fn waiting(port: u16) -> usize {
    connections(port).filter(|inode| inode == "0").count()
}

fn connections(port: u16) -> impl Iterator<Item = String> {
    const ESTABLISHED: &str = "01";
    let table = std::fs::read_to_string("/proc/self/net/tcp").unwrap();
    let here = format!(":{port:04X}");
    let rows: Vec<_> = table
        .lines()
        .filter(|line| line.contains(&here))
        .map(|line| line.split_whitespace().collect::<Vec<_>>())
        .filter(|row| row.len() > 9 && row[1].ends_with(&here) && row[3] == ESTABLISHED)
        .map(|row| row[9].to_owned())
        .collect();
    rows.into_iter()
}

#[tokio::test]
async fn no_seat_of_a_peer_is_given_away() {
    let lab = lab(Limits { connections: 2, ..patient() }).await;
    let mut friends = Vec::new();
    for _ in 0..2 {
        let mut friend = lab.connect().await;
        friend.write_all(lab.peer_post("sync.peer_info").as_bytes()).await.unwrap();
        assert_eq!(reply(&mut friend).await.status, 200);
        friends.push(friend);
    }
    closed(&mut lab.connect().await).await;
    for friend in &mut friends {
        friend.write_all(lab.peer_post("sync.peer_info").as_bytes()).await.unwrap();
        assert_eq!(reply(friend).await.status, 200);
    }
}

#[tokio::test]
async fn a_peer_that_opens_too_many_connections_loses_its_oldest() {
    let lab = lab(Limits { connections_per_peer: 2, ..patient() }).await;
    let mut friends = Vec::new();
    for _ in 0..3 {
        let mut friend = lab.connect().await;
        friend.write_all(lab.peer_post("sync.peer_info").as_bytes()).await.unwrap();
        assert_eq!(reply(&mut friend).await.status, 200);
        friends.push(friend);
    }
    closed(&mut friends[0]).await;
    friends[1].write_all(lab.peer_post("sync.peer_info").as_bytes()).await.unwrap();
    assert_eq!(reply(&mut friends[1]).await.status, 200);
}

#[tokio::test]
async fn idle_strangers_are_cut_and_idle_peers_are_not() {
    let lab = lab(Limits { stranger_idle: Duration::from_millis(100), ..patient() }).await;
    let mut friend = lab.connect().await;
    friend.write_all(lab.peer_post("sync.peer_info").as_bytes()).await.unwrap();
    assert_eq!(reply(&mut friend).await.status, 200);
    // Silent from the start, and silent after a request.
    let mut silent = lab.connect().await;
    let mut asked = lab.connect().await;
    let text = super::lab::post("", &super::lab::body("pair.request", "{}"));
    asked.write_all(text.as_bytes()).await.unwrap();
    assert_eq!(reply(&mut asked).await.status, 200);
    closed(&mut silent).await;
    closed(&mut asked).await;
    friend.write_all(lab.peer_post("sync.peer_info").as_bytes()).await.unwrap();
    assert_eq!(reply(&mut friend).await.status, 200);
}

#[tokio::test]
async fn a_peer_is_cut_when_it_is_idle_for_long() {
    let quick = Duration::from_millis(50);
    let lab = lab(Limits { stranger_idle: quick, peer_idle: 2 * quick, ..patient() }).await;
    let mut friend = lab.connect().await;
    friend.write_all(lab.peer_post("sync.peer_info").as_bytes()).await.unwrap();
    assert_eq!(reply(&mut friend).await.status, 200);
    closed(&mut friend).await;
}

#[tokio::test]
async fn the_fifth_request_at_once_is_refused_and_other_peers_go_on() {
    let lab = lab(patient()).await;
    let mut busy = Vec::new();
    for _ in 0..4 {
        let mut stream = lab.connect().await;
        stream.write_all(lab.peer_post("sync.pull").as_bytes()).await.unwrap();
        busy.push(stream);
    }
    until(|| lab.double.started.load(Ordering::SeqCst) == 4).await;
    let fifth = lab.call_as_peer("sync.peer_info").await;
    assert_eq!((fifth.status, fifth.code()), (429, -32008));
    let params = format!(r#"{{"token":"{}"}}"#, lab.token());
    let fifth = lab.call("sync.peer_info", &params).await;
    assert_eq!((fifth.status, fifth.code()), (429, -32008));
    let params = format!(r#"{{"token":"{}"}}"#, lab.double.tokens[1].0);
    assert_eq!(lab.call("sync.peer_info", &params).await.status, 200);
    lab.double.go_on.add_permits(4);
    for mut stream in busy {
        assert_eq!(reply(&mut stream).await.status, 200);
    }
    soon(async { while lab.call_as_peer("sync.peer_info").await.status != 200 {} }).await;
}

#[tokio::test]
async fn answers_that_are_not_taken_count_as_requests() {
    let lab = lab(patient()).await;
    let mut lazy = Vec::new();
    for _ in 0..4 {
        let mut stream = lab.connect().await;
        stream.write_all(lab.peer_post("large").as_bytes()).await.unwrap();
        lazy.push(stream);
    }
    until(|| lab.double.finished.load(Ordering::SeqCst) == 4).await;
    // What the system takes is written by then.
    tokio::time::sleep(Duration::from_millis(100)).await;
    assert_eq!(lab.call_as_peer("sync.peer_info").await.status, 429);
    drop(lazy.split_off(2));
    soon(async { while lab.call_as_peer("sync.peer_info").await.status != 200 {} }).await;
    for stream in &mut lazy {
        assert_eq!(taken(stream).await, LARGE);
    }
    assert_eq!(lab.call_as_peer("sync.peer_info").await.status, 200);
}

/// Reads the text of a large answer and counts it.
async fn taken(stream: &mut tokio::net::TcpStream) -> usize {
    let (mut count, mut chunk) = (0, vec![0; 1 << 20]);
    while count < LARGE {
        let read = soon(stream.read(&mut chunk)).await.unwrap();
        assert_ne!(read, 0, "the answer broke off");
        count += chunk[..read].iter().filter(|byte| **byte == b'x').count();
    }
    count
}
