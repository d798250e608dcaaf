//! A tool that is started in the shell of another tool's session is another agent.

use std::fs;
use std::process::Command;

use serde_json::{Value, json};
use tests::harness::{Client, Daemon, Mcp};

use super::hooks::{answer, claude_like, client, context, is_shown, send};

/// What the shell of a session of Claude Code has in its environment.
fn shell_of_claude(client: &Client) -> Client {
    let file = client.folder().join("env.sh");
    let told = client.clone().env("CLAUDE_ENV_FILE", file.display());
    answer(&told, "claude-code", "session-start", &claude_like("s1", json!({"cwd": "/"})));
    let mut shell = Command::new("sh");
    shell.env_clear().args(["-c", ". \"$0\"; env | grep ^THRUM_"]).arg(&file);
    let told = String::from_utf8(shell.output().unwrap().stdout).unwrap();
    let told = told.lines().map(|line| line.split_once('=').unwrap());
    told.fold(client.clone(), |client, (name, value)| client.env(name, value))
}

#[test]
fn the_messages_of_the_outer_agent_are_not_for_a_tool_that_it_starts() {
    let daemon = Daemon::start("laptop");
    let client = client(&daemon);
    let shell = shell_of_claude(&client);
    // The project of the inner one is that of its folder.
    let folder = client.folder().join("test");
    fs::create_dir(&folder).unwrap();
    send(&client, "test-claude", "for the outer one");
    let inner = claude_like("s2", json!({"cwd": folder}));
    answer(&shell, "codex", "session-start", &inner);
    assert_eq!(answer(&shell, "codex", "prompt", &inner), Value::Null);
    send(&client, "test-codex", "for the inner one");
    is_shown(context(&answer(&shell, "codex", "prompt", &inner)), "for the inner one");
    let mut mcp = Mcp::greeted(&shell, &["--tool", "gemini"], "gemini-cli", "2025-11-25");
    let you = mcp.call("list_agents", json!({}))["you"]["name"].clone();
    assert!(you.as_str().unwrap().ends_with("-gemini"), "{you}");
    assert_eq!(mcp.call("check_messages", json!({}))["messages"], json!([]));

    // As a command, `thrum` is the outer one there.
    assert!(shell.run(&["inbox"]).exits(0).stdout.contains("for the outer one"));
    // A name that was chosen for the inner one counts.
    let named = shell.env("THRUM_AGENT", "reviewer");
    let mut mcp = Mcp::greeted(&named, &["--tool", "codex"], "codex-mcp-client", "2025-06-18");
    assert_eq!(mcp.call("list_agents", json!({}))["you"]["name"], "reviewer");
}
