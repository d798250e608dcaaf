//! Hooks and waking, over real sockets.

use std::path::Path;

use bytes::Bytes;
use http_body_util::Full;
use hyper::Request;
use hyper::client::conn::http1::{self, SendRequest};
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use tokio::net::UnixStream;

use super::client::{LIMIT, Running, read};
use super::narrow::{add, sent};

/// A connection that lasts.
struct Connection(SendRequest<Full<Bytes>>);

impl Connection {
    async fn open(socket: &Path) -> Self {
        let stream = UnixStream::connect(socket).await.unwrap();
        let (sender, connection) = http1::handshake(TokioIo::new(stream)).await.unwrap();
        tokio::spawn(connection);
        Self(sender)
    }

    async fn result(&mut self, method: &str, params: Value) -> Value {
        let body = json!({"jsonrpc": "2.0", "id": 1, "method": method, "params": params});
        let body = Full::new(Bytes::from(body.to_string()));
        let post = Request::post("http://thrumd/rpc").body(body).unwrap();
        let asked = async {
            self.0.ready().await.unwrap();
            read(self.0.send_request(post).await.unwrap()).await.1
        };
        let mut answer = tokio::time::timeout(LIMIT, asked).await.expect("an answer in time");
        assert!(answer.get("result").is_some(), "{method}: {answer}");
        answer["result"].take()
    }
}

fn texts(answer: &Value) -> Vec<&str> {
    let messages = answer["messages"].as_array().map(Vec::as_slice).unwrap_or_default();
    messages.iter().map(|message| message["text"].as_str().unwrap()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn hooks_and_waking_work_in_a_container_within_its_project() {
    let daemon = Running::start(&[]).await;
    let socket = add(&daemon, json!({"project": "app", "agent": "coder"})).await;
    let mut hooks = Connection::open(&socket).await;
    let mut joined = Connection::open(&socket).await;
    let started = joined
        .result(
            "session.start",
            json!({"session": "s", "connection": true, "join": true, "reach": "wake", "state": "idle"}),
        )
        .await;
    assert_eq!(started["session"]["id"], "s");
    sent(&daemon, "app", "planner", "coder").await;
    sent(&daemon, "other", "planner", "coder").await;
    let woken = joined.result("session.wake", json!({"session": "s", "timeout_ms": 20_000})).await;
    assert_eq!((&woken["wake"]["session"], &woken["wake"]["messages"]), (&json!("s"), &json!(1)));
    let sender = &woken["wake"]["from"][0];
    assert_eq!(sender["agent"], "planner");
    assert_eq!(sender["machine"], json!(&*daemon.context.name));
    let prompt = hooks.result("session.hook", json!({"session": "s", "point": "prompt"})).await;
    assert_eq!(texts(&prompt), ["in app"]);
    assert_eq!(prompt["messages"][0]["machine"], json!(&*daemon.context.name));
    // Another hook is not shown it, until the first one is gone without having shown it.
    let mut parallel = Connection::open(&socket).await;
    let step = json!({"session": "s", "point": "step"});
    assert_eq!(texts(&parallel.result("session.hook", step.clone()).await), [""; 0]);
    drop(hooks);
    let asked = json!({"session": "s", "timeout_ms": 20_000});
    let shown = parallel.result("session.messages", asked).await;
    assert_eq!(texts(&shown), ["in app"]);
    let message = json!({
        "event_id": shown["messages"][0]["event_id"],
        "origin_daemon": shown["messages"][0]["origin_daemon"],
    });
    let read = json!({"messages": [message], "route": "mcp", "session": "s"});
    parallel.result("message.mark_read", read).await;
    assert_eq!(texts(&parallel.result("session.hook", step).await), [""; 0]);
    let status = daemon.result("message.status", json!({"message": message})).await;
    let recipient = &status["recipients"][0];
    assert_eq!((&recipient["route"], &recipient["reach"]), (&json!("wake"), &json!("wake")));
    daemon.stopped().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_switch_is_kept_and_asked_for() {
    let daemon = Running::start(&[]).await;
    let switch = |params| daemon.result("wake.switch", params);
    assert_eq!(switch(json!({})).await, json!({"all_off": false}));
    let off = switch(json!({"project": "app", "off": true})).await;
    assert_eq!(off, json!({"all_off": false, "projects_off": ["app"]}));
    switch(json!({"off": true})).await;
    let now = switch(json!({})).await;
    assert_eq!(now, json!({"all_off": true, "projects_off": ["app"]}));
    let file = daemon.context.config.state_dir.join("wake.json");
    let stored: Value = serde_json::from_slice(&std::fs::read(file).unwrap()).unwrap();
    assert_eq!(stored, now);
    daemon.stopped().await;
}
