//! The socket's file is removed, replaced or moved while the daemon runs: it comes back by itself, and until then
//! every command says what is true.

use std::fs;
use std::io::{BufRead as _, BufReader};
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::net::UnixListener;
use std::path::Path;
use std::process::Stdio;

use rustix::process::Signal;
use tests::harness::{Client, Daemon, SHORT, Setup, eventually, holds, process};

const SEND: [&str; 5] = ["send", "--as", "planner", "coder", "hello"];

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode()
}

#[track_caller]
fn answers(client: &Client) {
    eventually(SHORT, || {
        let ran = client.run(&SEND);
        holds(ran.code == Some(0), || ran.stderr)
    });
}

/// Waits until the daemon has said that it can't bind its socket anew.
#[track_caller]
fn says_that_it_cannot(daemon: &Daemon) {
    eventually(SHORT, || {
        holds(daemon.log_text().contains("can't be bound anew"), || daemon.log_text())
    });
}

#[test]
fn a_socket_that_was_removed_or_replaced_is_bound_anew() {
    let mut daemon = Daemon::start("laptop");
    let (client, path) = (Client::new(&daemon), daemon.socket());
    let before = mode(&path);
    for how in ["removed", "moved", "replaced"] {
        match how {
            "removed" => fs::remove_file(&path).unwrap(),
            "moved" => fs::rename(&path, path.with_extension("moved")).unwrap(),
            _ => {
                let other = path.with_extension("other");
                drop(UnixListener::bind(&other).unwrap());
                fs::rename(&other, &path).unwrap();
            }
        }
        answers(&client);
        assert_eq!(mode(&path), before, "{how}");
        client.run(&["doctor"]).exits(0);
    }
    assert_eq!(daemon.log_text().matches("bound anew").count(), 3, "{}", daemon.log_text());
    assert!(daemon.stop().success());
    assert!(!path.exists());
}

#[test]
fn a_folder_that_was_removed_comes_back_with_the_socket() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("run/deep/s");
    let mut daemon = Setup::new("laptop").env("THRUM_SOCKET", path.display()).prepare();
    let client = Client::of_socket(path.clone(), daemon.folder().to_owned())
        .env("THRUM_STATE_DIR", daemon.state().display());
    daemon.spawn();
    answers(&client);
    // In one step: it comes back within a second.
    let removed = folder.path().join("removed");
    fs::rename(folder.path().join("run"), &removed).unwrap();
    fs::remove_dir_all(&removed).unwrap();
    answers(&client);
    fs::rename(folder.path().join("run"), folder.path().join("moved")).unwrap();
    answers(&client);
}

#[test]
fn a_daemon_without_its_socket_is_not_called_stopped() {
    let daemon = Daemon::start("laptop");
    let client = Client::new(&daemon);
    let runs = format!("thrumd is running (pid {}, ", daemon.pid());
    // So that it can't bind it anew.
    process::signal(daemon.pid(), Signal::STOP);
    fs::remove_file(daemon.socket()).unwrap();
    for words in [&SEND[..], &["status"], &["daemon", "status"], &["daemon", "start"]] {
        let ran = client.run(words).exits(3);
        assert!(ran.stderr.contains(&runs), "{}", ran.stderr);
        assert!(ran.stderr.contains("thrum daemon restart"), "{}", ran.stderr);
        let waits = words == ["daemon", "start"];
        let said = ran.stderr.contains("waiting until it ends or listens again");
        assert_eq!(said, waits, "{}", ran.stderr);
    }
    let ran = client.run(&["doctor", "--json"]).exits(6);
    let checks = ran.json()["checks"].as_array().unwrap().clone();
    let first = checks.iter().find(|check| check["state"] == "fail").unwrap();
    assert_eq!(
        (&first["id"], &first["next"]),
        (&"socket_found".into(), &"thrum daemon restart".into())
    );
    // What was not checked names a check that is broken itself.
    let state_of =
        |id: &str| checks.iter().find(|check| check["id"] == id).unwrap()["state"].clone();
    for because in checks.iter().filter_map(|check| check["because"].as_str()) {
        assert_ne!(state_of(because), "ok", "{because}");
    }
    process::signal(daemon.pid(), Signal::CONT);
    answers(&client);
    client.run(&["doctor"]).exits(0);
}

#[test]
fn a_socket_of_another_program_is_left_alone_and_told() {
    let daemon = Daemon::start("laptop");
    let (client, path) = (Client::new(&daemon), daemon.socket());
    let other = path.with_extension("other");
    let listener = UnixListener::bind(&other).unwrap();
    fs::rename(&other, &path).unwrap();
    says_that_it_cannot(&daemon);
    assert!(daemon.log_text().contains("another thrumd answers on"), "{}", daemon.log_text());
    assert!(path.exists());
    drop(listener);
    fs::remove_file(&path).unwrap();
    answers(&client);
}

#[test]
fn a_daemon_whose_socket_cannot_come_back_is_stopped_by_its_process() {
    let mut daemon = Setup::new("laptop").prepare();
    let folder = daemon.folder().join("run");
    let path = folder.join("s");
    daemon.set_env("THRUM_SOCKET", path.display());
    let client = Client::of_socket(path, daemon.folder().to_owned())
        .env("THRUM_STATE_DIR", daemon.state().display());
    daemon.spawn();
    answers(&client);
    // So that it binds nothing in between.
    process::signal(daemon.pid(), Signal::STOP);
    fs::remove_dir_all(&folder).unwrap();
    fs::write(&folder, "no folder").unwrap();
    process::signal(daemon.pid(), Signal::CONT);
    says_that_it_cannot(&daemon);
    let ran = client.run(&SEND).exits(3);
    assert!(ran.stderr.contains("thrumd is running (pid "), "{}", ran.stderr);
    let ran = client.run(&["daemon", "stop", "--json"]).exits(0);
    assert_eq!(ran.json()["pid"], daemon.pid(), "{}", ran.stdout);
    assert!(daemon.ended().success());
    client.run(&["daemon", "stop"]).exits(0);
    assert!(client.run(&SEND).exits(3).stderr.contains("thrumd is not running"));
}

#[test]
fn a_stop_says_what_it_waits_for() {
    let mut daemon = Daemon::start("laptop");
    let client = Client::new(&daemon).env("THRUM_STATE_DIR", daemon.state().display());
    // So that it can't bind its socket anew, nor end.
    process::signal(daemon.pid(), Signal::STOP);
    fs::remove_file(daemon.socket()).unwrap();
    let mut stop = client.command(&["daemon", "stop"]);
    let mut stop = stop.stdin(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
    let mut said = String::new();
    BufReader::new(stop.stderr.take().unwrap()).read_line(&mut said).unwrap();
    process::signal(daemon.pid(), Signal::CONT);
    assert!(said.contains(&format!("thrumd is running (pid {}, ", daemon.pid())), "{said}");
    assert!(said.contains("waiting until it ends or listens again"), "{said}");
    assert!(stop.wait().unwrap().success());
    assert!(daemon.ended().success());
}

#[test]
fn a_daemon_that_ten_stop_at_once_stops_for_each_of_them() {
    let mut daemon = Daemon::start("laptop");
    daemon.append(0..10);
    let client = Client::new(&daemon);
    let stop = || {
        let mut command = client.command(&["daemon", "stop"]);
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap()
    };
    let all: Vec<_> = (0..10).map(|_| stop()).collect();
    for child in all {
        let output = child.wait_with_output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    }
    assert!(daemon.ended().success(), "it ended in order");
}
