//! Connections that machines keep open.

use std::fs;

use tests::harness::{Daemon, KeptCaller, SHORT, Setup, converge, in_sync, pair};

/// A daemon with these limits of open files, soft and hard.
fn with_open_files(soft: u32, hard: u32) -> Daemon {
    let script = format!("ulimit -S -n {soft} && ulimit -H -n {hard} && exec \"$@\"");
    Setup::new("hub").through(["sh", "-c", &script, "sh"]).start()
}

#[test]
fn machines_that_keep_every_connection_leave_room_for_the_next_one() {
    let daemon = with_open_files(1024, 1024);
    let mut fleet = Vec::new();
    // As many of each as a daemon takes: more than it takes of all.
    for number in 0..20 {
        let mut machine = KeptCaller::pair(&daemon, number);
        let mut kept: Vec<_> = machine.take().into_iter().collect();
        for _ in 1..16 {
            assert_eq!(machine.connect().unwrap().status, 200);
            kept.extend(machine.take());
        }
        fleet.push((machine, kept));
    }
    for (machine, kept) in &mut fleet {
        let newest = kept.last_mut().unwrap();
        assert_eq!(machine.ask_on(newest).unwrap().status, 200, "each has the newest one");
    }
}

#[test]
fn more_machines_than_connections_are_all_served_and_make_none_connect_anew() {
    // Of 32 connections, peers keep 28.
    let hub = with_open_files(128, 128);
    let mut machines: Vec<_> = (0..33).map(|number| KeptCaller::pair(&hub, number)).collect();
    for _ in 0..3 {
        for (number, machine) in machines.iter_mut().enumerate() {
            let answer = if machine.is_kept() { machine.ask() } else { machine.connect() };
            assert_eq!(answer.unwrap().status, 200, "machine {number}");
            assert_eq!(machine.is_kept(), number < 28, "machine {number}");
        }
    }
    // One more is paired, and has everything in both directions.
    let last = Daemon::start("last");
    pair(&hub, &last);
    hub.append(["from the hub"]);
    last.append(["from the last"]);
    converge(SHORT, &[&hub, &last]);
    in_sync(&[&last]);
    for (number, machine) in machines.iter_mut().take(28).enumerate() {
        assert_eq!(machine.ask().unwrap().status, 200, "machine {number} kept its connection");
    }
}

#[test]
fn a_daemon_may_open_as_many_files_as_the_hard_limit_says() {
    let daemon = with_open_files(300, 5000);
    let limits = fs::read_to_string(format!("/proc/{}/limits", daemon.pid())).unwrap();
    let files = limits.lines().find(|line| line.starts_with("Max open files")).unwrap();
    let words = files.split_whitespace().filter_map(|word| word.parse().ok());
    let numbers: Vec<u32> = words.collect();
    assert_eq!(numbers, [5000, 5000]);
}
