//! What a plugin is told of wakes, what senders are told, and what doctor tells of hooks.

use std::fs;
use std::io::{BufRead as _, BufReader, Write as _};
use std::process::{Child, ChildStdin, Stdio};
use std::sync::mpsc::{Receiver, channel};

use serde_json::{Value, json};
use tests::harness::{Client, Daemon, LONG, SHORT, eventually, holds};

use super::hooks::{answer, claude_like, client, hook};

/// `thrum hook opencode listen` with its pipes.
struct Listener {
    child: Child,
    stdin: Option<ChildStdin>,
    lines: Receiver<String>,
}

impl Listener {
    fn start(client: &Client) -> Self {
        let mut command = client.command(&["hook", "opencode", "listen"]);
        command.stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let (sender, lines) = channel();
        let out = BufReader::new(child.stdout.take().unwrap());
        std::thread::spawn(move || {
            out.lines().map_while(Result::ok).all(|line| sender.send(line).is_ok())
        });
        Self { stdin: child.stdin.take(), child, lines }
    }

    fn tell(&mut self, input: &Value) {
        let line = format!("{input}\n");
        self.stdin.as_mut().unwrap().write_all(line.as_bytes()).unwrap();
    }

    /// Its exit code, once it has ended.
    fn ended(&mut self) -> Option<i32> {
        eventually(SHORT, || self.child.try_wait().unwrap().ok_or_else(|| "it runs".to_owned()))
            .code()
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// A person who has asked that OpenCode be woken in every folder.
fn with_waking(daemon: &Daemon) -> Client {
    let config = daemon.folder().join("config");
    let record = json!({"version": 1, "setups": [{"tool": "opencode", "wake": true}]});
    fs::create_dir_all(config.join("thrum")).unwrap();
    fs::write(config.join("thrum/setup.json"), record.to_string()).unwrap();
    client(daemon).env("XDG_CONFIG_HOME", config.display())
}

fn reach(client: &Client, agent: &str) -> Value {
    let team = client.run(&["team", "--json"]).exits(0).json();
    let agents = team["agents"].as_array().unwrap().iter();
    agents.filter(|it| it["name"] == agent).map(|it| it["sessions"][0]["reach"].clone()).collect()
}

#[test]
fn a_plugin_is_told_which_session_to_wake_and_the_sender_that_it_was() {
    let daemon = Daemon::start("laptop");
    let client = with_waking(&daemon);
    let session = json!({"session_id": "s1", "cwd": "/"});
    let mut listener = Listener::start(&client);
    listener.tell(&json!({"session_id": "s1", "cwd": "/"}));
    // Only now thrumd knows it.
    answer(&client, "opencode", "session-start", &session);
    eventually(LONG, || {
        let reach = reach(&client, "test-opencode");
        holds(reach == json!(["wake"]), || reach.to_string())
    });
    let planner = client.clone().env("THRUM_AGENT", "planner");
    let told = planner.run(&["send", "test-opencode", "wake up"]).exits(0).stderr;
    assert!(told.contains("A session is idle: it is woken."), "{told}");
    let line: Value = serde_json::from_str(&listener.lines.recv_timeout(LONG).unwrap()).unwrap();
    assert_eq!(line["session"], "s1", "{line}");
    let text = line["text"].as_str().unwrap();
    assert!(
        text.starts_with(
            "[thrum] 1 new message for test-opencode: from \"planner\" on \"laptop\"."
        ),
        "{text}"
    );
    assert!(!text.contains("wake up"), "{text}");
    let prompt = answer(
        &client,
        "opencode",
        "prompt",
        &json!({"session_id": "s1", "cwd": "/", "prompt": text}),
    );
    assert!(prompt["text"].as_str().unwrap().contains("\nwake up\n"), "{prompt}");
    let sent = planner.run(&["sent"]).exits(0).stdout;
    assert!(sent.contains("(woken)"), "{sent}");
    assert!(
        client.run(&["team", "-v"]).stdout.contains("test-opencode on laptop: messages wake it")
    );

    planner.run(&["wake", "off"]).exits(0);
    hook(&client, "opencode", "stop", &session.to_string());
    let told = planner.run(&["send", "test-opencode", "sleep on"]).exits(0).stderr;
    assert!(told.contains("it sees it at its next prompt"), "{told}");
    assert!(planner.run(&["wake", "status"]).stdout.contains("Waking is off in test"));
    assert!(listener.lines.try_recv().is_err());

    listener.stdin = None;
    assert_eq!(listener.ended(), Some(0));
}

#[test]
fn a_plugin_is_told_nothing_unless_somebody_asked_for_waking() {
    let daemon = Daemon::start("laptop");
    let mut listener = Listener::start(&client(&daemon));
    assert_eq!(listener.ended(), Some(0));
}

#[test]
fn doctor_tells_of_hooks_that_ran_and_of_what_failed() {
    let daemon = Daemon::start("laptop");
    // What is in its home is set up for every folder.
    let client = with_waking(&daemon);
    let check = |id: &str| {
        let doctor = client.run(&["doctor", "--json"]).json();
        let found = doctor["checks"].as_array().unwrap().iter().find(|check| check["id"] == id);
        found.cloned().unwrap_or_default()
    };
    let never = check("tool_hooks_opencode");
    assert_eq!(never["state"], "warn", "{never}");
    assert!(check("tool_hooks_codex").is_null());
    let waking = check("tool_waking")["message"].to_string();
    assert!(waking.contains("messages wake idle sessions of OpenCode"), "{waking}");
    let cwd = daemon.folder().display().to_string();
    let input = claude_like("s1", json!({ "cwd": cwd }));
    answer(&client, "opencode", "session-start", &input);
    hook(&client, "opencode", "stop", "garbage");
    let ran = check("tool_hooks_opencode");
    assert_eq!(ran["state"], "ok", "{ran}");
    assert!(ran["message"].as_str().unwrap().contains("session-start"), "{ran}");
    let failed = check("tool_error_opencode");
    assert!(failed["message"].as_str().unwrap().contains("no JSON object"), "{failed}");
    let report = client.run(&["doctor", "--report"]).stdout;
    assert!(
        report.contains("tool_error_opencode") && !report.contains("no JSON object"),
        "{report}"
    );
}
