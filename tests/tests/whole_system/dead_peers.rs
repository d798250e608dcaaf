//! A peer that dies is noticed although nobody writes.

use std::net::TcpListener;
use tests::harness::pair_request;
use thrumd::keys::SecretKey;

use tests::harness::{Daemon, SHORT, Setup, converge, eventually, holds, in_sync, pair};
use thrum_api::local::PeerState;
use thrum_api::peer::{PairRequest, PeerInfoParams, SyncPeerInfo};

/// Daemons that never ask each other periodically while a test runs.
fn quiet_pair() -> (Daemon, Daemon) {
    let quiet = |name| {
        Setup::new(name).env("THRUM_SYNC_INTERVAL", "24h").env("THRUM_SYNC_RECENT", "24h").start()
    };
    let (laptop, server) = (quiet("laptop"), quiet("server"));
    pair(&laptop, &server);
    laptop.append(["shared"]);
    converge(SHORT, &[&laptop, &server]);
    in_sync(&[&laptop, &server]);
    (laptop, server)
}

fn is(daemon: &Daemon, peer: thrum_api::DaemonId, state: PeerState) -> Result<(), String> {
    let peer = daemon.peer(peer)?;
    holds(peer.state == state, || format!("{peer:?}"))
}

#[test]
fn a_killed_peer_is_noticed_although_nobody_writes_and_so_is_its_return() {
    let (laptop, mut server) = quiet_pair();
    let id = server.id();
    for _ in 0..2 {
        server.kill();
        eventually(SHORT, || is(&laptop, id, PeerState::BackingOff));
        let status = laptop.status();
        assert_eq!((status.sync.in_sync, status.sync.connected), (0, 0), "{status:?}");
        laptop.reports("server unreachable").unwrap();
        server.start_again();
        eventually(SHORT, || is(&laptop, id, PeerState::InSync));
        in_sync(&[&laptop, &server]);
    }
}

#[test]
fn both_sides_of_a_pairing_notice_the_death_of_the_other() {
    let (mut laptop, server) = quiet_pair();
    let id = laptop.id();
    laptop.kill();
    eventually(SHORT, || is(&server, id, PeerState::BackingOff));
}

#[test]
fn a_restart_is_no_warning() {
    let (laptop, mut server) = quiet_pair();
    server.stop();
    server.start_again();
    in_sync(&[&laptop, &server]);
    let log = laptop.log_text();
    assert!(!log.contains(" WARN "), "{log}");
}

#[test]
fn a_peer_that_calls_and_has_closed_its_port_fills_no_log() {
    let daemon = Daemon::start("laptop");
    let closed = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let (code, key) = (Some(daemon.open_pairing().code), SecretKey::generate().unwrap());
    let id = key.id();
    let params = pair_request(&daemon, &key, code, "fake", &closed.to_string());
    let paired = daemon.stranger().call::<PairRequest>(&params).unwrap();
    let caller = daemon.stranger().with_token(paired.token);
    for _ in 0..2000 {
        caller.call::<SyncPeerInfo>(&PeerInfoParams::default()).unwrap();
    }
    eventually(SHORT, || is(&daemon, id, PeerState::BackingOff));
    let log = daemon.log_text();
    let about = log.lines().filter(|line| line.contains(" sync: ") && line.contains("INFO"));
    let lines: Vec<_> = about.filter(|line| line.contains(&id.to_string())).collect();
    assert!(
        (1..=5).contains(&lines.len()),
        "{} lines: {:#?}",
        lines.len(),
        &lines[..6.min(lines.len())]
    );
}
