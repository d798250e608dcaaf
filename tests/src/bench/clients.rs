use std::process::{Command, Stdio};

use thrum_api::limits::APPEND_MAX_EVENTS;

use super::appends::{alone, append_one};
use super::connection::Connection;
use super::figure::{Figure, Target};
use super::sample::{Sample, tell, words};
use super::size::Size;
use crate::harness::{Client, Daemon, event_of};

pub(super) fn measure(size: Size) -> Vec<Figure> {
    let count = size.of(200);
    let daemon = alone();
    vec![send(&daemon, count), hook(&daemon, count), inbox(&daemon, size, count)]
}

/// `thrum send` as a whole process, in turns with the least that a process and an append cost.
fn send(daemon: &Daemon, count: usize) -> Figure {
    tell(&format!("clients: thrum send, {count} times"));
    let client = Client::new(daemon).env("THRUM_AGENT", "planner");
    let mut connection = Connection::open(daemon);
    let (mut ours, mut bare) = (Sample::default(), Sample::default());
    for number in 0..count {
        let mut send = client.command(&["send", "coder", "the build is green"]);
        ours.time(|| quietly(&mut send));
        let mut nothing = Command::new("/bin/true");
        bare.time(|| {
            quietly(&mut nothing);
            append_one(&mut connection, number);
        });
    }
    Figure::new(
        "client_send",
        "thrum send, against /bin/true and one append",
        (ours.median() / bare.median(), "x"),
        Target::AtMost(2.5),
        format!("{} against {}", words(ours.median()), words(bare.median())),
    )
}

/// `thrum hook` between two steps, when there is nothing to say, in turns with the least that a process costs.
fn hook(daemon: &Daemon, count: usize) -> Figure {
    tell(&format!("clients: thrum hook, {count} times"));
    let client = Client::new(daemon);
    let app = client.folder().join("app");
    std::fs::create_dir_all(app.join(".git")).unwrap();
    let origin = "[remote \"origin\"]\n\turl = git@github.com:acme/app.git\n";
    std::fs::write(app.join(".git/config"), origin).unwrap();
    let input = serde_json::json!({"session_id": "s1", "cwd": app, "hook_event_name": "PostToolUse",
        "tool_name": "exec_command", "tool_input": {"cmd": "make"}, "tool_response": "x".repeat(4096)});
    let path = client.folder().join("input.json");
    std::fs::write(&path, input.to_string()).unwrap();
    let run = |point: &str| {
        let mut hook = client.command(&["hook", "codex", point]);
        hook.env_remove("THRUM_PROJECT").current_dir(&app);
        quietly_with(&mut hook, std::fs::File::open(&path).unwrap());
    };
    run("session-start");
    let (mut ours, mut bare) = (Sample::default(), Sample::default());
    for _ in 0..count {
        ours.time(|| run("step"));
        let mut nothing = Command::new("/bin/true");
        bare.time(|| quietly(&mut nothing));
    }
    Figure::new(
        "client_hook",
        "thrum hook with nothing to say, against /bin/true",
        (ours.median() / bare.median(), "x"),
        Target::AtMost(3.0),
        format!("{} against {}", words(ours.median()), words(bare.median())),
    )
}

/// `thrum inbox` of someone who has many messages, in turns with someone who has few.
fn inbox(daemon: &Daemon, size: Size, count: usize) -> Figure {
    let many = size.of(10_000);
    tell(&format!("clients: thrum inbox with {many} and with 10 messages, {count} times each"));
    deliver(daemon, "few", 10);
    deliver(daemon, "many", many);
    let of = |agent: &str| Client::new(daemon).env("THRUM_AGENT", agent);
    let (few, many_of) = (of("few"), of("many"));
    let (mut short, mut long) = (Sample::default(), Sample::default());
    for _ in 0..count {
        let mut command = few.command(&["inbox"]);
        short.time(|| quietly(&mut command));
        let mut command = many_of.command(&["inbox"]);
        long.time(|| quietly(&mut command));
    }
    Figure::new(
        "client_inbox",
        "thrum inbox with 10,000 messages, against 10",
        (long.median() / short.median(), "x"),
        Target::AtMost(2.0),
        format!("{} with {many}, {} with 10", words(long.median()), words(short.median())),
    )
}

fn deliver(daemon: &Daemon, to: &str, count: usize) {
    let mut connection = Connection::open(daemon);
    let draft = |number: usize| thrum_api::Draft {
        event_type: "message.sent".to_owned(),
        ..event_of(&serde_json::json!({
            "from": "planner", "to": [to], "text": format!("message {number}") }))
    };
    let mut sent = 0;
    while sent < count {
        let end = count.min(sent + APPEND_MAX_EVENTS);
        connection.append((sent..end).map(draft).collect());
        sent = end;
    }
}

fn quietly(command: &mut Command) {
    quietly_with(command, Stdio::null());
}

fn quietly_with(command: &mut Command, stdin: impl Into<Stdio>) {
    let status = command
        .stdin(stdin)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .expect("the program starts");
    assert!(status.success(), "{command:?} ended with {status}");
}
