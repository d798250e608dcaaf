//! `wait_for_message`, and what happens to messages when a client cancels, leaves or does not read.

use std::process::Stdio;

use rustix::process::Signal;
use serde_json::json;
use tests::harness::{Client, Daemon, LONG, MODERN, Mcp, SHORT, eventually, holds};
use thrum_api::local::{
    AgentList, AgentListParams, AgentState, InboxParams, MessageInbox, MessageSend,
    MessageSendParams,
};

fn client(daemon: &Daemon) -> Client {
    Client::new(daemon).env("THRUM_AGENT", "coder")
}

fn coder(daemon: &Daemon, revision: &str) -> Mcp {
    Mcp::greeted(&client(daemon), &["--tool", "claude-code"], "claude-code", revision)
}

fn send(daemon: &Daemon, text: &str) {
    daemon.ask::<MessageSend>(MessageSendParams {
        from: "planner".to_owned(),
        to: vec!["coder".to_owned()],
        text: text.to_owned(),
        project: "test".to_owned(),
        ..MessageSendParams::default()
    });
}

fn unread(daemon: &Daemon) -> u64 {
    let (agent, project) = ("coder".to_owned(), Some("test".to_owned()));
    daemon.ask::<MessageInbox>(InboxParams { agent, project, ..InboxParams::default() }).unread
}

#[track_caller]
fn until(daemon: &Daemon, state: AgentState) {
    eventually(LONG, || {
        let agents = daemon.ask::<AgentList>(AgentListParams::default()).agents;
        let coder = agents.into_iter().find(|agent| agent.name == "coder").ok_or("no coder")?;
        holds(coder.state == state, || format!("{coder:?}"))
    });
}

#[track_caller]
fn until_unread(daemon: &Daemon, count: u64) {
    eventually(SHORT, || {
        let unread = unread(daemon);
        holds(unread == count, || format!("{unread} unread"))
    });
}

#[test]
fn a_wait_ends_with_the_message_or_the_time() {
    let daemon = Daemon::start("laptop");
    for revision in ["2025-11-25", MODERN] {
        let mut mcp = coder(&daemon, revision);
        let id = mcp.begin("wait_for_message", json!({}));
        until(&daemon, AgentState::Waiting);
        send(&daemon, "here it is");
        let waited = mcp.done(id);
        assert_eq!(waited["messages"][0]["text"], "here it is", "{waited}");
        until_unread(&daemon, 0);
        let nothing = mcp.call("wait_for_message", json!({"timeout_s": 1}));
        assert_eq!(nothing["messages"], json!([]));
        assert!(nothing["waited_s"].as_u64() >= Some(1), "{nothing}");
        assert!(nothing["next"].as_str().unwrap().contains("again"), "{nothing}");
    }
}

#[test]
fn a_wait_goes_on_over_a_restart_of_the_daemon() {
    let mut daemon = Daemon::start("laptop");
    let mut mcp = coder(&daemon, "2025-11-25");
    let id = mcp.begin("wait_for_message", json!({"timeout_s": 60}));
    until(&daemon, AgentState::Waiting);
    daemon.kill();
    daemon.start_again();
    until(&daemon, AgentState::Waiting);
    send(&daemon, "after the restart");
    assert_eq!(mcp.done(id)["messages"][0]["text"], "after the restart");
    until_unread(&daemon, 0);
    let id = mcp.begin("wait_for_message", json!({"timeout_s": 10}));
    until(&daemon, AgentState::Waiting);
    daemon.stop();
    let away = mcp.done(id);
    assert_eq!(away["messages"], json!([]));
    assert!(away["problem"].as_str().unwrap().contains("thrumd"), "{away}");
}

#[test]
fn a_cancelled_wait_ends_and_takes_no_message() {
    let daemon = Daemon::start("laptop");
    let mut mcp = coder(&daemon, "2025-11-25");
    let id = mcp.begin("wait_for_message", json!({}));
    until(&daemon, AgentState::Waiting);
    mcp.notify("notifications/cancelled", json!({"requestId": id, "reason": "no time"}));
    until(&daemon, AgentState::Idle);
    send(&daemon, "for later");
    assert_eq!(unread(&daemon), 1);
    assert_eq!(mcp.call("check_messages", json!({}))["messages"][0]["text"], "for later");
    until_unread(&daemon, 0);
}

#[test]
fn a_client_that_leaves_in_the_middle_of_a_wait_ends_it_at_once() {
    let daemon = Daemon::start("laptop");
    for signal in [None, Some(Signal::TERM)] {
        let mut mcp = coder(&daemon, "2025-11-25");
        mcp.begin("wait_for_message", json!({"timeout_s": 1500}));
        until(&daemon, AgentState::Waiting);
        match signal {
            None => mcp.close(),
            Some(signal) => mcp.signal(signal),
        }
        assert_eq!(mcp.ended().code(), Some(0), "{signal:?}");
        until(&daemon, AgentState::Gone);
    }
    let mut mcp = coder(&daemon, "2025-11-25");
    mcp.begin("wait_for_message", json!({"timeout_s": 1500}));
    until(&daemon, AgentState::Waiting);
    mcp.signal(Signal::KILL);
    mcp.ended();
    until(&daemon, AgentState::Gone);
    send(&daemon, "nobody was there");
    assert_eq!(unread(&daemon), 1);
}

#[test]
fn a_message_is_read_only_when_its_answer_was_written() {
    let daemon = Daemon::start("laptop");
    // Nobody reads what it writes: the pipe has room for eight of these at most, and breaks then.
    let mut child = client(&daemon)
        .command(&["mcp", "--tool", "claude-code"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdin = child.stdin.take().unwrap();
    let mut write = |message: serde_json::Value| {
        use std::io::Write as _;
        writeln!(stdin, "{message}").unwrap();
    };
    drop(child.stdout.take());
    let info = json!({"name": "claude-code", "version": "1"});
    send(&daemon, "not shown");
    write(json!({"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {
        "name": "check_messages", "arguments": {}, "_meta": {
            "io.modelcontextprotocol/protocolVersion": MODERN,
            "io.modelcontextprotocol/clientInfo": info,
            "io.modelcontextprotocol/clientCapabilities": {},
        },
    }}));
    // It is handed out, and comes back because it was not written.
    drop(stdin);
    let status = eventually(SHORT, || child.try_wait().unwrap().ok_or_else(|| "runs".to_owned()));
    assert_eq!(status.code(), Some(0));
    assert_eq!(unread(&daemon), 1);
    let mut mcp = coder(&daemon, "2025-11-25");
    assert_eq!(mcp.call("check_messages", json!({}))["messages"][0]["text"], "not shown");
    until_unread(&daemon, 0);
}

#[test]
fn a_client_that_wants_to_know_is_told_that_a_wait_goes_on() {
    let daemon = Daemon::start("laptop");
    let mut mcp = coder(&daemon, "2025-11-25");
    let id = mcp.send(
        "tools/call",
        json!({"name": "wait_for_message", "arguments": {}, "_meta": {"progressToken": "p"}}),
    );
    let told = mcp.next_told();
    assert_eq!(told["method"], "notifications/progress", "{told}");
    assert_eq!(
        (&told["params"]["progressToken"], &told["params"]["total"]),
        (&json!("p"), &json!(100.0))
    );
    assert!(told["params"]["progress"].as_f64().unwrap() >= 20.0, "{told}");
    send(&daemon, "x");
    mcp.done(id);
}

#[test]
fn waits_have_a_limit_of_their_own_and_leave_room_for_other_calls() {
    let daemon = Daemon::start("laptop");
    let mut mcp = coder(&daemon, "2025-11-25");
    let waits: Vec<i64> =
        (0..8).map(|_| mcp.begin("wait_for_message", json!({"timeout_s": 1500}))).collect();
    until(&daemon, AgentState::Waiting);
    let refused = mcp.fails("wait_for_message", json!({}));
    assert_eq!(refused["code"], "too_many_waits", "{refused}");
    mcp.call("list_agents", json!({}));
    for id in waits {
        mcp.notify("notifications/cancelled", json!({"requestId": id}));
    }
    eventually(SHORT, || {
        let files = tests::harness::process::open_files(mcp.pid());
        holds(files < 16, || format!("{files} open files"))
    });
}

#[test]
fn the_end_of_a_client_that_floods_is_seen_though_thrumd_hangs() {
    let mut daemon = Daemon::start("laptop");
    daemon.stop();
    std::fs::remove_file(daemon.socket()).ok();
    let _held = std::os::unix::net::UnixListener::bind(daemon.socket()).unwrap();
    let mut mcp = coder(&daemon, "2025-11-25");
    for _ in 0..600 {
        mcp.begin("list_agents", json!({}));
    }
    mcp.close();
    assert_eq!(mcp.ended().code(), Some(0));
}

#[test]
fn what_did_not_fit_is_in_the_next_answer() {
    let daemon = Daemon::start("laptop");
    let text = |n: usize| format!("{n}{}", "x".repeat(2500));
    (0..40).for_each(|n| send(&daemon, &text(n)));
    let mut mcp = coder(&daemon, "2025-11-25");
    let mut read = 0;
    while read < 40 {
        let checked = mcp.call("check_messages", json!({}));
        let shown = checked["messages"].as_array().unwrap();
        assert!(!shown.is_empty(), "after {read}: {checked}");
        for message in shown {
            assert_eq!(message["text"], text(read), "in their order");
            read += 1;
        }
    }
    assert_eq!(mcp.call("check_messages", json!({}))["messages"], json!([]));
}
