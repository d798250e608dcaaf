//! Hooks of agents' tools when something is wrong: with the input, with thrumd, with the tool that should read the answer.

use std::fs;
use std::io::{ErrorKind, Read as _, Write as _};
use std::process::Stdio;

use serde_json::{Value, json};
use tests::harness::{Client, Daemon};

use super::hooks::{answer, claude_like, client, context, hasty, hook, is_shown, notes, send};

#[test]
fn an_answer_that_nobody_reads_is_given_again() {
    let daemon = Daemon::start("laptop");
    let client = client(&daemon);
    let input = claude_like("s1", json!({"cwd": "/"})).to_string();
    hook(&client, "codex", "prompt", &input);
    send(&client, "test-codex", "read me");
    let path = client.folder().join("input.json");
    fs::write(&path, &input).unwrap();
    // The tool has left already: nobody is at the other end.
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    let mut lost = client.command(&["hook", "codex", "prompt"]);
    let status = lost.stdin(fs::File::open(&path).unwrap()).stdout(writer).status().unwrap();
    assert_eq!(status.code(), Some(0));
    let null = fs::OpenOptions::new().read(true).write(true).open("/dev/null").unwrap();
    let mut ignored = client.command(&["hook", "codex", "prompt"]);
    let status = ignored.stdin(fs::File::open(&path).unwrap()).stdout(null).status().unwrap();
    assert_eq!(status.code(), Some(0));
    let noted = notes(&client)["entries"][0]["error"]["error"].to_string();
    assert!(noted.contains("has not read"), "{noted}");
    assert!(hook(&client, "codex", "prompt", &input).stdout.contains("read me"));
    assert_eq!(hook(&client, "codex", "prompt", &input).stdout, "");
}

#[test]
fn garbage_is_answered_with_nothing_and_noted() {
    let daemon = Daemon::start("laptop");
    let client = client(&daemon);
    let huge = format!("{{\"session_id\": \"s\", \"x\": \"{}\"}}", "x".repeat(17 << 20));
    for input in ["", "null", "[]", "{", "{}", "\u{feff}", "{\"session_id\": 3}", "\0\0", &huge] {
        assert_eq!(hook(&client, "codex", "stop", input).stdout, "");
        assert!(notes(&client)["entries"][0]["error"]["error"].is_string(), "{}", notes(&client));
    }
    let deep = format!(
        "{{\"session_id\": \"s\", \"cwd\": \"/\", \"x\": {}1{}}}",
        "[".repeat(9000),
        "]".repeat(9000)
    );
    assert_eq!(hook(&client, "codex", "stop", &deep).stdout, "");
    let input = claude_like("s1", json!({"cwd": "/"})).to_string();
    for words in [
        &["hook", "newtool", "stop"][..],
        &["hook", "codex", "newpoint"],
        &["hook", "codex", "stop", "--new-option"],
        &["hook", "codex", "stop", "more", "--as"],
        &["hook"],
        &["hook", "codex"],
        &["hook", "script", "stop"],
        &["hook", "codex", "stop", "--as", "not a name"],
        &["--bogus", "hook", "codex", "stop"],
    ] {
        let ran = client.run_with(words, &input).exits(0);
        assert_eq!((ran.stdout.as_str(), ran.stderr.as_str()), ("", ""), "{words:?}");
    }
    hook(&client, "newtool", "stop", &input);
    let doctor = client.run(&["doctor"]).stdout;
    assert!(doctor.contains("hook newtool") && doctor.contains("know the tool"), "{doctor}");
    let debugged = client
        .clone()
        .env("THRUM_HOOK_DEBUG", "1")
        .run_with(&["hook", "codex", "stop"], "{")
        .exits(0);
    assert!(debugged.stderr.contains("no JSON object"), "{debugged:?}");
}

#[test]
fn without_thrumd_a_hook_is_silent_at_once() {
    let mut daemon = Daemon::start("laptop");
    let client = client(&daemon);
    daemon.stop();
    for point in ["session-start", "prompt", "step", "stop", "session-end"] {
        let input = claude_like("s1", json!({"cwd": "/"}));
        assert_eq!(answer(&client, "claude-code", point, &input), Value::Null);
    }
    assert!(notes(&client).is_null(), "that is no error of a hook: {}", notes(&client));
    // A daemon that hangs.
    fs::remove_file(daemon.socket()).ok();
    let _held = std::os::unix::net::UnixListener::bind(daemon.socket()).unwrap();
    let input = claude_like("s1", json!({"cwd": "/"}));
    assert_eq!(answer(&hasty(&daemon), "claude-code", "prompt", &input), Value::Null);
    assert!(
        notes(&client).to_string().contains("did not answer within 1.5s"),
        "{}",
        notes(&client)
    );
}

#[test]
fn an_input_that_never_ends_is_used_if_it_is_whole_and_left_after_two_seconds() {
    let daemon = Daemon::start("laptop");
    let run = |client: Client, input: &str| {
        let mut child = client
            .command(&["hook", "codex", "session-start"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        // It is kept open until the hook has ended.
        let mut stdin = child.stdin.take().unwrap();
        match stdin.write_all(input.as_bytes()) {
            // One in a hurry may have left already.
            Err(error) if error.kind() == ErrorKind::BrokenPipe => {}
            written => written.unwrap(),
        }
        let mut out = String::new();
        child.stdout.take().unwrap().read_to_string(&mut out).unwrap();
        assert!(child.wait().unwrap().success());
        drop(stdin);
        out
    };
    let whole = claude_like("s1", json!({"cwd": "/"})).to_string();
    assert!(run(client(&daemon), &whole).contains("You are the agent"));
    assert_eq!(run(hasty(&daemon), &whole[..whole.len() - 1]), "");
    assert_eq!(run(hasty(&daemon), ""), "");
}

#[test]
fn hooks_work_through_a_narrow_socket() {
    let daemon = Daemon::start("laptop");
    let words = ["socket", "add", "--project", "test", "--json"];
    let added = Client::new(&daemon).run(&words).exits(0).json();
    let socket = added["path"].as_str().unwrap();
    let inside = client(&daemon).env("THRUM_SOCKET", socket);
    let input = claude_like("s1", json!({"cwd": "/"}));
    assert!(context(&answer(&inside, "codex", "session-start", &input)).is_some());
    send(&client(&daemon), "test-codex", "into the container");
    is_shown(context(&answer(&inside, "codex", "prompt", &input)), "into the container");
    assert_eq!(answer(&inside, "codex", "prompt", &input), Value::Null);
}
