//! Two machines and two vendors: an idle session is woken by a message of the other one, and answers.

use std::time::Instant;

use serde_json::json;
use tests::agent_tools::{Desk, Installed, TOOL_LIMIT, Tool, sealed_on_tailnet, sealed_with};
use tests::harness::{Daemon, eventually, holds, pair};
use tests::tailnet::{Cluster, pair_over};

use crate::shown::quoted;

#[test]
fn an_idle_codex_is_woken_by_claude_code_on_another_machine_and_answers() {
    sealed_with(&[Tool::ClaudeCode, Tool::Codex], |installed| {
        let (laptop, office) = (Daemon::start("laptop"), Daemon::start("office-server"));
        pair(&laptop, &office);
        is_woken_and_answers(installed, (Tool::ClaudeCode, &laptop), (Tool::Codex, &office));
    });
}

#[test]
fn an_idle_codex_is_woken_over_a_tailnet_and_answers() {
    sealed_on_tailnet(&[Tool::ClaudeCode, Tool::Codex], |installed, programs| {
        let cluster = Cluster::of(programs, &["laptop", "office-server"]);
        let (laptop, office) = (cluster.daemon("laptop"), cluster.daemon("office-server"));
        pair_over(laptop, "laptop", office);
        is_woken_and_answers(installed, (Tool::ClaudeCode, laptop), (Tool::Codex, office));
    });
}

#[test]
fn an_idle_claude_code_is_woken_by_codex_on_another_machine_and_answers() {
    sealed_with(&[Tool::ClaudeCode, Tool::Codex], |installed| {
        let (laptop, office) = (Daemon::start("laptop"), Daemon::start("office-server"));
        pair(&laptop, &office);
        is_woken_and_answers(installed, (Tool::Codex, &laptop), (Tool::ClaudeCode, &office));
    });
}

/// A tool on one machine asks one on the other.
fn is_woken_and_answers(
    installed: &Installed,
    (asks, laptop): (Tool, &Daemon),
    (sleeps, office): (Tool, &Daemon),
) {
    let asking = Desk::new(installed, asks, laptop);
    let idle = Desk::new(installed, sleeps, office);
    let (asker, sleeper) = (asking.agent(), idle.agent());
    asking.sets_up(&[]);
    idle.sets_up(&["--wake"]);

    // It answers a prompt, and its person goes away.
    let screen = idle.opens("say hello");
    idle.model().asked().says("Hello.");
    eventually(TOOL_LIMIT, || {
        let team = asking.thrum(&["team", "-v"]).exits(0).stdout;
        let line = team.lines().find(|line| line.starts_with(&sleeper));
        let is_idle = line.is_some_and(|line| line.contains("idle"));
        let is_woken = team.contains(&format!("{sleeper} on office-server: messages wake it"));
        holds(is_idle && is_woken, || {
            format!("laptop doesn't know that {sleeper} is woken when idle: {team}")
        })
    });

    // Another one asks it, and is told what happens with that.
    let session = asking.runs("ask about the lexer");
    let question = json!({"to": sleeper, "text": "Is the lexer fast enough?"});
    asking.model().asked().calls("send_message", question);
    let (thinking, sent) = (asking.model().asked(), Instant::now());
    thinking.text_with(": it is woken.");

    // It is woken: the prompt is ours alone, the message is data beside it.
    let woken = idle.model().asked();
    println!("{} asked its model {:.1?} after the message was sent", sleeper, sent.elapsed());
    let prompt = woken.text_with(&format!("new message for {sleeper}"));
    assert_eq!(prompt.role, "user", "{prompt:?}");
    let from = format!("from \"{asker}\" on \"laptop\".");
    assert!(prompt.text.contains(&from), "{prompt:?}");
    assert!(!prompt.text.contains("lexer fast"), "{prompt:?}");
    let (_, id) = quoted(&woken, "Is the lexer fast enough?", sleeps.role_at_prompt());
    woken.calls("reply_message", json!({"id": id, "text": "Yes: 3 ms."}));
    idle.model().asked().says("Answered.");

    // The answer is there before the other one ends its turn: it gets it then.
    eventually(TOOL_LIMIT, || {
        let inbox = asking.thrum(&["inbox", "--as", &asker, "--peek"]).exits(0).stdout;
        holds(inbox.contains("3 ms"), || format!("no answer yet: {inbox}"))
    });
    thinking.says("I asked.");
    let told = asking.model().asked();
    quoted(&told, "Yes: 3 ms.", "user");
    told.says("Good.");
    session.ends();

    // Both senders know all of it, on both machines.
    eventually(TOOL_LIMIT, || {
        let question = newest_of(&asking, &asker);
        let is_answered = !question.trim_end().ends_with('-');
        holds(question.contains("(woken)") && is_answered, || question)
    });
    eventually(TOOL_LIMIT, || {
        let answer = newest_of(&idle, &sleeper);
        holds(answer.contains("(by hook)"), || answer)
    });
    idle.model().is_not_asked();
    drop(screen);
}

#[test]
fn a_cleared_claude_code_without_permission_prompts_is_woken() {
    sealed_with(&[Tool::ClaudeCode], |installed| {
        let daemon = Daemon::start("laptop");
        let desk = Desk::new(installed, Tool::ClaudeCode, &daemon);
        desk.sets_up(&["--wake"]);
        // In this mode it holds what comes from a process that it did not start.
        let mut screen = desk.opens_with(&["--dangerously-skip-permissions"], "say hello");
        desk.model().asked().says("Hello.");
        let before = eventually(TOOL_LIMIT, || session_of(&desk));
        screen.types("/clear");
        eventually(TOOL_LIMIT, || {
            holds(session_of(&desk)? != before, || "it is not cleared".to_owned())
        });
        desk.thrum(&["send", "--as", "reviewer", &desk.agent(), "The parser is yours."]).exits(0);
        let woken = desk.model().asked();
        woken.lacks("say hello");
        quoted(&woken, "The parser is yours.", Tool::ClaudeCode.role_at_prompt());
        // The server is still the one of the session before, and has nothing to tell twice.
        woken.calls("check_messages", json!({}));
        let checked = desk.model().asked();
        checked.text_with("The parser is yours.");
        checked.says("Good.");
        let sent = desk.thrum(&["sent", "--as", "reviewer"]).exits(0).stdout;
        assert!(sent.contains("(woken)"), "{sent}");
    });
}

/// The session that Claude Code says it has.
///
/// # Errors
/// When it says none.
fn session_of(desk: &Desk) -> Result<String, String> {
    let folder = desk.home().join(".claude/sessions");
    let files = std::fs::read_dir(&folder).map_err(|error| error.to_string())?;
    let mut ids = files.flatten().filter_map(|file| {
        let text = std::fs::read(file.path()).ok()?;
        let told: serde_json::Value = serde_json::from_slice(&text).ok()?;
        told["sessionId"].as_str().map(str::to_owned)
    });
    ids.next().ok_or_else(|| "no session yet".to_owned())
}

/// The line of `thrum sent` on the newest message of an agent.
#[track_caller]
fn newest_of(desk: &Desk, agent: &str) -> String {
    let sent = desk.thrum(&["sent", "--as", agent]).exits(0).stdout;
    sent.lines().nth(1).unwrap_or_else(|| panic!("nothing sent: {sent}")).to_owned()
}
