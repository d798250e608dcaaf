//! `thrum ui`: what its page may ask, who it speaks as, and how it ends.

use std::time::{Duration, Instant};

use rustix::process::Signal;
use serde_json::json;
use tests::harness::{Client, Daemon, OtherUser, Port, Ui, allow, paired_daemons, skip};
use thrum_api::local::{
    AgentRegister, MessageInbox, MessageMarkRead, MessageSearch, MessageSend, MessageThread,
    PeerRemove, Shutdown, Status,
};

#[test]
fn the_page_sends_reads_and_marks_as_the_person() {
    let daemon = Daemon::start("laptop");
    let client = Client::new(&daemon);
    let ui = Ui::start(&client, &["--as", "alice"]);
    let session =
        ui.ask("GET", "/session", &[("authorization", ui.authorization().as_str())], b"").json();
    let (id, version) = (&session["id"], env!("CARGO_PKG_VERSION"));
    assert_eq!(session, json!({ "id": id, "me": "alice", "project": "test", "version": version }));
    let sent = ui.call::<MessageSend>(
        &json!({ "to": ["coder"], "text": "is it <b>safe</b>?", "project": "test" }),
    );
    assert!(sent["result"]["event_id"].is_string(), "{sent}");
    let inbox = client.run(&["inbox", "--as", "coder", "--json"]).exits(0).json();
    assert_eq!(inbox["messages"][0]["from"], "alice");
    client.run(&["send", "--as", "coder", "alice", "it is"]).exits(0);
    let unread = || ui.call::<MessageInbox>(&json!({ "unread_only": true }))["result"].clone();
    let message = unread()["messages"][0].clone();
    assert_eq!((&message["text"], &unread()["unread"]), (&json!("it is"), &json!(1)));
    let event =
        json!({ "event_id": message["event_id"], "origin_daemon": message["origin_daemon"] });
    let shown = ui.call::<MessageThread>(&json!({ "message": event }));
    assert_eq!(shown["result"]["messages"][0]["text"], "it is", "{shown}");
    let marked = ui.call::<MessageMarkRead>(&json!({ "messages": [event] }));
    assert_eq!(marked["result"], json!({}), "{marked}");
    assert_eq!(unread()["unread"], 0);
    // The sender is told by which way.
    let status = client.run(&["sent", "--as", "coder", "--json"]).exits(0).json();
    assert_eq!(status["messages"][0]["recipients"][0]["route"], "page", "{status}");
}

#[test]
fn the_page_can_be_no_other_agent_and_do_nothing_else() {
    let daemon = Daemon::start("laptop");
    let ui = Ui::start(&Client::new(&daemon), &["--as", "alice"]);
    let not_permitted = thrum_api::ErrorCode::NOT_PERMITTED.0;
    let send = json!({ "from": "bob", "to": ["coder"], "text": "hi", "project": "test" });
    for answer in [
        ui.call::<MessageSend>(&send),
        ui.call::<MessageInbox>(&json!({ "agent": "bob" })),
        ui.call::<MessageMarkRead>(&json!({ "messages": [], "session": "s" })),
        ui.call::<Shutdown>(&json!({})),
        ui.call::<PeerRemove>(&json!({ "peer": "x" })),
        ui.call::<AgentRegister>(&json!({ "agent": "alice", "project": "test" })),
    ] {
        assert_eq!(answer["error"]["code"], not_permitted, "{answer}");
        assert_eq!(answer["id"], 1);
    }
    assert_eq!(ui.post("/rpc", &json!([])).json()["error"]["code"], -32600);
    assert_eq!(daemon.status().log.events, 0);
    // What thrumd itself refuses comes as it says it.
    let refused = ui.call::<MessageSend>(&json!({ "to": [], "text": "hi", "project": "test" }));
    let same = daemon.thrum(&["send", "--as", "alice", "@nobody", "hi", "--json"]);
    assert_eq!((&refused["error"]["code"], same.code), (&json!(-32602), Some(1)), "{refused}");
}

#[test]
fn a_page_of_nobody_is_for_reading_only() {
    let user = match OtherUser::new() {
        Ok(user) => user,
        Err(reason) => return skip(&reason),
    };
    let daemon = Daemon::start("laptop");
    let client = Client::new(&daemon);
    client.run(&["send", "--as", "coder", "planner", "hello"]).exits(0);
    allow(daemon.folder(), 0o755);
    allow(daemon.state(), 0o755);
    allow(&daemon.socket(), 0o666);
    let mut command = user.nameless_thrum(&Ui::WORDS);
    command.env("THRUM_SOCKET", daemon.socket()).env("THRUM_CONFIG", "/dev/null");
    let ui = Ui::of(command).enter();
    let authorization = ui.authorization();
    let session = ui.ask("GET", "/session", &[("authorization", &authorization)], b"").json();
    assert_eq!((&session["me"], &session["project"]), (&json!(null), &json!(null)));
    let hit = ui.call::<MessageSearch>(&json!({ "words": "hello" }))["result"]["hits"][0].clone();
    let event = json!({
        "event_id": hit["message"]["event_id"], "origin_daemon": hit["message"]["origin_daemon"]
    });
    let shown = ui.call::<MessageThread>(&json!({ "message": event }));
    assert_eq!(shown["result"]["messages"][0]["text"], "hello", "{shown}");
    let refused = ui.call::<MessageMarkRead>(&json!({ "messages": [event] }));
    assert_eq!(refused["error"]["data"]["hint"], "end thrum ui and run: thrum ui --as NAME");
}

#[test]
fn doctor_is_asked_of_this_machine_and_of_one_peer() {
    let (laptop, office) = paired_daemons();
    let ui = Ui::start(&Client::new(&laptop), &["--as", "alice"]);
    let find = |body: &serde_json::Value| {
        let response = ui.post("/doctor", body);
        assert_eq!(response.status, 200, "{}", response.text());
        let findings = response.json()["findings"].as_array().unwrap().clone();
        assert!(findings.iter().all(|it| it["message"].is_string()), "{findings:?}");
        findings
    };
    let has = |findings: &[serde_json::Value], id: &str, status: &str| {
        findings.iter().any(|it| it["id"] == id && it["status"] == status)
    };
    let here = find(&json!({}));
    assert!(has(&here, "socket_found", "ok") && !here.iter().any(|it| it["id"] == "peer_sync"));
    for named in [office.name().to_owned(), office.id().to_string()] {
        let there = find(&json!({ "peer": named }));
        assert!(has(&there, "peer_sync", "ok") && !has(&there, "socket_found", "ok"), "{there:?}");
    }
    let unknown = ui.post("/doctor", &json!({ "peer": "nowhere" }));
    assert_eq!((unknown.status, &unknown.json()["error"]["code"]), (404, &json!("not_found")));
}

#[test]
fn what_a_page_asks_while_thrumd_is_away_has_an_answer_and_works_after_it() {
    let mut daemon = Daemon::start("laptop");
    let ui = Ui::start(&Client::new(&daemon), &[]);
    let request = json!({ "jsonrpc": "2.0", "id": 1, "method": "status" });
    assert!(ui.call::<Status>(&json!({}))["result"].is_object());
    daemon.stop();
    let away = ui.post("/rpc", &request);
    assert_eq!((away.status, &away.json()["error"]["code"]), (502, &json!("not_running")));
    assert!(away.json()["error"]["hint"].as_str().unwrap().contains("thrum daemon start"));
    daemon.start_again();
    assert!(ui.call::<Status>(&json!({}))["result"].is_object());
}

#[test]
fn it_ends_as_it_was_told() {
    let daemon = Daemon::start("laptop");
    let client = Client::new(&daemon);
    for (signal, code) in [(Signal::INT, 130), (Signal::TERM, 143), (Signal::HUP, 129)] {
        let mut ui = Ui::start(&client, &[]);
        // Whoever follows does not hold it up.
        let _page = ui.try_changes();
        assert_eq!(ui.end(signal).code(), Some(code));
        assert_eq!(ui.printed(), "");
    }
}

#[test]
fn it_ends_by_itself_when_no_page_is_open() {
    let daemon = Daemon::start("laptop");
    let client = Client::new(&daemon);
    // Long enough to come to its page on a busy machine.
    let mut ui = Ui::start(&client, &["--idle", "5s"]);
    let page = ui.changes();
    // Others, one after the other, show that the time has passed.
    let begun = Instant::now();
    while begun.elapsed() < Duration::from_secs(6) {
        let mut unused = Ui::untouched(&client, &["--idle", "1s"]);
        assert_eq!(unused.ended().code(), Some(0));
    }
    assert!(ui.call::<Status>(&json!({}))["result"].is_object(), "it goes on");
    drop(page);
    assert_eq!(ui.ended().code(), Some(0));
    assert_eq!(ui.printed(), "");
}

#[test]
fn a_port_that_is_taken_is_said() {
    let daemon = Daemon::start("laptop");
    let client = Client::new(&daemon);
    let taken = Port::take();
    let port = taken.number().to_string();
    let ui = Ui::start(&client, &["--port", &port]);
    assert_eq!(ui.port.to_string(), port);
    let error = client.run(&["ui", "--no-open", "--port", &port, "--json"]).exits(1).json_error();
    assert!(error["message"].as_str().unwrap().contains(&format!("port {port}")), "{error}");
    assert!(error["hint"].as_str().unwrap().contains("--port"), "{error}");
    client.run(&["ui", "--port", "65536"]).exits(2);
}

#[test]
fn a_second_one_is_independent() {
    let daemon = Daemon::start("laptop");
    let client = Client::new(&daemon);
    let first = Ui::start(&client, &["--as", "alice"]);
    let mut second = Ui::start(&client, &["--as", "bob", "--port", "0"]);
    assert_ne!(first.port, second.port);
    assert_ne!(first.authorization(), second.authorization());
    let id = |ui: &Ui| {
        let authorization = ui.authorization();
        let session = ui.ask("GET", "/session", &[("authorization", &authorization)], b"").json();
        session["id"].as_str().expect("an id").to_owned()
    };
    assert_eq!((id(&first), id(&first).len()), (id(&first), 32));
    assert_ne!(id(&first), id(&second));
    let bearer = second.authorization();
    let refused = first.ask("GET", "/session", &[("authorization", &bearer)], b"");
    assert_eq!(refused.status, 401);
    second.end(Signal::INT);
    assert!(first.call::<Status>(&json!({}))["result"].is_object());
}

#[test]
fn without_the_whole_daemon_there_is_no_page() {
    let mut daemon = Daemon::start("laptop");
    let client = Client::new(&daemon);
    let added = client.run(&["socket", "add", "--json"]).exits(0).json();
    let narrow = client.clone().env("THRUM_SOCKET", added["path"].as_str().unwrap());
    let error = narrow.run(&["ui", "--no-open", "--json"]).exits(4).json_error();
    assert!(error["message"].as_str().unwrap().contains("narrow socket"), "{error}");
    daemon.stop();
    let error = client.run(&["ui", "--no-open", "--json"]).exits(3).json_error();
    assert_eq!(error["code"], "not_running");
    client.run(&["ui", "--as", "not a name"]).exits(2);
}
