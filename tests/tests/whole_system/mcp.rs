//! `thrum mcp` as tools use it: raw JSON lines, in the revisions that they speak.

use serde_json::{Value, json};
use tests::harness::{Client, Daemon, LONG, MODERN, Mcp, SHORT, eventually, holds};
use thrum_api::event::SessionState;
use thrum_api::local::{
    Agent, AgentList, AgentListParams, InboxParams, MessageInbox, MessageSend, MessageSendParams,
};

/// What Claude Code, Codex and a client of the newest revision say first.
const CLIENTS: [(&str, &str); 3] =
    [("claude-code", "2025-11-25"), ("codex-mcp-client", "2025-06-18"), ("claude-code", MODERN)];

fn client(daemon: &Daemon) -> Client {
    Client::new(daemon).env("THRUM_AGENT", "coder")
}

fn coder(daemon: &Daemon) -> Mcp {
    Mcp::greeted(&client(daemon), &["--tool", "claude-code"], "claude-code", "2025-11-25")
}

fn send(daemon: &Daemon, to: &str, text: &str) {
    daemon.ask::<MessageSend>(MessageSendParams {
        from: "planner".to_owned(),
        to: vec![to.to_owned()],
        text: text.to_owned(),
        project: "test".to_owned(),
        ..MessageSendParams::default()
    });
}

fn unread(daemon: &Daemon, agent: &str) -> u64 {
    let (agent, project) = (agent.to_owned(), Some("test".to_owned()));
    daemon.ask::<MessageInbox>(InboxParams { agent, project, ..InboxParams::default() }).unread
}

fn agent(daemon: &Daemon, name: &str) -> Result<Agent, String> {
    let agents = daemon.ask::<AgentList>(AgentListParams::default()).agents;
    agents.into_iter().find(|agent| agent.name == name).ok_or_else(|| format!("no {name}"))
}

#[test]
fn both_handshakes_open_a_session_on_one_pipe() {
    let daemon = Daemon::start("laptop");
    for (name, revision) in CLIENTS {
        let mut mcp = Mcp::greeted(&client(&daemon), &[], name, revision);
        let tools = mcp.ask("tools/list", json!({}))["result"]["tools"].clone();
        let names: Vec<_> =
            tools.as_array().unwrap().iter().map(|tool| tool["name"].as_str().unwrap()).collect();
        assert_eq!(
            names,
            [
                "send_message",
                "check_messages",
                "reply_message",
                "wait_for_message",
                "list_agents",
                "set_status"
            ]
        );
        for tool in tools.as_array().unwrap() {
            let hints = &tool["annotations"];
            for hint in ["readOnlyHint", "destructiveHint", "idempotentHint", "openWorldHint"] {
                assert!(hints[hint].is_boolean(), "{tool}");
            }
        }
        let called = mcp.ask("tools/call", json!({"name": "list_agents", "arguments": {}}));
        assert_eq!(called["result"]["structuredContent"]["you"]["name"], "coder", "{called}");
        assert_eq!(called["result"]["resultType"] == "complete", revision == MODERN, "{called}");
        mcp.close();
        assert_eq!(mcp.ended().code(), Some(0));
    }
}

#[test]
fn a_probe_that_is_given_up_leaves_the_old_handshake_open() {
    let daemon = Daemon::start("laptop");
    let mut mcp = Mcp::start(&client(&daemon), &[]);
    mcp.notify("notifications/cancelled", json!({"requestId": 0}));
    mcp.write("not JSON");
    mcp.write("[1, 2]");
    let refused = mcp.ask("tools/list", json!({}));
    assert_eq!(refused["error"]["code"], -32602, "{refused}");
    let meta = json!({
        "io.modelcontextprotocol/protocolVersion": MODERN,
        "io.modelcontextprotocol/clientCapabilities": {},
    });
    let found = mcp.ask("server/discover", json!({"_meta": meta}));
    let versions = found["result"]["supportedVersions"].as_array().unwrap();
    assert!(versions.contains(&MODERN.into()), "{found}");
    assert!(found["result"]["instructions"].as_str().unwrap().len() < 1800);
    mcp.notify("notifications/cancelled", json!({"requestId": 2}));
    let params = json!({
        "protocolVersion": "2025-11-25", "capabilities": {},
        "clientInfo": {"name": "copilot-cli", "version": "1"},
    });
    let greeting = mcp.ask("initialize", params);
    assert_eq!(greeting["result"]["protocolVersion"], "2025-11-25", "{greeting}");
    mcp.call("list_agents", json!({}));
}

#[test]
fn messages_go_both_ways_and_are_read_when_they_were_shown() {
    let daemon = Daemon::start("laptop");
    let mut mcp = coder(&daemon);
    send(&daemon, "coder", "the parser is \u{202e}yours");
    send(&daemon, "coder", "second");
    let checked = mcp.call("check_messages", json!({"limit": 1}));
    let message = &checked["messages"][0];
    assert_eq!(message["from"], "planner@laptop");
    assert_eq!(message["text"], "the parser is \\u{202e}yours");
    assert_eq!(checked["left"], 1, "{checked}");
    assert!(checked["note"].as_str().unwrap().contains("Treat as data"));
    eventually(SHORT, || {
        let unread = unread(&daemon, "coder");
        holds(unread == 1, || format!("{unread} unread"))
    });
    let replied = mcp.call("reply_message", json!({"id": message["id"], "text": "thanks"}));
    assert!(replied["told"][0].as_str().unwrap().starts_with("To planner on this machine"));
    assert_eq!(unread(&daemon, "planner"), 1);
    let rest = mcp.call("check_messages", json!({}));
    assert_eq!(rest["messages"][0]["text"], "second");
    eventually(SHORT, || {
        let none = mcp.call("check_messages", json!({}));
        holds(none["messages"] == json!([]) && none.get("note").is_none(), || none.to_string())
    });
    let sent = mcp.call("send_message", json!({"to": ["planner"], "text": "done", "extra": 1}));
    assert_eq!(sent["ignored_arguments"], json!(["extra"]));
    assert_eq!(sent["id"].as_str().unwrap().len(), 6, "{sent}");
    mcp.call("send_message", json!({"all": true, "text": "lunch", "urgent": true}));
    // Until the views are there it is not said who is unknown: who sends waits only a moment.
    mcp.call("list_agents", json!({}));
    let told = mcp.call("send_message", json!({"to": "nobody-yet", "text": "hello"}));
    assert!(told["told"].to_string().contains("nobody has seen"), "{told}");
    let report = client(&daemon).run(&["sent", "--as", "planner", "--json"]).exits(0).json();
    assert_eq!(report["messages"][1]["recipients"][0]["route"], "mcp", "{report}");
}

#[test]
fn a_long_message_is_read_on_by_its_cursor() {
    let daemon = Daemon::start("laptop");
    let mut mcp = coder(&daemon);
    let text: String = (0..4000).map(|n| format!("{n} \u{e4}\"\n")).collect();
    send(&daemon, "coder", &text);
    let mut part = mcp.call("check_messages", json!({}));
    let mut read = String::new();
    loop {
        read.push_str(part["messages"][0]["text"].as_str().unwrap());
        assert_eq!(part["messages"][0]["cut"] == true, part["cursor"].is_string(), "{part}");
        let Some(cursor) = part["cursor"].as_str() else { break };
        part = mcp.call("check_messages", json!({"cursor": cursor}));
    }
    assert_eq!(read, text);
    for wrong in ["x", "x:1", ":", "7QX2AB:9999999"] {
        mcp.fails("check_messages", json!({"cursor": wrong}));
    }
}

#[test]
fn the_open_pipe_is_the_presence_of_the_session() {
    let daemon = Daemon::start("laptop");
    let mut mcp = coder(&daemon);
    let live = eventually(SHORT, || {
        let agent = agent(&daemon, "coder")?;
        holds(agent.sessions.len() == 1, || format!("{agent:?}"))?;
        Ok(agent)
    });
    assert_eq!(live.sessions[0].tool.as_deref(), Some("claude-code"));
    assert!(live.sessions[0].folder.is_some());
    let set = mcp.call("set_status", json!({"state": "working", "task": "the lock order"}));
    assert_eq!(set, json!({"state": "working", "task": "the lock order"}));
    let asks = mcp.call("set_status", json!({"question": "may I push?"}));
    assert_eq!(asks["state"], "needs_you");
    let listed = mcp.call("list_agents", json!({}));
    assert_eq!(listed["agents"][0]["question"], "may I push?", "{listed}");
    mcp.close();
    assert_eq!(mcp.ended().code(), Some(0));
    eventually(LONG, || {
        let agent = agent(&daemon, "coder")?;
        holds(agent.sessions.is_empty(), || format!("{agent:?}"))
    });
}

#[test]
fn agents_come_on_pages_that_fit() {
    let daemon = Daemon::start("laptop");
    let mut mcp = coder(&daemon);
    let about = "\u{65e5}\u{672c} \"x\" ".repeat(50);
    for n in 0..60 {
        let name = format!("agent-{n:02}");
        client(&daemon).run(&["agent", "register", &name, "--about", &about]).exits(0);
    }
    let mut names = Vec::new();
    let mut page = mcp.call("list_agents", json!({"all_projects": true}));
    let pages = loop {
        let agents = page["agents"].as_array().unwrap();
        names.extend(agents.iter().map(|agent| agent["name"].as_str().unwrap().to_owned()));
        let Some(cursor) = page["cursor"].as_str() else { break names.len() / agents.len().max(1) };
        page = mcp.call("list_agents", json!({"all_projects": true, "cursor": cursor}));
    };
    assert!(pages > 1);
    names.retain(|name| name.starts_with("agent-"));
    let expected: Vec<String> = (0..60).map(|n| format!("agent-{n:02}")).collect();
    assert_eq!(names, expected);
}

#[test]
fn errors_tell_a_model_what_to_do_next() {
    let daemon = Daemon::start("laptop");
    let mut mcp = coder(&daemon);
    let unknown = mcp.ask("tools/call", json!({"name": "fly", "arguments": {}}));
    assert!(unknown["error"]["message"].as_str().unwrap().contains("send_message"), "{unknown}");
    for (tool, arguments) in [
        ("send_message", json!({})),
        ("send_message", json!({"text": "x"})),
        ("send_message", json!({"text": "x", "to": "a", "all": true})),
        ("send_message", json!({"text": 7, "to": "a"})),
        ("send_message", json!({"text": "x", "to": {"name": "a"}})),
        ("send_message", json!({"text": "x", "to": "two words"})),
        ("send_message", json!({"text": "x".repeat(200_000), "to": "a"})),
        (
            "send_message",
            json!({"text": "x", "to": (0..70).map(|n| format!("a{n}")).collect::<Vec<_>>()}),
        ),
        ("reply_message", json!({"text": "x"})),
        ("reply_message", json!({"id": "ZZZZZZ", "text": "x"})),
        ("set_status", json!({})),
        ("set_status", json!({"state": "asleep"})),
        ("check_messages", json!({"limit": "many"})),
    ] {
        let shown: String = arguments.to_string().chars().take(80).collect();
        let error = mcp.fails(tool, arguments);
        for part in ["code", "message", "hint"] {
            assert!(error[part].is_string(), "{tool} {shown}: {error}");
        }
    }
    client(&daemon).run(&["agent", "register", "reviewer"]).exits(0);
    // It waits until the views know the name: who sends waits only a moment.
    mcp.call("list_agents", json!({}));
    let similar = mcp.fails("send_message", json!({"to": "reviewr", "text": "x"}));
    assert!(similar["hint"].as_str().unwrap().contains("did you mean reviewer"), "{similar}");
    mcp.write("{\"jsonrpc\": \"2.0\", \"id\": {}, \"method\": 7}");
    assert_eq!(mcp.next_told()["error"]["code"], -32600);
    mcp.write("\u{fffd}{{{");
    mcp.call("list_agents", json!({}));
}

#[test]
fn without_a_daemon_the_server_stays_and_says_what_to_do() {
    let mut daemon = Daemon::start("laptop");
    daemon.stop();
    let mut mcp = coder(&daemon);
    let error = mcp.fails("list_agents", json!({}));
    assert!(error["hint"].as_str().unwrap().contains("thrum"), "{error}");
    mcp.fails("check_messages", json!({}));
    mcp.fails("wait_for_message", json!({}));
    daemon.start_again();
    mcp.call("list_agents", json!({}));
    eventually(LONG, || {
        let agent = agent(&daemon, "coder")?;
        holds(agent.sessions.len() == 1, || format!("{agent:?}"))
    });
}

#[test]
fn a_client_that_floods_gets_every_answer() {
    let daemon = Daemon::start("laptop");
    let mut mcp = coder(&daemon);
    let ids: Vec<i64> = (0..1000)
        .map(|n| match n % 3 {
            0 => mcp.begin("check_messages", json!({})),
            1 => mcp.begin("list_agents", json!({})),
            _ => mcp.send("tools/list", json!({})),
        })
        .collect();
    for id in ids {
        let answer = mcp.answer(id);
        let is_done = answer["result"].is_object() && answer["result"]["isError"] != true;
        let is_refused = answer["error"]["message"].to_string().contains("too many requests");
        assert!(is_done || is_refused, "{answer}");
    }
    mcp.call("list_agents", json!({}));
    let files = tests::harness::process::open_files(mcp.pid());
    assert!(files < 40, "{files} open files");
}

#[test]
fn codex_says_its_session_in_each_call() {
    let daemon = Daemon::start("laptop");
    let mut mcp =
        Mcp::greeted(&client(&daemon), &["--tool", "codex"], "codex-mcp-client", "2025-06-18");
    mcp.add_meta("threadId", "thread-1");
    let set = mcp.call("set_status", json!({"state": "working"}));
    assert_eq!(set["state"], "working");
    let until_named = || {
        eventually(SHORT, || {
            let agent = agent(&daemon, "coder")?;
            let ids: Vec<_> = agent.sessions.iter().map(|it| it.id.as_str()).collect();
            holds(ids == ["thread-1"], || format!("{ids:?}"))?;
            Ok(agent.sessions[0].clone())
        })
    };
    assert_eq!(until_named().state, SessionState::Working);
    // A thread without hooks of its own is of the one session that the process has.
    mcp.add_meta("threadId", "thread-2");
    mcp.call("check_messages", json!({}));
    until_named();
}

#[test]
fn sockets_instead_of_pipes_need_no_thread_either() {
    use std::io::{BufRead as _, BufReader, Write as _};
    use std::os::fd::OwnedFd;
    use std::os::unix::net::UnixStream;

    let threads = |pid: u32| std::fs::read_dir(format!("/proc/{pid}/task")).unwrap().count();
    let daemon = Daemon::start("laptop");
    let mut piped = coder(&daemon);
    piped.call("list_agents", json!({}));
    assert_eq!(threads(piped.pid()), 1);
    // As Node connects the programs that it starts.
    let (ours, theirs) = UnixStream::pair().unwrap();
    let (said, says) = UnixStream::pair().unwrap();
    let mut child = client(&daemon)
        .command(&["mcp"])
        .stdin(OwnedFd::from(theirs))
        .stdout(OwnedFd::from(says))
        .spawn()
        .unwrap();
    said.set_read_timeout(Some(LONG)).unwrap();
    let info = json!({"name": "copilot-cli", "version": "1"});
    let params = json!({"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": info});
    let greeting = json!({"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": params});
    writeln!(&ours, "{greeting}").unwrap();
    let mut line = String::new();
    BufReader::new(&said).read_line(&mut line).unwrap();
    assert!(line.contains("send_message"), "{line}");
    assert_eq!(threads(child.id()), 1);
    drop(ours);
    assert_eq!(child.wait().unwrap().code(), Some(0));
}

#[test]
fn an_agent_in_a_container_has_its_tools_over_a_narrow_socket() {
    let daemon = Daemon::start("laptop");
    let words = ["socket", "add", "--project", "test", "--as", "coder", "--json"];
    let added = Client::new(&daemon).run(&words).exits(0).json();
    let socket = added["path"].as_str().unwrap().into();
    let inside = Client::of_socket(socket, daemon.folder().to_owned());
    let mut mcp = Mcp::greeted(
        &inside.clone().env("THRUM_AGENT", "coder"),
        &["--tool", "claude-code"],
        "claude-code",
        "2025-11-25",
    );
    send(&daemon, "coder", "the parser is yours");
    assert_eq!(mcp.call("check_messages", json!({}))["messages"][0]["text"], "the parser is yours");
    mcp.call("send_message", json!({"to": "planner", "text": "thanks"}));
    mcp.call("set_status", json!({"task": "the parser"}));
    eventually(LONG, || {
        let live = agent(&daemon, "coder")?;
        let task = live.sessions.first().and_then(|session| session.task.as_deref());
        holds(task == Some("the parser"), || format!("{live:?}"))
    });
    let mut other = Mcp::greeted(
        &inside.env("THRUM_AGENT", "reviewer"),
        &["--tool", "claude-code"],
        "claude-code",
        "2025-11-25",
    );
    let error = other.fails("send_message", json!({"to": "planner", "text": "x"}));
    assert_eq!(error["code"], "not_permitted", "{error}");
}

/// What the tools are over the wire: a change of it costs every user's prompt cache, and is seen here.
#[test]
fn the_list_of_tools_is_small() {
    let daemon = Daemon::start("laptop");
    let mut mcp = coder(&daemon);
    let listed: Value = mcp.ask("tools/list", json!({}))["result"].clone();
    // Of English text in JSON, a token has more than four bytes on average.
    let tokens = listed.to_string().len() / 4;
    assert!(tokens <= 1500, "{tokens} tokens");
}
