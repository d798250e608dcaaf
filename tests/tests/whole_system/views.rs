//! Views that are behind the log, because another program has locked `views.db`: what is sent is stored all the same,
//! and whoever has to wait is told.

use rusqlite::Connection;
use tests::harness::{Client, Daemon, LONG, event_of, eventually, holds};
use thrum_api::limits::APPEND_MAX_EVENTS;
use thrum_api::local::{AppendParams, EventAppend};

use crate::silence::Running;

fn agent(daemon: &Daemon, name: &str) -> Client {
    Client::new(daemon).env("THRUM_AGENT", name)
}

/// A connection to the views of a daemon that has read all of its log, and how much that is.
fn views(daemon: &Daemon) -> (Connection, u64) {
    agent(daemon, "coder").run(&["inbox"]).exits(0);
    let views = Connection::open(daemon.state().join("views.db")).unwrap();
    views.busy_timeout(LONG).unwrap();
    (views, read(daemon))
}

fn read(daemon: &Daemon) -> u64 {
    daemon.status().views.read_seq.expect("views of this log").0
}

#[test]
fn messages_are_sent_while_the_views_are_behind_and_a_reader_is_told_what_it_waits_for() {
    let daemon = Daemon::start("laptop");
    // Again, because thrumd waits for a lock for 5 s: then the reader gets an error.
    eventually(LONG, || {
        let (views, before) = views(&daemon);
        views.execute_batch("BEGIN IMMEDIATE").unwrap();
        for _ in 0..3 {
            agent(&daemon, "planner").run(&["send", "coder", "hello"]).exits(0);
        }
        assert_eq!(read(&daemon), before, "nothing is digested while the lock is held");
        let mut person = Running::start(&agent(&daemon, "coder"), "person", &["inbox"]);
        let mut program =
            Running::start(&agent(&daemon, "coder"), "program", &["inbox", "--peek", "--json"]);
        let mut quiet = Running::start(&agent(&daemon, "coder"), "quiet", &["inbox", "-q"]);
        let head = daemon.health().head_seq;
        for running in [&person, &program] {
            running.says("\n");
        }
        views.execute_batch("ROLLBACK").unwrap();
        let ends = [&mut person, &mut program, &mut quiet].map(Running::ends);
        holds(ends == [Some(0); 3], || format!("{}\n{}", person.stderr(), quiet.stderr()))?;

        let words = format!("waiting for messages: thrumd has indexed {before} of {head} events");
        let line = format!("{words}; see how far: thrum status\n");
        assert!(person.stderr().starts_with(&line), "{}", person.stderr());
        assert!(person.stdout().contains("hello") && !person.stdout().contains("waiting"));
        let note: serde_json::Value = serde_json::from_str(&program.stderr()).unwrap();
        assert_eq!(
            (&note["note"]["code"], &note["note"]["message"]),
            (&"views".into(), &words.into())
        );
        let inbox: serde_json::Value = serde_json::from_str(&program.stdout()).unwrap();
        assert_eq!(inbox["schema"], 1, "{inbox}");
        assert_eq!(quiet.stderr(), "");
        Ok(())
    });
}

#[test]
fn views_that_are_far_behind_are_shown_by_status_and_doctor() {
    let daemon = Daemon::start("laptop");
    let (views, before) = views(&daemon);
    views.execute_batch("BEGIN IMMEDIATE").unwrap();
    let mut missing = 10_001;
    while missing > 0 {
        let count = missing.min(APPEND_MAX_EVENTS);
        let events = vec![event_of(&serde_json::json!({ "n": 1 })); count];
        daemon.ask::<EventAppend>(AppendParams { events });
        missing -= count;
    }
    assert_eq!(daemon.thrum(&["status", "--json"]).json()["views"]["read_seq"], before);
    let words = format!(
        "messages can be read when all events are indexed: {before} of 10,00{} so far",
        before + 1
    );
    let status = daemon.thrum(&["status"]).exits(0).stdout;
    assert!(status.contains(&format!("\n{words}\n")), "{status}");
    let doctor = daemon.thrum(&["doctor", "--json"]).json();
    let check = |id: &str| {
        let checks = doctor["checks"].as_array().unwrap();
        checks.iter().find(|check| check["id"] == id).expect("the check").clone()
    };
    assert_eq!(check("views")["state"], "warn");
    assert!(check("views")["message"].as_str().unwrap().contains(&words), "{doctor}");
    assert_eq!(
        (&check("agents")["state"], &check("agents")["because"]),
        (&"skipped".into(), &"views".into())
    );

    views.execute_batch("ROLLBACK").unwrap();
    agent(&daemon, "coder").run(&["inbox"]).exits(0);
    assert!(!daemon.thrum(&["status"]).stdout.contains("\nmessages "));
    let doctor = daemon.thrum(&["doctor", "--json"]).json();
    let fine = doctor["checks"].as_array().unwrap().iter().find(|check| check["id"] == "views");
    assert_eq!(fine.unwrap()["state"], "ok", "{doctor}");
}
