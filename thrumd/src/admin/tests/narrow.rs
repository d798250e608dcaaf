//! Narrow sockets, over real ones.

use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use bytes::Bytes;
use http_body_util::Full;
use hyper::client::conn::http1;
use hyper::{Request, StatusCode};
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::UnixStream;

use super::client::{LIMIT, Running, read};

const NOT_PERMITTED: i64 = -32027;
const NOT_FOUND: i64 = -32020;

pub(super) async fn add(daemon: &Running, params: Value) -> PathBuf {
    let added = daemon.result("socket.add", params).await;
    assert_eq!(added.get("problem"), None, "{added}");
    added["path"].as_str().unwrap().into()
}

async fn request(socket: &Path, request: Request<Full<Bytes>>) -> (StatusCode, Value) {
    let asked = async {
        let stream = UnixStream::connect(socket).await.unwrap();
        let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await.unwrap();
        tokio::spawn(connection);
        read(sender.send_request(request).await.unwrap()).await
    };
    tokio::time::timeout(LIMIT, asked).await.expect("an answer in time")
}

async fn post(socket: &Path, body: impl Into<Bytes>) -> (StatusCode, Value) {
    let post = Request::post("http://thrumd/rpc").body(Full::new(body.into())).unwrap();
    request(socket, post).await
}

async fn call(socket: &Path, method: &str, params: Value) -> Value {
    let body = json!({"jsonrpc": "2.0", "id": 1, "method": method, "params": params});
    post(socket, body.to_string()).await.1
}

async fn result(socket: &Path, method: &str, params: Value) -> Value {
    let mut answer = call(socket, method, params).await;
    assert!(answer.get("result").is_some(), "{method}: {answer}");
    answer["result"].take()
}

async fn code(socket: &Path, method: &str, params: Value) -> i64 {
    let answer = call(socket, method, params).await;
    answer["error"]["code"].as_i64().unwrap_or_else(|| panic!("{method}: {answer}"))
}

/// Sends over the main socket and answers the event.
pub(super) async fn sent(daemon: &Running, project: &str, from: &str, to: &str) -> Value {
    let params =
        json!({"from": from, "to": [to], "text": format!("in {project}"), "project": project});
    let sent = daemon.result("message.send", params).await;
    let origin = daemon.context.daemon;
    json!({"event_id": sent["event_id"], "origin_daemon": origin})
}

#[tokio::test(flavor = "multi_thread")]
async fn an_agent_in_a_container_talks_within_its_project_as_itself() {
    let daemon = Running::start(&[]).await;
    let socket = add(&daemon, json!({"project": "app", "agent": "coder"})).await;
    let folder = daemon.context.config.state_dir.join("agents");
    assert_eq!(socket, folder.join("app.coder-5b04d8f03f/thrumd.sock"));
    let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
    let inner = socket.parent().unwrap();
    assert_eq!((mode(&folder), mode(inner), mode(&socket)), (0o700, 0o755, 0o666));

    sent(&daemon, "app", "planner", "coder").await;
    sent(&daemon, "other", "planner", "coder").await;
    let inbox = result(&socket, "message.inbox", json!({})).await;
    assert_eq!(inbox["messages"].as_array().unwrap().len(), 1, "{inbox}");
    assert_eq!(inbox["messages"][0]["text"], "in app");
    assert_eq!((&inbox["unread"], &inbox["unread_elsewhere"]), (&json!(1), &json!(0)), "{inbox}");
    result(&socket, "message.send", json!({"to": ["planner"], "text": "done"})).await;
    let asked = json!({"agent": "planner", "project": "app"});
    let inbox = daemon.result("message.inbox", asked).await;
    assert_eq!(inbox["messages"][0]["from"], "coder");
    let found = result(&socket, "message.search", json!({"words": "in"})).await;
    assert_eq!(found["hits"].as_array().unwrap().len(), 1, "{found}");
    let listed = result(&socket, "agent.list", json!({})).await.to_string();
    assert!(!listed.contains("other"), "{listed}");
    let health = result(&socket, "health", json!({})).await;
    assert_eq!(health["version"], env!("CARGO_PKG_VERSION"));
    let state = daemon.context.config.state_dir.display().to_string();
    assert!(!health.to_string().contains(&state), "{health}");
    assert_eq!((&health["pid"], &health["head_seq"]), (&json!(0), &json!(0)));
    daemon.stopped().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_out_of_its_scope_is_refused() {
    let daemon = Running::start(&[]).await;
    let socket = add(&daemon, json!({"project": "app", "agent": "coder"})).await;
    let (ours, other) = (
        sent(&daemon, "app", "planner", "coder").await,
        sent(&daemon, "other", "planner", "coder").await,
    );
    for (method, params) in [
        ("message.send", json!({"to": ["x"], "text": "t", "project": "other"})),
        ("message.send", json!({"to": ["x"], "text": "t", "from": "planner"})),
        ("message.inbox", json!({"agent": "planner"})),
        ("message.wait", json!({"project": "other", "timeout_ms": 0})),
        ("agent.register", json!({"agent": "planner"})),
        ("agent.remove", json!({"agent": "planner"})),
        ("session.start", json!({"pid": 1})),
        ("session.hook", json!({"session": "s", "point": "prompt", "pid": 1})),
        ("session.hook", json!({"session": "s", "point": "prompt", "project": "other"})),
        ("session.messages", json!({"session": "s", "agent": "planner"})),
        ("session.wake", json!({"session": "s", "timeout_ms": 0, "project": "other"})),
        ("wake.switch", json!({})),
        ("peer.add", json!({})),
        ("event.append", json!({"events": [{"type": "note", "body": 1}]})),
        ("event.list", json!({})),
        ("socket.add", json!({"project": "other"})),
        ("socket.list", json!({})),
        ("status", json!({})),
        ("daemon.shutdown", json!({})),
    ] {
        assert_eq!(code(&socket, method, params).await, NOT_PERMITTED, "{method}");
    }
    for (method, field) in [
        ("message.show", "message"),
        ("message.thread", "message"),
        ("message.status", "message"),
        ("message.delete", "message"),
        ("message.send", "reply_to"),
    ] {
        let params = json!({field: other, "text": "t", "to": ["x"]});
        assert_eq!(code(&socket, method, params).await, NOT_FOUND, "{method}");
    }
    // Any message can say that it belongs to a conversation.
    let body = json!({"from": "planner", "to": ["coder"], "text": "hidden", "reply_to": ours, "thread": ours});
    let drafts = ["app", "other"]
        .map(|project| json!({"type": "message.sent", "project": project, "body": body}));
    daemon.result("event.append", json!({"events": drafts.clone()})).await;
    let thread = result(&socket, "message.thread", json!({"message": ours})).await;
    let messages = thread["messages"].as_array().unwrap();
    assert!(messages.iter().all(|message| message["project"] == "app"), "{thread}");
    assert_eq!(messages.len(), 2, "{thread}");
    // Nor are they counted.
    let shown = result(&socket, "message.show", json!({"message": ours})).await;
    assert_eq!(shown["replies"], 1, "{shown}");
    daemon.result("event.append", json!({"events": drafts})).await;
    let page = result(&socket, "message.thread", json!({"message": ours, "limit": 2})).await;
    assert_eq!(page["left"], 1, "one of three: {page}");
    let last = &page["messages"][1]["sequence"];
    let next = json!({"message": ours, "limit": 2, "after": last});
    let next = result(&socket, "message.thread", next).await;
    assert_eq!((next["messages"].as_array().unwrap().len(), &next["left"]), (1, &json!(0)));
    for (of, code_of) in [(&other, NOT_FOUND), (&json!({"event_id": ".."}), -32602)] {
        assert_eq!(code(&socket, "message.find", json!({"id": of["event_id"]})).await, code_of);
    }
    let found = result(&socket, "message.find", json!({"id": ours["event_id"]})).await;
    assert_eq!(found["message"]["text"], "in app");
    let both = json!({"messages": [ours, other]});
    assert_eq!(code(&socket, "message.mark_read", both).await, NOT_FOUND);
    let by_id = json!({"messages": [{"event_id": other["event_id"]}]});
    assert_eq!(code(&socket, "message.mark_read", by_id).await, NOT_FOUND);
    result(&socket, "message.mark_read", json!({"messages": [ours]})).await;
    let unread = daemon.result("message.inbox", json!({"agent": "coder"})).await;
    assert_eq!(unread["unread"], 5, "{unread}");
    for path in ["/events", "/backup", "/metrics", "/"] {
        let get = Request::get(format!("http://thrumd{path}")).body(Full::default()).unwrap();
        assert_eq!(request(&socket, get).await.0, StatusCode::NOT_FOUND, "{path}");
    }
    assert!(daemon.context.network.enabled().is_none(), "nothing was turned on");
    daemon.stopped().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_large_body_is_refused_before_it_is_read_and_odd_ones_have_their_code() {
    let daemon = Running::start(&[]).await;
    let socket = add(&daemon, json!({"project": "app"})).await;
    let large = async {
        let mut stream = UnixStream::connect(&socket).await.unwrap();
        let head = "POST /rpc HTTP/1.1\r\nhost: t\r\ncontent-length: 1073741824\r\n\r\n";
        stream.write_all(head.as_bytes()).await.unwrap();
        let mut answer = vec![0; 64];
        let read = stream.read(&mut answer).await.unwrap();
        String::from_utf8_lossy(answer.get(..read).unwrap()).into_owned()
    };
    let answer = tokio::time::timeout(LIMIT, large).await.expect("no body is waited for");
    assert!(answer.starts_with("HTTP/1.1 413"), "{answer}");
    let body = vec![b' '; 512 * 1024 + 1];
    assert_eq!(post(&socket, body).await.0, StatusCode::PAYLOAD_TOO_LARGE);
    assert_eq!(post(&socket, "{").await.1["error"]["code"], -32700);
    let by_place =
        r#"{"jsonrpc":"2.0","id":7,"method":"message.inbox","params":["coder","other"]}"#;
    let refused = post(&socket, by_place).await.1;
    assert_eq!((&refused["error"]["code"], &refused["id"]), (&json!(-32602), &json!(7)));
    let twice = r#"{"jsonrpc":"2.0","id":7,"method":"agent.list","params":{"project":"app","project":"other"}}"#;
    assert_eq!(post(&socket, twice).await.1["error"]["code"], NOT_PERMITTED);
    let silent = r#"{"jsonrpc":"2.0","method":"peer.add","params":{}}"#;
    assert_eq!(post(&socket, silent).await.0, StatusCode::NO_CONTENT);
    daemon.stopped().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_crowd_of_connections_waits_and_leaves_the_main_socket_alone() {
    let daemon = Running::start(&[]).await;
    let socket = add(&daemon, json!({"project": "app"})).await;
    let mut crowd = Vec::new();
    // As many as are served, and some that the system keeps.
    while crowd.len() < 80 {
        crowd.push(UnixStream::connect(&socket).await.unwrap());
    }
    let ask = async {
        let mut late = UnixStream::connect(&socket).await.unwrap();
        late.write_all(b"POST /rpc HTTP/1.1\r\nhost: t\r\ncontent-length: 1\r\n\r\n{")
            .await
            .unwrap();
        let mut answer = vec![0; 12];
        late.read_exact(&mut answer).await.unwrap();
        answer
    };
    tokio::pin!(ask);
    assert!(futures_util::poll!(&mut ask).is_pending());
    // Meanwhile the others are served.
    daemon.result("health", json!({})).await;
    assert!(futures_util::poll!(&mut ask).is_pending(), "it waits for a place");
    drop(crowd);
    let answer = tokio::time::timeout(LIMIT, ask).await.expect("there is a place now");
    assert_eq!(answer, b"HTTP/1.1 200");
    daemon.stopped().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn they_are_listed_survive_a_restart_and_end_when_they_are_removed() {
    let daemon = Running::start(&[]).await;
    let outside = tempfile::tempdir_in("/tmp").unwrap();
    let given = outside.path().join("made/agent.sock");
    let first = add(&daemon, json!({"project": "github.com/acme/app"})).await;
    let same = add(&daemon, json!({"project": "github.com/acme/app"})).await;
    assert_eq!(first, same, "the same once more");
    let like = add(&daemon, json!({"project": "github.com/acme-app"})).await;
    assert_ne!(first, like, "a name that looks alike has a folder of its own");
    let with_path = json!({"project": "app", "path": given});
    assert_eq!(add(&daemon, with_path).await, given);
    let taken = daemon.call("socket.add", json!({"project": "x", "path": given})).await;
    assert_eq!(taken["error"]["code"], -32021, "{taken}");
    let main = daemon.socket.display().to_string();
    for (path, word) in [
        ("relative", "absolute"),
        (main.as_str(), "thrumd itself"),
        ("/tmp/x.sock", "others may write"),
    ] {
        let refused = daemon.call("socket.add", json!({"project": "x", "path": path})).await;
        let message = refused["error"]["message"].as_str().unwrap();
        assert!(message.contains(word), "{refused}");
    }
    // A container has the folder mounted, also after its socket was removed.
    daemon.result("socket.remove", json!({"path": first})).await;
    let alike = add(&daemon, json!({"project": "github.com-acme/app"})).await;
    assert_ne!(first.parent(), alike.parent(), "a folder is of one project for ever");
    daemon.result("socket.remove", json!({"path": alike})).await;
    assert_eq!(add(&daemon, json!({"project": "github.com/acme/app"})).await, first);
    let before = daemon.result("socket.list", json!({})).await;
    assert_eq!(before["sockets"].as_array().unwrap().len(), 3);

    let dir = daemon.stopped().await;
    assert!(
        !first.exists() && first.parent().unwrap().exists(),
        "the folder stays, for containers"
    );
    let daemon = Running::start_in(dir, &[]).await.unwrap();
    // Those that it has are served before it takes the first call.
    let listed = daemon.result("socket.list", json!({})).await;
    assert_eq!(listed, before);
    for socket in [&first, &like, &given] {
        result(socket, "health", json!({})).await;
    }
    let waiting = {
        let given = given.clone();
        tokio::spawn(async move {
            let wait = json!({"agent": "coder", "timeout_ms": 600_000});
            code(&given, "message.wait", wait).await
        })
    };
    let begun = async {
        while daemon.context.handlers.is_empty() {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(LIMIT, begun).await.expect("the wait begins");
    daemon.result("socket.remove", json!({"path": given})).await;
    assert_eq!(tokio::time::timeout(LIMIT, waiting).await.unwrap().unwrap(), -32024);
    let gone = async {
        while given.exists() {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(LIMIT, gone).await.expect("the file goes");
    let again = daemon.call("socket.remove", json!({"path": given})).await;
    assert_eq!(again["error"]["code"], NOT_FOUND);
    daemon.stopped().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_socket_that_is_removed_ends_the_sessions_of_its_connections() {
    let daemon = Running::start(&[]).await;
    let socket = add(&daemon, json!({"project": "app"})).await;
    let stream = UnixStream::connect(&socket).await.unwrap();
    let (mut kept, connection) = http1::handshake(TokioIo::new(stream)).await.unwrap();
    tokio::spawn(connection);
    let params = json!({"agent": "coder", "connection": true});
    let body = json!({"jsonrpc": "2.0", "id": 1, "method": "session.start", "params": params});
    let start = Request::post("http://thrumd/rpc").body(Full::new(Bytes::from(body.to_string())));
    let (_, started) = read(kept.send_request(start.unwrap()).await.unwrap()).await;
    assert!(started.get("result").is_some(), "{started}");
    let state = async || daemon.result("agent.list", json!({"project": "app"})).await;
    assert_eq!(state().await["agents"][0]["state"], "working");
    daemon.result("socket.remove", json!({"path": socket})).await;
    let gone = async {
        while state().await["agents"][0]["state"] != "gone" {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(LIMIT, gone).await.expect("the session ends");
    daemon.stopped().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_narrow_socket_has_room_for_64_sessions_and_the_others_have_theirs() {
    let daemon = Running::start(&[]).await;
    let socket = add(&daemon, json!({"project": "app"})).await;
    let stream = UnixStream::connect(&socket).await.unwrap();
    let (mut kept, connection) = http1::handshake(TokioIo::new(stream)).await.unwrap();
    tokio::spawn(connection);
    let mut asked = async |method: &str, number: u32| {
        let agent = format!("coder-{number}");
        let mut params = json!({"agent": agent, "session": "one"});
        if method == "session.start" {
            params["connection"] = json!(true);
        }
        let body = json!({"jsonrpc": "2.0", "id": 1, "method": method, "params": params});
        let body = Full::new(Bytes::from(body.to_string()));
        let request = Request::post("http://thrumd/rpc").body(body).unwrap();
        let answered = async {
            kept.ready().await.unwrap();
            read(kept.send_request(request).await.unwrap()).await.1
        };
        tokio::time::timeout(LIMIT, answered).await.expect("an answer in time")
    };
    for number in 0..64 {
        let started = asked("session.start", number).await;
        assert!(started.get("result").is_some(), "{started}");
    }
    let refused = asked("session.start", 64).await;
    assert_eq!(refused["error"]["code"], -32021, "{refused}");
    assert!(refused["error"]["message"].as_str().unwrap().contains("64 sessions"), "{refused}");
    // One that is live is no other one, and one that has ended has left its place.
    assert!(asked("session.start", 63).await.get("result").is_some());
    assert!(asked("session.end", 0).await.get("result").is_some());
    assert!(asked("session.start", 64).await.get("result").is_some());
    assert!(asked("session.start", 0).await.get("error").is_some());
    // This process keeps it, on the main socket.
    let own = json!({"agent": "coder-0", "project": "app", "pid": std::process::id()});
    daemon.result("session.start", own).await;
    daemon.stopped().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_damaged_list_is_set_aside_and_one_that_can_not_be_served_says_why() {
    let daemon = Running::start(&[]).await;
    let first = add(&daemon, json!({"project": "app"})).await;
    let state = daemon.context.config.state_dir.clone();
    let dir = daemon.stopped().await;
    std::fs::write(&first, "a file of somebody's").unwrap();
    let daemon = Running::start_in(dir, &[]).await.unwrap();
    let listed = daemon.result("socket.list", json!({})).await;
    let problem = listed["sockets"][0]["problem"].as_str().unwrap();
    assert!(problem.contains("is not a socket"), "{problem}");
    std::fs::remove_file(&first).unwrap();
    add(&daemon, json!({"project": "app"})).await;
    result(&first, "health", json!({})).await;
    let dir = daemon.stopped().await;
    let file = state.join("sockets.json");
    assert_eq!(std::fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
    std::fs::write(&file, "{").unwrap();
    let daemon = Running::start_in(dir, &[]).await.unwrap();
    let status = daemon.result("status", json!({})).await;
    assert_eq!(status["problems"][0]["id"], "sockets_file", "{status}");
    let listed = daemon.result("socket.list", json!({})).await;
    assert_eq!(listed["sockets"], json!([]));
    daemon.stopped().await;
}
