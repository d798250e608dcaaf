//! Crashes, full disks and second daemons.

use std::collections::BTreeSet;

use tests::harness::{
    Daemon, LONG, SHORT, Setup, Tmpfs, converge, eventually, holds, output_within, pair, process,
    skip, while_appending,
};
use thrum_api::local::{PeerStatus, SyncFailureKind};
use thrum_api::{ErrorCode, Sequence};

#[test]
fn every_acknowledged_append_survives_kill_9() {
    let mut daemon = Daemon::start("laptop");
    let mut acknowledged = BTreeSet::new();
    for round in 0..12 {
        let before = acknowledged.len();
        let ((), rest) = while_appending(&daemon, round, |confirmed| {
            // At another one each round: in the first commits, and with a long log.
            acknowledged.extend(confirmed.iter().take(round * 8 + 1));
            process::signal(daemon.pid(), rustix::process::Signal::KILL);
        });
        assert!(acknowledged.len() > before + round * 8, "appends were refused before the kill");
        acknowledged.extend(rest);
        daemon.ended();
        daemon.start_again();
        let events = daemon.events();
        for (position, event) in events.iter().enumerate() {
            assert_eq!(event.sequence, Sequence(position as u64 + 1), "a gap in the log");
        }
        let texts = daemon.texts();
        let held: BTreeSet<_> = texts.iter().cloned().collect();
        assert_eq!(texts.len(), held.len(), "an append is there twice");
        let lost: Vec<_> = acknowledged.difference(&held).collect();
        assert!(lost.is_empty(), "round {round}: acknowledged and lost: {lost:?}");
    }
}

#[test]
fn kill_9_while_pulling_leaves_no_half_batch() {
    let laptop = Daemon::start("laptop");
    let mut server = Daemon::start("server");
    for part in 0..8 {
        laptop.append((0..1000).map(|n| part * 1000 + n));
    }
    pair(&laptop, &server);
    let mut held = Sequence::ZERO;
    while held < Sequence(8000) {
        // One page has come, and the next is being written.
        held = eventually(SHORT, || {
            let here = server.health().head_seq;
            holds(here > held, || format!("nothing came after {held}")).map(|()| here)
        });
        server.kill();
        server.start_again();
    }
    assert_eq!(converge(LONG, &[&laptop, &server]), 8000);
    assert_eq!(server.status().log.quarantined, 0);
}

#[test]
fn a_full_disk_refuses_appends_and_recovers_by_itself() {
    let disk = match Tmpfs::mount(8) {
        Ok(disk) => disk,
        Err(reason) => return skip(&reason),
    };
    let mut daemon = Setup::new("laptop").state_in(disk.path()).start();
    daemon.append(["before"]);
    let filler = disk.fill();
    let error = eventually(SHORT, || match daemon.try_append(["x".repeat(100_000)]) {
        Ok(_) => Err("appends go on with a full disk".to_owned()),
        Err(error) => Ok(error),
    });
    assert_eq!(error.code(), Some(ErrorCode::STORAGE), "{error}");
    assert!(error.to_string().contains("full"), "{error}");
    let held = daemon.texts();
    assert_eq!(held.first().map(String::as_str), Some("before"), "reading goes on");
    assert_eq!(daemon.health().pid, daemon.pid());

    std::fs::remove_file(filler).unwrap();
    eventually(SHORT, || daemon.try_append(["after"]).map_err(|error| error.to_string()));
    daemon.kill();
    daemon.start_again();
    let texts = daemon.texts();
    assert_eq!(texts.len(), held.len() + 1);
    assert_eq!(texts.last().map(String::as_str), Some("after"));
}

#[test]
fn a_daemon_that_pulls_onto_a_full_disk_goes_on_when_there_is_space() {
    let disk = match Tmpfs::mount(6) {
        Ok(disk) => disk,
        Err(reason) => return skip(&reason),
    };
    let laptop = Daemon::start("laptop");
    let server = Setup::new("server").state_in(disk.path()).start();
    pair(&laptop, &server);
    let filler = disk.fill();
    for n in 0..20 {
        laptop.append([format!("{n} {}", "x".repeat(50_000))]);
    }
    eventually(SHORT, || {
        let peers = server.status().peers;
        let own = |peer: &PeerStatus| peer.trouble == Some(SyncFailureKind::Own);
        holds(peers.iter().any(own), || format!("{peers:?}"))
    });
    eventually(SHORT, || server.reports("can't store the events of laptop"));
    eventually(SHORT, || laptop.reports("server answers with an error"));
    std::fs::remove_file(filler).unwrap();
    assert_eq!(converge(LONG, &[&laptop, &server]), 20);
}

#[test]
fn a_second_daemon_on_the_same_state_directory_names_the_first() {
    let daemon = Daemon::start("laptop");
    daemon.append(["mine"]);
    let second = output_within(SHORT, &mut daemon.command()).unwrap();
    let text = String::from_utf8_lossy(&second.stderr);
    assert!(!second.status.success());
    assert!(text.contains(&daemon.pid().to_string()), "{text}");
    assert!(text.contains(&daemon.state().display().to_string()), "{text}");
    assert_eq!(daemon.texts(), ["mine"]);
}

#[test]
fn a_stale_socket_is_replaced_and_a_live_one_is_an_error() {
    let mut daemon = Daemon::start("laptop");
    daemon.kill();
    assert!(daemon.socket().exists(), "kill -9 leaves the socket file");
    daemon.start_again();

    let other = Setup::new("other").env("THRUM_SOCKET", daemon.socket().display()).prepare();
    let second = output_within(SHORT, &mut other.command()).unwrap();
    let text = String::from_utf8_lossy(&second.stderr);
    assert!(!second.status.success());
    assert!(text.contains(&daemon.socket().display().to_string()), "{text}");
    assert_eq!(daemon.health().pid, daemon.pid(), "the first one still has its socket");
}

#[test]
fn a_wrong_setting_ends_the_start_and_is_named_with_its_value_and_source() {
    for (name, value) in [
        ("THRUM_TS_PORT", "ninety"),
        ("THRUM_TS_ENABLED", "maybe"),
        ("THRUM_TAILNET", "carrier-pigeon"),
        ("THRUM_SYNC_RECENT", "soon"),
    ] {
        let daemon = Setup::new("laptop").env(name, value).prepare();
        let mut command = daemon.command();
        let ended = output_within(SHORT, command.env(name, value)).unwrap();
        let text = String::from_utf8_lossy(&ended.stderr);
        assert!(!ended.status.success());
        assert!(text.contains(name) && text.contains(value), "{name}={value}: {text}");
        assert!(!daemon.socket().exists());
    }
}

/// A page in the middle, which nothing else reads at start: as in a copy that was taken with `cp` during writes.
#[test]
fn a_malformed_log_is_found_at_start_and_the_way_out_is_named() {
    let mut daemon = Daemon::start("laptop");
    for part in 0..3 {
        daemon.append((0..1000).map(|n| format!("{part} {n} {}", "x".repeat(200))));
    }
    daemon.stop();
    let log = daemon.state().join("log.db");
    let good = std::fs::read(&log).unwrap();
    let mut bad = good.clone();
    let page = bad.len() / 4096 / 3 * 4096;
    bad[page..page + 4096].fill(0x5a);
    let copy = daemon.state().join("copy");
    std::fs::write(&copy, &bad).unwrap();
    std::fs::rename(&copy, &log).unwrap();
    let ended = output_within(SHORT, &mut daemon.command()).unwrap();
    let text = String::from_utf8_lossy(&ended.stderr);
    assert_eq!(ended.status.code(), Some(65), "no service manager starts it again: {text}");
    assert!(text.contains("damaged") && text.contains("thrum restore FILE"), "{text}");
    assert!(!daemon.socket().exists());
    assert_eq!(std::fs::read(&log).unwrap(), bad, "it is left as it is");

    std::fs::write(&log, good).unwrap();
    daemon.start_again();
    assert_eq!(daemon.texts().len(), 3000);
}
