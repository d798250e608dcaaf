//! One real session of each tool: hooks at every point, a call over MCP, a message between two steps and one at the
//! end.

use serde_json::json;
use tests::agent_tools::{Desk, Installed, Tool, sealed_with};
use tests::harness::{Daemon, SHORT, eventually, holds};

use crate::shown::quoted;

#[test]
fn claude_code_is_told_at_every_point() {
    sealed_with(&[Tool::ClaudeCode], |installed| a_session(installed, Tool::ClaudeCode));
}

#[test]
fn codex_is_told_at_every_point() {
    sealed_with(&[Tool::Codex], |installed| a_session(installed, Tool::Codex));
}

#[test]
#[ignore = "run by tests/tools/run all"]
fn gemini_is_told_at_every_point() {
    sealed_with(&[Tool::Gemini], |installed| a_session(installed, Tool::Gemini));
}

#[test]
#[ignore = "run by tests/tools/run all"]
fn copilot_is_told_at_every_point() {
    sealed_with(&[Tool::Copilot], |installed| a_session(installed, Tool::Copilot));
}

#[test]
#[ignore = "run by tests/tools/run all; it waits over a minute for a package registry that isn't there"]
fn opencode_is_told_at_every_point() {
    sealed_with(&[Tool::Opencode], |installed| a_session(installed, Tool::Opencode));
}

fn a_session(installed: &Installed, tool: Tool) {
    let daemon = Daemon::start("laptop");
    let desk = Desk::new(installed, tool, &daemon);
    let (agent, model) = (desk.agent(), desk.model());
    desk.sets_up(&[]);
    let reviewer_sends = |text: &str| {
        desk.thrum(&["send", "--as", "reviewer", &agent, text]).exits(0);
    };
    reviewer_sends("The parser is yours.");

    // Who it is and what came before it began.
    let session = desk.runs("ask the reviewer");
    let asked = model.asked();
    let primed = asked.texts_with(&agent);
    assert!(primed.iter().any(|shown| shown.text.contains("thrum")), "{:#?}", asked.shown());
    quoted(&asked, "The parser is yours.", tool.role_at_prompt());
    is_listed(&desk, "working");

    // It writes, over MCP: the tools are there without being looked up.
    assert!(asked.tools().iter().any(|name| name.ends_with("send_message")), "{asked:?}");
    asked.calls("send_message", json!({"to": "reviewer", "text": "And the lexer?"}));
    let asked = model.asked();
    let sent = asked.shown().iter().rfind(|shown| shown.role == "tool").expect("a result");
    assert!(sent.text.contains("reviewer"), "{sent:?}");
    let inbox = desk.thrum(&["inbox", "--as", "reviewer"]).exits(0);
    assert!(inbox.stdout.contains("And the lexer?") && inbox.stdout.contains(&agent), "{inbox:?}");

    // While it thinks, the answer comes: it is told after its next step.
    reviewer_sends("Mine, since today.");
    asked.calls("list_agents", json!({}));
    let asked = model.asked();
    quoted(&asked, "Mine, since today.", tool.role_at_step());
    asked.text_with("The parser is yours.");

    // It would end, and another one has come.
    if tool == Tool::Opencode {
        // `opencode run` ends before what its plugin asks for then.
        asked.says("I know enough.");
    } else {
        reviewer_sends("Wait for my tests.");
        asked.says("I know enough.");
        let asked = model.asked();
        quoted(&asked, "Wait for my tests.", "user");
        asked.text_with("Mine, since today.");
        asked.says("I will wait.");
    }
    session.ends();
    model.is_not_asked();

    // The sender knows, and the session is over.
    let sent = desk.thrum(&["sent", "--as", "reviewer"]).exits(0);
    let read = if tool == Tool::Opencode { 2 } else { 3 };
    assert_eq!(sent.stdout.matches("(by hook)").count(), read, "{}", sent.stdout);
    is_listed(&desk, "gone");
}

/// Waits until `thrum team` says this of the agent.
#[track_caller]
fn is_listed(desk: &Desk, state: &str) {
    eventually(SHORT, || {
        let team = desk.thrum(&["team", "--json"]).exits(0).json();
        let members = team["members"].as_array().or_else(|| team["agents"].as_array());
        let found = members.into_iter().flatten().any(|member| {
            let text = member.to_string();
            text.contains(&desk.agent()) && text.contains(&format!("\"{state}\""))
        });
        holds(found, || format!("not {state}: {team:#}"))
    });
}
