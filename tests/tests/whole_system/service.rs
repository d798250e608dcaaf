//! The daemon as a service manager and a person at a shell see it.

use std::os::unix::net::UnixDatagram;
use std::process::Stdio;

use rustix::process::Signal;
use tests::harness::{
    Client, Daemon, SHORT, Setup, converge, eventually, holds, pair, process, uninterrupted,
};

#[test]
fn readiness_is_told_when_the_socket_answers_and_stopping_when_it_ends() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("notify");
    let manager = UnixDatagram::bind(&path).unwrap();
    manager.set_read_timeout(Some(SHORT)).unwrap();
    let mut daemon = Setup::new("laptop").env("NOTIFY_SOCKET", path.display()).start();
    let mut said = String::new();
    let mut until = |word: &str| {
        let mut bytes = [0; 4096];
        while !said.contains(word) {
            let count = uninterrupted(|| manager.recv(&mut bytes))
                .unwrap_or_else(|error| panic!("no {word} in {said}: {error}"));
            said.push_str(&String::from_utf8_lossy(&bytes[..count]));
            said.push('\n');
        }
    };
    until("READY=1");
    until("STATUS=");
    daemon.stop();
    until("STOPPING=1");
}

#[test]
fn every_ending_signal_ends_it_in_order() {
    for signal in [Signal::TERM, Signal::INT] {
        let mut daemon = Daemon::start("laptop");
        daemon.append(0..500);
        process::signal(daemon.pid(), signal);
        assert!(daemon.ended().success(), "{signal:?}");
        assert!(!daemon.socket().exists(), "{signal:?} leaves a socket");
        daemon.start_again();
        assert_eq!(daemon.texts().len(), 500, "{signal:?}");
    }
}

#[test]
fn stopping_does_not_wait_for_those_who_wait() {
    let mut daemon = Daemon::start("laptop");
    let mut waiting = Client::new(&daemon)
        .command(&["wait", "--as", "coder", "--timeout", "10m"])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let events = daemon.folder().join("events.out");
    let mut following = Client::new(&daemon)
        .command(&["events", "--follow", "--after", "0"])
        .stdout(std::fs::File::create(&events).unwrap())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    eventually(SHORT, || daemon.has_agent("coder"));
    // Connected before the stop: a command that finds no daemon ends.
    let printed = || std::fs::read_to_string(&events).unwrap();
    eventually(SHORT, || holds(printed().contains("agent.joined"), printed));
    assert!(daemon.stop().success());
    // Both wait a restart out.
    assert!(following.try_wait().unwrap().is_none());
    following.kill().unwrap();
    following.wait().unwrap();
    daemon.start_again();
    daemon.thrum(&["send", "--as", "planner", "coder", "after the restart"]).exits(0);
    let ended =
        eventually(SHORT, || waiting.try_wait().unwrap().ok_or_else(|| "still waiting".to_owned()));
    assert!(ended.success(), "{ended:?}");
}

#[test]
fn the_configuration_shows_each_value_and_where_it_came_from() {
    let daemon = Setup::new("laptop").env("THRUM_SYNC_INTERVAL", "7m").prepare();
    let mut command = daemon.command();
    let shown = command.arg("--print-config").stdout(Stdio::piped()).output().unwrap();
    let text = String::from_utf8_lossy(&shown.stdout);
    assert!(shown.status.success(), "{text}");
    let line = |word: &str| text.lines().find(|line| line.contains(word)).unwrap_or_default();
    assert!(line("THRUM_SYNC_INTERVAL").contains("7m"), "{text}");
    assert!(line("sync_recent").contains("2m"), "{text}");
    assert!(!daemon.state().exists(), "looking at settings makes nothing");
}

#[test]
fn a_port_that_is_taken_is_named_and_no_reason_to_die() {
    let (taken, daemon) = (Daemon::start("first"), Daemon::start("second"));
    pair(&taken, &daemon);
    let third = Setup::new("third").env("THRUM_TS_PORT", taken.peer_address().port()).start();
    let port = taken.peer_address().port().to_string();
    let error = third.call::<thrum_api::local::PeerAdd>(thrum_api::Empty {}).unwrap_err();
    assert!(error.to_string().contains(&port), "{error}");
    third.append(["still serves this machine"]);
    third.reports(&port).unwrap();
}

#[test]
fn removing_a_peer_asks_and_without_a_terminal_names_the_flag() {
    let (laptop, server) = tests::harness::paired_daemons();
    let ran = laptop.thrum(&["peer", "remove", "server"]);
    assert_ne!(ran.code, Some(0));
    assert!(ran.stderr.contains("--yes"), "{}", ran.stderr);
    assert!(laptop.has_peer(&server).is_ok(), "nothing was changed");
    laptop.thrum(&["peer", "remove", "server", "--dry-run"]).exits(0);
    assert!(laptop.has_peer(&server).is_ok(), "nothing was changed");
    let ran = laptop.thrum(&["peer", "remove", "sever", "--yes"]).exits(1);
    assert!(ran.stderr.contains("thrum peer list"), "{}", ran.stderr);
    assert!(ran.stderr.contains("did you mean \"server\"?"), "{}", ran.stderr);
    let ran = laptop.thrum(&["peer", "remove", "zebra", "--yes"]).exits(1);
    assert!(!ran.stderr.contains("did you mean"), "{}", ran.stderr);
    laptop.thrum(&["peer", "remove", "server", "--yes"]).exits(0);
    assert!(laptop.has_peer(&server).is_err());
}

#[test]
fn peers_can_be_synced_by_hand() {
    let (laptop, server) = tests::harness::paired_daemons();
    laptop.append(["news"]);
    laptop.thrum(&["peer", "sync"]).exits(0);
    laptop.thrum(&["peer", "sync", "server"]).exits(0);
    laptop.thrum(&["peer", "sync", "nobody"]).exits(1);
    converge(SHORT, &[&laptop, &server]);
}
