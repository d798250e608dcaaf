//! Files that a person removes or replaces under a running daemon: nothing is acknowledged that a restart would
//! lose.

use std::fs;
use std::path::{Path, PathBuf};

use tests::harness::{
    Client, Daemon, LONG, Ran, SHORT, converge, eventually, holds, pair, paired_daemons,
};
use thrum_api::ErrorCode;
use thrum_api::local::{PeerStatus, SyncFailureKind};

/// The state of the check `state_files` in `thrum doctor`.
#[track_caller]
fn doctor_says(client: &Client) -> String {
    let json = client.run(&["doctor", "--json"]).json();
    let checks = json["checks"].as_array().unwrap();
    let check = checks.iter().find(|check| check["id"] == "state_files").expect("the check");
    check["state"].as_str().unwrap().to_owned()
}

fn send(client: &Client) -> Ran {
    client.clone().env("THRUM_AGENT", "planner").run(&["send", "coder", "hello"])
}

/// Nothing is acknowledged, and everything says why.
#[track_caller]
pub(crate) fn is_refused(daemon: &Daemon, client: &Client, words: &str) {
    let refused = send(client).exits(1);
    assert!(refused.stderr.contains(words), "{words}: {}", refused.stderr);
    assert!(refused.stderr.contains("thrum daemon restart"), "{words}: {}", refused.stderr);
    client.run(&["status", "--check"]).exits(6);
    let status = client.run(&["status"]).stdout;
    assert!(status.contains("nothing is written"), "{words}: {status}");
    assert_eq!(doctor_says(client), "fail", "{words}");
    assert!(daemon.log_text().contains(words), "{words}");
}

#[track_caller]
pub(crate) fn is_healed(client: &Client) {
    assert_eq!(doctor_says(client), "ok");
    send(client).exits(0);
    // A peer that was refused meanwhile comes again by itself.
    eventually(LONG, || {
        let checked = client.run(&["status", "--check"]);
        holds(checked.code == Some(0), || client.run(&["status"]).stdout)
    });
}

/// Puts a copy of a file in its place, as a tool does that unpacks a backup, and gives the old one.
fn replace(path: &Path) -> PathBuf {
    let (copy, aside) = (path.with_extension("copy"), path.with_extension("aside"));
    fs::copy(path, &copy).unwrap();
    fs::rename(path, &aside).unwrap();
    fs::rename(&copy, path).unwrap();
    aside
}

#[test]
fn every_file_that_is_removed_stops_acknowledgements_until_it_is_back() {
    let (daemon, _peer) = paired_daemons();
    let client = Client::new(&daemon);
    is_healed(&client);
    let files = ["identity.json", "key.json", "peers.json", "thrumd.lock"];
    for name in ["log.db", "log.db-wal", "log.db-shm"].into_iter().chain(files) {
        let (path, aside) = (daemon.state().join(name), daemon.state().join("aside"));
        fs::rename(&path, &aside).unwrap();
        is_refused(&daemon, &client, &format!("{name} was removed"));
        fs::rename(&aside, &path).unwrap();
        is_healed(&client);
    }
}

#[test]
fn every_file_that_is_replaced_stops_acknowledgements_until_it_is_back() {
    let (daemon, _peer) = paired_daemons();
    let client = Client::new(&daemon);
    is_healed(&client);
    for name in ["log.db", "log.db-wal", "thrumd.lock"] {
        let path = daemon.state().join(name);
        let aside = replace(&path);
        is_refused(&daemon, &client, &format!("{name} was replaced"));
        fs::rename(&aside, &path).unwrap();
        is_healed(&client);
    }
    // The same contents are no change; others are.
    for name in ["key.json", "peers.json"] {
        let path = daemon.state().join(name);
        let aside = replace(&path);
        is_healed(&client);
        fs::write(&path, "{}").unwrap();
        is_refused(&daemon, &client, &format!("{name} was replaced"));
        assert!(send(&client).stderr.contains(&format!("{name}.held-")));
        fs::rename(&aside, &path).unwrap();
        is_healed(&client);
    }
}

#[test]
fn the_whole_directory_is_noticed_when_it_goes_and_when_it_is_back() {
    let daemon = Daemon::start("laptop");
    is_healed(&Client::new(&daemon));
    let moved = daemon.state().with_extension("moved");
    fs::rename(daemon.state(), &moved).unwrap();
    // The socket went with it.
    let client = Client::of_socket(moved.join("thrumd.sock"), daemon.folder().to_owned());
    is_refused(&daemon, &client, &format!("{} was removed", daemon.state().display()));
    fs::rename(&moved, daemon.state()).unwrap();
    is_healed(&Client::new(&daemon));
}

/// The files of the state directory whose names begin and end like that.
pub(crate) fn named(daemon: &Daemon, begin: &str, end: &str) -> Vec<PathBuf> {
    let entries = fs::read_dir(daemon.state()).unwrap().map(|entry| entry.unwrap());
    let is_one = |name: &str| name.starts_with(begin) && name.ends_with(end);
    entries
        .filter(|entry| is_one(&entry.file_name().to_string_lossy()))
        .map(|entry| entry.path())
        .collect()
}

#[test]
fn a_malformed_log_whose_file_was_removed_is_kept_aside() {
    let mut daemon = Daemon::start("laptop");
    daemon.append((0..500).map(|n| format!("{n} {}", "x".repeat(1000))));
    daemon.stop();
    daemon.start_again();
    let path = daemon.state().join("log.db");
    let mut bytes = fs::read(&path).unwrap();
    let middle = bytes.len() / 4096 / 2 * 4096;
    bytes[middle..middle + 4096].fill(0x5a);
    fs::write(&path, bytes).unwrap();
    fs::remove_file(&path).unwrap();
    is_refused(&daemon, &Client::new(&daemon), "was removed");
    daemon.stop();
    assert!(!path.exists(), "it would keep thrumd from starting");
    assert_eq!(named(&daemon, "log.db.held-", "").len(), 1);
    daemon.start_again();
    is_healed(&Client::new(&daemon));
}

#[test]
fn nothing_is_acknowledged_that_a_restart_would_lose() {
    let mut daemon = Daemon::start("laptop");
    daemon.append(["in the backup"]);
    let backup = daemon.backup_and_go_on();
    // A backup is unpacked over it, as tar does: each file is another one.
    for name in ["log.db", "log.db-wal", "log.db-shm"] {
        fs::remove_file(daemon.state().join(name)).unwrap();
    }
    fs::copy(backup.path().join("log.db"), daemon.state().join("log.db")).unwrap();
    for n in 0..3 {
        let error = daemon.try_append([n]).expect_err("it is written to a file that is gone");
        assert_eq!(error.code(), Some(ErrorCode::FILES_CHANGED), "{error}");
    }
    daemon.stop();
    daemon.start_again();
    assert_eq!(daemon.texts(), ["in the backup"]);
    // What was acknowledged after the backup was made is kept beside it.
    assert_eq!(named(&daemon, "log.db.held-", "").len(), 1);
    is_healed(&Client::new(&daemon));
}

#[test]
fn an_idle_daemon_logs_once_that_a_file_went_and_once_that_it_is_back() {
    let mut daemon = Daemon::start("laptop");
    daemon.stop();
    daemon.start_again();
    daemon.kill();
    daemon.start_again();
    assert!(!daemon.log_text().contains("WARN"), "{}", daemon.log_text());
    let (path, aside) = (daemon.state().join("log.db"), daemon.state().join("aside"));
    let lines = |words: &str| daemon.log_text().matches(words).count();
    let logged = |words: &'static str, times: usize| {
        eventually(SHORT, || holds(lines(words) == times, || daemon.log_text()));
    };
    for times in [1, 2] {
        fs::rename(&path, &aside).unwrap();
        logged("log.db was removed", times);
        fs::rename(&aside, &path).unwrap();
        logged("are those that thrumd uses again", times);
    }
}

#[test]
fn a_peers_events_wait_until_the_database_is_back() {
    let (laptop, server) = (Daemon::start("laptop"), Daemon::start("server"));
    pair(&laptop, &server);
    converge(SHORT, &[&laptop, &server]);
    let path = server.state().join("log.db");
    let aside = replace(&path);
    laptop.append(["news"]);
    eventually(SHORT, || {
        let peers = server.status().peers;
        let waits = |peer: &PeerStatus| peer.trouble == Some(SyncFailureKind::Own);
        holds(peers.iter().any(waits), || format!("{peers:?}"))
    });
    fs::rename(&aside, &path).unwrap();
    assert_eq!(converge(LONG, &[&laptop, &server]), 1);
}

#[test]
fn removed_identity_key_and_peers_are_written_again_at_the_stop() {
    let (mut daemon, server) = paired_daemons();
    let id = daemon.id();
    for name in ["identity.json", "key.json", "peers.json"] {
        fs::remove_file(daemon.state().join(name)).unwrap();
    }
    is_refused(&daemon, &Client::new(&daemon), "was removed");
    daemon.stop();
    daemon.start_again();
    assert_eq!(daemon.id(), id);
    daemon.append(["still paired"]);
    assert_eq!(converge(LONG, &[&daemon, &server]), 1);
}

#[test]
fn overwritten_identity_key_and_peers_are_kept_at_the_stop() {
    let (mut daemon, _server) = paired_daemons();
    let id = daemon.id();
    let files = [("identity.json", ""), ("key.json", "{}"), ("peers.json", "{}")];
    let held = files.map(|(name, now)| {
        let path = daemon.state().join(name);
        let held = fs::read(&path).unwrap();
        fs::write(&path, now).unwrap();
        held
    });
    is_refused(&daemon, &Client::new(&daemon), "identity.json was replaced");
    assert!(send(&Client::new(&daemon)).stderr.contains("identity.json.held-"));
    daemon.stop();
    for ((name, now), held) in files.iter().zip(held) {
        let path = daemon.state().join(name);
        assert_eq!(fs::read_to_string(&path).unwrap(), *now, "{name}");
        let kept = named(&daemon, &format!("{name}.held-"), "");
        assert!(fs::read(&kept[0]).unwrap() == held, "{name}");
        fs::rename(&kept[0], &path).unwrap();
    }
    daemon.start_again();
    assert_eq!((daemon.id(), daemon.status().peers.len()), (id, 1));
}

#[test]
fn a_removed_log_is_written_again_at_the_stop() {
    let mut daemon = Daemon::start("laptop");
    let mut acknowledged = Vec::new();
    for (n, names) in [
        ["log.db"].as_slice(),
        &["log.db-wal"],
        &["log.db-shm"],
        &["log.db", "log.db-wal", "log.db-shm"],
    ]
    .iter()
    .enumerate()
    {
        let text = format!("before {n}");
        daemon.append([&text]);
        acknowledged.push(text);
        let epoch = daemon.status().log.epoch;
        for name in *names {
            fs::remove_file(daemon.state().join(name)).unwrap();
        }
        is_refused(&daemon, &Client::new(&daemon), "was removed");
        daemon.stop();
        daemon.start_again();
        assert_eq!(daemon.texts(), acknowledged, "{names:?}");
        assert_eq!(daemon.status().log.epoch, epoch, "{names:?}");
    }
}

#[test]
fn what_was_read_stays_read_when_the_views_are_removed() {
    let mut daemon = Daemon::start("laptop");
    let client = Client::new(&daemon).env("THRUM_AGENT", "coder");
    send(&client).exits(0);
    let unread = |client: &Client| client.run(&["inbox", "--count"]).exits(0).stdout;
    client.run(&["inbox"]).exits(0);
    assert_eq!(unread(&client).trim(), "0");
    for name in ["views.db", "views.db-wal", "views.db-shm"] {
        fs::remove_file(daemon.state().join(name)).unwrap();
    }
    assert_eq!(unread(&client).trim(), "0");
    send(&client).exits(0);
    assert_eq!(unread(&client).trim(), "1");
    client.run(&["inbox"]).exits(0);
    daemon.kill();
    daemon.start_again();
    assert_eq!(unread(&client).trim(), "0", "the new file has the marks");
}

#[test]
fn a_stolen_machine_is_removed_although_the_log_is_gone() {
    let (mut daemon, thief) = paired_daemons();
    let (log, aside) = (daemon.state().join("log.db"), daemon.state().join("aside"));
    fs::rename(&log, &aside).unwrap();
    is_refused(&daemon, &Client::new(&daemon), "log.db was removed");
    let done = daemon.thrum(&["peer", "remove", &thief.id().to_string(), "--yes"]).exits(1);
    // What the quarantine keeps of it is in the log, and stays there.
    assert!(done.stderr.contains("server is removed: nothing is written"), "{}", done.stderr);
    daemon.kill();
    fs::rename(&aside, &log).unwrap();
    daemon.start_again();
    assert!(daemon.status().peers.is_empty(), "it is still there after a restart");
}
