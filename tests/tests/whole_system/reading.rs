//! What counts as read: only what was written whole to a reader that is still there.

use std::fs::File;
use std::process::{Command, Output, Stdio};

use serde_json::json;
use tests::harness::{Client, Daemon, drafts};
use thrum_api::local::{AppendParams, EventAppend};

/// A daemon with messages for `coder`, and a client as that agent.
fn with_messages(count: usize, bytes: usize) -> (Daemon, Client) {
    let daemon = Daemon::start("laptop");
    let mut events = drafts(1..=count);
    for (number, event) in events.iter_mut().enumerate() {
        let text = format!("number {} {}", number + 1, "x".repeat(bytes));
        let body = json!({ "from": "planner", "to": ["coder"], "text": text });
        event.event_type = "message.sent".to_owned();
        event.body = serde_json::value::to_raw_value(&body).unwrap();
    }
    daemon.ask::<EventAppend>(AppendParams { events });
    let client = Client::new(&daemon).env("THRUM_AGENT", "coder");
    // Who waits for the views for a second is told so.
    assert_unread(&client, count);
    (daemon, client)
}

#[track_caller]
fn assert_unread(client: &Client, count: usize) {
    assert_eq!(client.run(&["inbox", "--count"]).exits(0).stdout, format!("{count}\n"));
}

fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// `thrum WORDS | head OPTIONS`. What it prints must be more than fits into a pipe.
fn into_head(client: &Client, words: &[&str], options: [&str; 2]) -> Output {
    let mut head = Command::new("head");
    head.args(options).stdin(Stdio::piped()).stdout(Stdio::null());
    let mut head = head.spawn().unwrap();
    let pipe = head.stdin.take().unwrap();
    let output = client.command(words).stdin(Stdio::null()).stdout(pipe).output().unwrap();
    assert!(head.wait().unwrap().success());
    output
}

/// `thrum WORDS >&-`
fn into_nothing(client: &Client, words: &[&str]) -> Output {
    let thrum = client.command(words);
    let variables = thrum.get_envs().filter_map(|(name, value)| Some((name, value?)));
    Command::new("sh")
        .args(["-c", "exec \"$@\" >&-", "sh"])
        .arg(thrum.get_program())
        .args(thrum.get_args())
        .env_clear()
        .envs(variables)
        .current_dir(client.folder())
        .output()
        .unwrap()
}

#[test]
fn what_a_reader_left_before_it_had_it_all_stays_unread() {
    let (_daemon, client) = with_messages(20, 16 * 1024);
    for words in [&["inbox"][..], &["wait"], &["wait", "--follow"]] {
        let output = into_head(&client, words, ["-n", "1"]);
        assert_eq!(output.status.code(), Some(0), "thrum {words:?}: {}", stderr(&output));
        assert!(stderr(&output).contains("Marked no message as read"), "{}", stderr(&output));
        assert_unread(&client, 20);
    }
    for words in [&["inbox", "--json"][..], &["wait", "--json"]] {
        let output = into_head(&client, words, ["-c", "1"]);
        assert_eq!((output.status.code(), stderr(&output)), (Some(0), String::new()));
        assert_unread(&client, 20);
    }
    // The document is one line, so this one has read all of it.
    into_head(&client, &["inbox", "--json"], ["-n", "1"]);
    assert_unread(&client, 0);
}

#[test]
fn a_closed_stdout_is_an_error_and_marks_nothing() {
    let (_daemon, client) = with_messages(2, 0);
    for words in [&["inbox"][..], &["wait"], &["inbox", "--json"], &["wait", "--json"]] {
        let output = into_nothing(&client, words);
        assert_eq!(output.status.code(), Some(1), "thrum {words:?}: {}", stderr(&output));
        assert!(stderr(&output).contains("stdout is closed"), "{}", stderr(&output));
        // As Python's DEVNULL.
        let null = File::options().read(true).write(true).open("/dev/null").unwrap();
        let mut thrown_away = client.command(words);
        let output = thrown_away.stdin(Stdio::null()).stdout(null).stderr(Stdio::piped()).output();
        let said = stderr(&output.unwrap());
        assert!(
            said.contains("or thrown away") && said.contains(">/dev/null in a shell"),
            "{said}"
        );
        assert_unread(&client, 2);
    }
}

#[test]
fn the_last_line_says_how_many_were_marked_and_how_to_see_them_again() {
    let (_daemon, client) = with_messages(60, 0);
    let ran = client.run(&["wait"]).exits(0);
    assert_eq!(ran.stdout.lines().count(), 50, "{}", ran.stdout);
    let notes: Vec<_> = ran.stderr.lines().collect();
    assert_eq!(notes[0], "10 unread messages left: thrum wait");
    let (marked, again) = notes[1].split_once("; to see again: thrum ").unwrap();
    assert_eq!(marked, "Marked 50 messages as read");
    let words: Vec<_> = again.split(' ').chain(["--peek"]).collect();
    let seen = client.run(&words).exits(0);
    assert_eq!(seen.stdout.lines().count(), 50, "{}", seen.stdout);
    assert!(seen.stdout.contains("number 1 ") && seen.stdout.contains("number 50 "));

    let left = client.run(&["wait", "-n", "4", "--json"]).exits(0);
    let (json, notes) = (left.json(), &left.stderr);
    let first = json["messages"][0]["text"].as_str().unwrap();
    assert!(first.starts_with("number 51 "), "{json}");
    assert_eq!(json["messages"].as_array().unwrap().len(), 4, "{json}");
    assert_eq!((&json["left"], notes.as_str()), (&json!(6), ""));
    let ran = client.run(&["inbox", "--unread"]).exits(0);
    assert_eq!(
        ran.stderr.lines().last(),
        Some("Marked 6 messages as read; to see again: thrum inbox --read")
    );
    assert_unread(&client, 0);
}
