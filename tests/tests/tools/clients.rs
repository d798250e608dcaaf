//! `thrum mcp` with clients that others wrote: the official ones for Python, and the inspector.

use std::path::Path;
use std::process::Command;

use serde_json::{Value, json};
use tests::agent_tools::{Installed, TOOL_LIMIT, sealed_with_programs};
use tests::harness::{Client, Daemon, output_within, program};

const TOOLS: [&str; 6] = [
    "send_message",
    "check_messages",
    "reply_message",
    "wait_for_message",
    "list_agents",
    "set_status",
];

#[test]
fn the_python_client_speaks_with_it_by_a_handshake() {
    sealed_with_programs(&["mcp-python"], |installed| {
        a_python_session(installed, "mcp-python", "handshake", "2025-11-25");
    });
}

#[test]
fn the_python_client_speaks_with_it_without_a_handshake() {
    sealed_with_programs(&["mcp-python"], |installed| {
        a_python_session(installed, "mcp-python", "discover", "2026-07-28");
    });
}

#[test]
fn the_older_python_client_speaks_with_it() {
    sealed_with_programs(&["mcp-python-1"], |installed| {
        a_python_session(installed, "mcp-python-1", "handshake", "2025-11-25");
    });
}

fn a_python_session(installed: &Installed, client: &str, way: &str, revision: &str) {
    let daemon = Daemon::start("laptop");
    let thrum = Client::new(&daemon);
    thrum.run(&["send", "--as", "reviewer", "--anyway", "coder", "Mine, since today."]).exits(0);
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tools/mcp_client.py");
    let mut command = Command::new(installed.folder_of(client).join(client));
    command.arg(script).arg(way).args([program("thrum").as_os_str(), "mcp".as_ref()]);
    let got = json_of(&daemon, &mut command);

    assert_eq!(got["began"]["protocolVersion"], revision);
    let instructions = got["began"]["instructions"].as_str().unwrap_or_default();
    assert!(instructions.starts_with("Look for these tools"), "{instructions}");
    assert_eq!(names_of(&got["tools"]), TOOLS);
    let told = answer(&got["sent"]);
    assert!(told["told"][0].as_str().unwrap_or_default().contains("reviewer"), "{told}");
    let inbox = thrum.run(&["inbox", "--as", "reviewer"]).exits(0);
    assert!(inbox.stdout.contains("from Python"), "{inbox:?}");
    let checked = answer(&got["checked"]);
    assert_eq!(checked["messages"][0]["text"], "Mine, since today.");
    assert_eq!(answer(&got["waited"])["messages"], json!([]));
    assert_eq!(answer(&got["listed"])["you"]["name"], "coder");
    assert_eq!(got["wrong"]["isError"], true);
    assert_eq!(content(&got["wrong"])["error"]["code"], "bad_arguments");
    let sent = thrum.run(&["sent", "--as", "reviewer"]).exits(0);
    assert!(sent.stdout.contains("(by MCP)"), "{sent:?}");
}

#[test]
fn the_inspector_speaks_with_it() {
    sealed_with_programs(&["inspector"], |installed| {
        let daemon = Daemon::start("laptop");
        let inspect = |words: &[&str]| {
            let folder = installed.folder_of("inspector");
            let mut command = Command::new(folder.join("inspector"));
            // It passes on nothing by itself.
            let socket = format!("THRUM_SOCKET={}", daemon.socket().display());
            command.args(["--cli", "-e", &socket, "-e", "THRUM_AGENT=coder"]);
            command.arg("-e").arg("THRUM_PROJECT=test").arg(program("thrum")).arg("mcp");
            json_of(&daemon, command.args(words))
        };
        let listed = inspect(&["--method", "tools/list"]);
        assert_eq!(names_of(&listed["tools"]), TOOLS);
        let words = ["--tool-arg", "to=reviewer", "--tool-arg", "text=from the inspector"];
        let call = ["--method", "tools/call", "--tool-name", "send_message"];
        let told = inspect(&[&call[..], &words[..]].concat());
        assert!(answer(&told)["id"].is_string(), "{told}");
        let inbox = daemon.thrum(&["inbox", "--as", "reviewer"]).exits(0);
        assert!(inbox.stdout.contains("from the inspector"), "{inbox:?}");
    });
}

/// Runs a command as the agent `coder` of this daemon; gives the JSON that it printed.
#[track_caller]
fn json_of(daemon: &Daemon, command: &mut Command) -> Value {
    command
        .env_clear()
        .current_dir(daemon.folder())
        .env("PATH", "/usr/bin:/bin")
        .env("HOME", daemon.folder())
        .env("THRUM_SOCKET", daemon.socket())
        .env("THRUM_AGENT", "coder")
        .env("THRUM_PROJECT", "test");
    let output = output_within(TOOL_LIMIT, command).unwrap();
    serde_json::from_slice(&output.stdout).unwrap_or_else(|error| {
        panic!("no JSON ({error}): {}", String::from_utf8_lossy(&output.stderr))
    })
}

fn names_of(tools: &Value) -> Vec<&str> {
    tools.as_array().into_iter().flatten().filter_map(|tool| tool["name"].as_str()).collect()
}

/// What a call that succeeded answered.
#[track_caller]
fn answer(result: &Value) -> Value {
    assert_ne!(result["isError"], true, "{result}");
    content(result)
}

/// The answer as text, which is the structured one.
#[track_caller]
fn content(result: &Value) -> Value {
    let text = result["content"][0]["text"].as_str().unwrap_or_default();
    let content: Value = serde_json::from_str(text).unwrap_or_default();
    assert_eq!(content, result["structuredContent"], "{result}");
    content
}
