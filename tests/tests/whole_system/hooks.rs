//! Hooks of agents' tools: the real `thrum hook` at each point, as the tools run it.

use std::fs;
use std::io::Read as _;
use std::process::{Child, Command, Stdio};

use serde_json::{Value, json};
use tests::harness::{Client, Daemon, Ran, SHORT, eventually, holds};
use thrum_api::event::{SessionInfo, SessionState};
use thrum_api::local::{AgentList, AgentListParams};

/// How each tool shows text at a point: the path to it in the answer.
type Form = fn(&Value) -> Option<&str>;

/// A tool: its name, its input at a point, and where it finds the text at the prompt and at the stop.
struct Tool {
    name: &'static str,
    agent: &'static str,
    input: fn(&str, Value) -> Value,
    prompt: Form,
    stop: Form,
}

pub fn claude_like(session: &str, more: Value) -> Value {
    with(json!({"session_id": session, "transcript_path": "/t", "hook_event_name": "E"}), more)
}

fn copilot(session: &str, more: Value) -> Value {
    with(json!({"sessionId": session, "timestamp": 1}), more)
}

fn cursor(session: &str, more: Value) -> Value {
    let base = json!({"conversation_id": session, "cursor_version": "3", "hook_event_name": "stop", "status": "completed"});
    with(base, more)
}

fn plain(session: &str, more: Value) -> Value {
    with(json!({"session_id": session}), more)
}

fn with(mut input: Value, more: Value) -> Value {
    input.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    input
}

pub fn context(answer: &Value) -> Option<&str> {
    assert_eq!(answer["hookSpecificOutput"]["hookEventName"], "E", "{answer}");
    answer["hookSpecificOutput"]["additionalContext"].as_str()
}

fn reason(answer: &Value) -> Option<&str> {
    assert!(["block", "deny"].contains(&answer["decision"].as_str()?), "{answer}");
    assert_eq!(answer.as_object()?.len(), 2, "nothing else: {answer}");
    answer["reason"].as_str()
}

const TOOLS: [Tool; 6] = [
    Tool {
        name: "claude-code",
        agent: "test-claude",
        input: claude_like,
        prompt: context,
        stop: context,
    },
    Tool { name: "codex", agent: "test-codex", input: claude_like, prompt: context, stop: reason },
    Tool {
        name: "gemini",
        agent: "test-gemini",
        input: claude_like,
        prompt: context,
        stop: reason,
    },
    Tool {
        name: "copilot",
        agent: "test-copilot",
        input: copilot,
        prompt: |answer| answer["additionalContext"].as_str(),
        stop: reason,
    },
    Tool {
        name: "opencode",
        agent: "test-opencode",
        input: plain,
        prompt: |answer| answer["text"].as_str(),
        stop: |answer| answer["text"].as_str(),
    },
    Tool {
        name: "cursor",
        agent: "test-cursor",
        input: cursor,
        // It takes no text at the prompt: at a step.
        prompt: |answer| answer["additional_context"].as_str(),
        stop: |answer| answer["followup_message"].as_str(),
    },
];

/// A client as a tool runs it, with files of its own. Its hooks have time on a busy machine.
pub fn client(daemon: &Daemon) -> Client {
    hasty(daemon).env("THRUM_HOOK_PATIENCE_S", 20)
}

/// One whose hooks give up as soon as those of people do.
pub fn hasty(daemon: &Daemon) -> Client {
    let state = daemon.folder().join("xdg");
    Client::new(daemon).env("XDG_STATE_HOME", state.display())
}

pub fn notes(client: &Client) -> Value {
    let path = client.folder().join("xdg/thrum/hooks.json");
    fs::read(path).map_or(Value::Null, |text| serde_json::from_slice(&text).unwrap())
}

/// Runs a hook. It ends with 0 and without a word on stderr, always.
#[track_caller]
pub fn hook(client: &Client, tool: &str, point: &str, input: &str) -> Ran {
    let ran = client.run_with(&["hook", tool, point], input).exits(0);
    assert_eq!(ran.stderr, "", "{tool} {point}: {input}");
    ran
}

/// The answer of a hook; null if it says nothing.
#[track_caller]
pub fn answer(client: &Client, tool: &str, point: &str, input: &Value) -> Value {
    let ran = hook(client, tool, point, &input.to_string());
    if ran.stdout.is_empty() { Value::Null } else { ran.json() }
}

#[track_caller]
pub fn send(client: &Client, to: &str, text: &str) {
    client.clone().env("THRUM_AGENT", "planner").run(&["send", "--anyway", to, text]).exits(0);
}

/// The live sessions of an agent, once they are as they should be.
#[track_caller]
fn sessions(daemon: &Daemon, name: &str, are: impl Fn(&[SessionInfo]) -> bool) {
    eventually(SHORT, || {
        let agents = daemon.ask::<AgentList>(AgentListParams::default()).agents;
        let agent = agents.into_iter().find(|agent| agent.name == name);
        let live = agent.map(|agent| agent.sessions).unwrap_or_default();
        holds(are(&live), || format!("{live:?}"))
    });
}

fn is_idle(live: &[SessionInfo]) -> bool {
    matches!(live, [it] if it.state == SessionState::Idle)
}

/// A tool that ends with the test.
struct Running(Child);

impl Running {
    fn end(&mut self) {
        drop(self.0.kill());
        drop(self.0.wait());
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.end();
    }
}

#[track_caller]
pub fn is_shown(text: Option<&str>, message: &str) {
    let text = text.unwrap_or_else(|| panic!("{message} is not shown"));
    assert!(
        text.starts_with("[thrum] ") && text.contains(&format!("```\n{message}\n```")),
        "{text}"
    );
    assert!(
        text.contains("from planner on laptop, ") && text.contains("not by your user"),
        "{text}"
    );
}

/// The first text at the prompt, or for Cursor at a step.
fn point_of_prompt(tool: &Tool) -> &'static str {
    if tool.name == "cursor" { "step" } else { "prompt" }
}

#[test]
fn each_tool_is_shown_each_message_once_at_each_point() {
    let daemon = Daemon::start("laptop");
    let client = client(&daemon);
    for tool in &TOOLS {
        let said = |point: &str, more: Value| {
            answer(&client, tool.name, point, &(tool.input)("s1", with(json!({"cwd": "/"}), more)))
        };
        let start = said("session-start", json!({}));
        let start = (tool.prompt)(&start).unwrap_or_else(|| panic!("{}: no start", tool.name));
        assert!(
            start.contains(&format!("You are the agent {} in the project test", tool.agent)),
            "{start}"
        );
        assert_eq!(said("prompt", json!({"prompt": "go"})), Value::Null, "{}", tool.name);

        send(&client, tool.agent, "at the prompt");
        let prompt = said(point_of_prompt(tool), json!({"prompt": "go"}));
        is_shown((tool.prompt)(&prompt), "at the prompt");
        assert_eq!(said("prompt", json!({})), Value::Null, "{}: once", tool.name);

        send(&client, tool.agent, "between steps");
        is_shown((tool.prompt)(&said("step", json!({"tool_name": "Edit"}))), "between steps");
        assert_eq!(said("step", json!({})), Value::Null);
        sessions(&daemon, tool.agent, |live| {
            matches!(live, [it] if it.state == SessionState::Working && it.id == "s1"
                && it.tool.as_deref() == Some(tool.name) && it.folder.as_deref() == Some("/"))
        });

        send(&client, tool.agent, "at the stop");
        is_shown((tool.stop)(&said("stop", json!({}))), "at the stop");
        assert_eq!(
            said("prompt", json!({"prompt": "[thrum] 1 message"})),
            Value::Null,
            "run again"
        );
        assert_eq!(said("stop", json!({"stop_hook_active": true})), Value::Null);
        sessions(&daemon, tool.agent, is_idle);

        assert_eq!(said("session-end", json!({"reason": "other"})), Value::Null);
        sessions(&daemon, tool.agent, <[_]>::is_empty);
    }
    let sent = client.clone().env("THRUM_AGENT", "planner").run(&["sent", "--json"]).json();
    for message in sent["messages"].as_array().unwrap() {
        let recipient = &message["recipients"][0];
        assert_eq!(
            (&recipient["route"], &recipient["session"]),
            (&json!("hook"), &json!("s1")),
            "{message}"
        );
    }
    let noted = notes(&client);
    assert_eq!(noted["entries"].as_array().map(Vec::len), Some(TOOLS.len()), "{noted}");
    for entry in noted["entries"].as_array().unwrap() {
        assert!(entry["error"].is_null(), "{noted}");
        for point in ["session-start", "prompt", "step", "stop", "session-end"] {
            assert!(entry["ran"][point].is_string(), "{point}: {noted}");
        }
    }
}

#[test]
fn only_three_messages_come_at_a_time_and_each_session_gets_all() {
    let daemon = Daemon::start("laptop");
    let client = client(&daemon);
    let shown = |session: &str| {
        let input = claude_like(session, json!({"cwd": "/"}));
        let answer = answer(&client, "codex", "prompt", &input);
        let text = answer["hookSpecificOutput"]["additionalContext"].as_str().unwrap_or_default();
        let numbers = (1..=5).filter(|number| text.contains(&format!("\nnumber {number}\n")));
        (numbers.collect::<Vec<_>>(), text.contains("2 more: thrum inbox"))
    };
    assert_eq!((shown("s1"), shown("s2")), ((vec![], false), (vec![], false)));
    for number in 1..=5 {
        send(&client, "test-codex", &format!("number {number}"));
    }
    assert_eq!(shown("s1"), (vec![1, 2, 3], true));
    assert_eq!(shown("s1"), (vec![4, 5], false));
    assert_eq!(shown("s2"), (vec![1, 2, 3], true), "the other session of the agent");
    assert_eq!(shown("s2"), (vec![4, 5], false));
    assert_eq!((shown("s1"), shown("s2")), ((vec![], false), (vec![], false)));
}

#[test]
fn hooks_that_run_at_once_show_a_message_once() {
    let daemon = Daemon::start("laptop");
    let client = client(&daemon);
    let input = claude_like("s1", json!({"cwd": "/", "tool_name": "Edit"})).to_string();
    hook(&client, "claude-code", "prompt", &input);
    for round in 0..5 {
        let text = format!("round {round}");
        send(&client, "test-claude", &text);
        let shown: Vec<bool> = std::thread::scope(|scope| {
            let run = || hook(&client, "claude-code", "step", &input).stdout.contains(&text);
            let all: Vec<_> = (0..6).map(|_| scope.spawn(run)).collect();
            all.into_iter().map(|one| one.join().unwrap()).collect()
        });
        assert_eq!(shown.iter().filter(|shown| **shown).count(), 1, "{text}: {shown:?}");
    }
}

#[test]
fn a_subagent_and_a_turn_that_was_broken_off_are_shown_nothing() {
    let daemon = Daemon::start("laptop");
    let client = client(&daemon);
    let of = |more: Value| claude_like("s1", with(json!({"cwd": "/"}), more));
    answer(&client, "claude-code", "prompt", &of(json!({})));
    send(&client, "test-claude", "for the agent itself");
    let below = of(json!({"agent_id": "a1", "agent_type": "general-purpose", "tool_calls": []}));
    assert_eq!(answer(&client, "claude-code", "step", &below), Value::Null);
    let aborted = cursor("s2", json!({"status": "aborted", "cwd": "/"}));
    answer(&client, "cursor", "step", &cursor("s2", json!({"cwd": "/"})));
    send(&client, "test-cursor", "not after an abort");
    assert_eq!(answer(&client, "cursor", "stop", &aborted), Value::Null);
    sessions(&daemon, "test-cursor", is_idle);
    is_shown(
        context(&answer(&client, "claude-code", "step", &of(json!({})))),
        "for the agent itself",
    );
}

#[test]
fn the_shell_of_claude_code_knows_who_it_is() {
    let daemon = Daemon::start("laptop");
    let file = daemon.folder().join("env.sh");
    fs::write(&file, "export OTHER=1").unwrap();
    let client = client(&daemon).env("CLAUDE_ENV_FILE", file.display());
    let input = claude_like("s'1", json!({"cwd": "/"}));
    answer(&client, "claude-code", "session-start", &input);
    answer(&client, "claude-code", "prompt", &input);
    let mut shell = Command::new("sh");
    shell
        .args(["-c", ". \"$0\"; echo \"$OTHER $THRUM_AGENT $THRUM_PROJECT $THRUM_SESSION\""])
        .arg(&file);
    let told = String::from_utf8(shell.output().unwrap().stdout).unwrap();
    assert_eq!(told, "1 test-claude test s'1\n");
}

#[test]
fn the_session_is_the_tool_and_ends_with_it() {
    let daemon = Daemon::start("laptop");
    let client = client(&daemon);
    let input = client.folder().join("input.json");
    fs::write(&input, claude_like("s1", json!({"cwd": "/"})).to_string()).unwrap();
    // A tool that runs its hook by a shell, and stays.
    let thrum = client.command(&[]);
    let script = format!(
        "import subprocess, sys\nsubprocess.run(['sh', '-c', '{} hook codex prompt <{}; true'])\n\
         print('ran', flush=True)\nsys.stdin.read()",
        thrum.get_program().display(),
        input.display()
    );
    let mut python = Command::new("python3");
    python.args(["-c", &script]).env_clear().current_dir(client.folder());
    python.envs(thrum.get_envs().filter_map(|(name, value)| Some((name, value?))));
    let mut python = Running(python.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap());
    let mut ran = [0; 4];
    python.0.stdout.take().unwrap().read_exact(&mut ran).unwrap();
    sessions(&daemon, "test-codex", |live| live.len() == 1);
    python.end();
    sessions(&daemon, "test-codex", <[_]>::is_empty);
}

#[test]
fn prime_tells_the_same_and_marks_nothing() {
    let daemon = Daemon::start("laptop");
    let client = client(&daemon);
    send(&client, "test-codex", "unread");
    let prime = client.run(&["prime", "--tool", "codex"]).exits(0).stdout;
    assert!(
        prime.starts_with("[thrum] You are the agent test-codex in the project test"),
        "{prime}"
    );
    assert!(
        prime.contains("You have 1 unread message.") && prime.contains("- planner on laptop"),
        "{prime}"
    );
    let start = answer(&client, "codex", "session-start", &claude_like("s1", json!({"cwd": "/"})));
    let start = context(&start).unwrap();
    assert_eq!(start, prime.trim_end());
    let own = client.clone().env("THRUM_AGENT", "coder");
    let own = own.run(&["prime"]).exits(0).stdout;
    assert!(own.contains("You are the agent coder") && !own.contains("--as"), "{own}");
    client.run(&["prime"]).exits(2);
}
