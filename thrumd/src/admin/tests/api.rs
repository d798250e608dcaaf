use std::collections::BTreeSet;

use axum::Extension;
use axum::body::Body;
use axum::extract::State;
use axum::http::HeaderMap;
use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::{Request, StatusCode};
use serde_json::{Value, json};
use thrum_api::limits::LOCAL_BODY_MAX_BYTES;
use thrum_api::local;

use super::client::{self, Running, read};
use crate::admin::dispatch;
use crate::admin::http;
use crate::agents::LocalConnection;
use crate::service::Daemon;

#[test]
fn every_method_of_the_contract_is_answered() {
    let contract: BTreeSet<&str> = local::ALL.iter().map(|method| method.name).collect();
    let answered: BTreeSet<&str> = dispatch::NAMES.iter().copied().collect();
    assert_eq!(answered, contract);
}

#[tokio::test(flavor = "multi_thread")]
async fn health_has_the_shape_that_users_know() {
    let daemon = Running::start(&[]).await;
    let health = daemon.result("health", json!({})).await;
    let known = json!({"enabled": false, "hostname": "my-laptop", "peer_count": 0, "peers": []});
    assert_eq!(health["tailscale_sync"], known);
    assert_eq!(health["status"], "ok");
    let status = daemon.result("status", json!({})).await;
    assert_eq!(status["problems"], json!([]));
    assert_eq!(status["tailnet"]["state"], "off: until `thrum peer add` or `thrum peer join`");
    daemon.stopped().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn odd_requests_are_refused_with_their_code() {
    let daemon = Running::start(&[]).await;
    let code = |answer: &(StatusCode, Value)| answer.1["error"]["code"].as_i64().unwrap_or(0);
    let batch = daemon.post(r#"[{"jsonrpc":"2.0","id":1,"method":"health"}]"#).await;
    assert_eq!((batch.0, code(&batch)), (StatusCode::OK, -32600));
    assert_eq!(code(&daemon.post("{").await), -32700);
    let unknown = daemon.post(r#"{"jsonrpc":"2.0","id":7,"method":"sync.pull"}"#).await;
    assert_eq!((code(&unknown), &unknown.1["id"]), (-32601, &json!(7)));
    let wrong = daemon.call("event.append", json!({"events": 3})).await;
    assert_eq!(wrong["error"]["code"], -32602, "{wrong}");
    let large = daemon.post(vec![b' '; LOCAL_BODY_MAX_BYTES + 1]).await;
    assert_eq!((large.0, code(&large)), (StatusCode::PAYLOAD_TOO_LARGE, -32007));
    let request = Request::post("http://thrumd/rpc")
        .header("content-type", "text/html")
        .body(Full::new(Bytes::from_static(b"{}")))
        .unwrap();
    let html = read(daemon.request(request).await).await;
    assert_eq!((html.0, code(&html)), (StatusCode::UNSUPPORTED_MEDIA_TYPE, -32600));
    let silent = daemon.post(r#"{"jsonrpc":"2.0","method":"health"}"#).await;
    assert_eq!(silent.0, StatusCode::NO_CONTENT, "a notification has no answer");
    daemon.stopped().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_names_the_machine_it_came_from() {
    let daemon = Running::start(&[]).await;
    let sent = json!({"from": "planner", "to": ["coder"], "text": "go", "project": "p"});
    daemon.result("message.send", sent).await;
    let asked = json!({"agent": "coder", "project": "p"});
    let inbox = daemon.result("message.inbox", asked).await;
    assert_eq!(inbox["messages"][0]["text"], "go");
    assert_eq!(inbox["messages"][0]["machine"], "my-laptop");
    let agents = daemon.result("agent.list", json!({})).await;
    assert_eq!(agents["agents"][0]["machine"], "my-laptop");
    daemon.stopped().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn where_sync_must_not_be_pairing_says_why() {
    let daemon = Running::start(&[("THRUM_TS_ENABLED", "false")]).await;
    for (method, params) in [
        ("peer.add", json!({})),
        ("peer.resolve", json!({"address": "x"})),
        ("peer.join", json!({"address": "x", "code": "1234"})),
    ] {
        let answer = daemon.call(method, params).await;
        assert_eq!(answer["error"]["code"], -32021, "{answer}");
        let message = answer["error"]["message"].as_str().unwrap();
        assert!(message.contains("THRUM_TS_ENABLED"), "{message}");
    }
    let status = daemon.result("status", json!({})).await;
    assert_eq!(status["problems"], json!([]), "sync that a person has forbidden is not a problem");
    daemon.stopped().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_copied_state_directory_serves_here_and_does_not_sync() {
    let dir = Running::start(&[]).await.stopped().await;
    std::fs::write(dir.path().join("machine-id"), "another\n").unwrap();
    let daemon = Running::start_in(dir, &[("THRUM_TS_ENABLED", "true")]).await.unwrap();
    let draft = json!({"events": [{"type": "note", "body": 1}]});
    daemon.result("event.append", draft).await;
    let refused = daemon.call("peer.add", json!({})).await;
    assert_eq!(refused["error"]["data"]["hint"], "thrum daemon reset-identity", "{refused}");
    let health = daemon.result("health", json!({})).await;
    assert_eq!(
        (&health["status"], &health["tailscale_sync"]["enabled"]),
        (&json!("degraded"), &json!(false))
    );
    let status = daemon.result("status", json!({})).await;
    assert_eq!(status["problems"][0]["id"], "identity");
    assert_eq!(status["problems"][0]["next"], "thrum daemon reset-identity");
    let old = health["daemon_id"].clone();

    let config = super::client::config(&daemon.dir, &[]);
    let running = crate::service::reset_identity(&config).unwrap_err();
    assert!(matches!(running, crate::service::ServiceError::Log(_)), "a daemon runs on it");
    let dir = daemon.stopped().await;
    crate::service::reset_identity(&config).unwrap();
    let daemon = Running::start_in(dir, &[]).await.unwrap();
    let health = daemon.result("health", json!({})).await;
    assert_ne!(health["daemon_id"], old);
    assert_eq!((&health["status"], &health["head_seq"]), (&json!("ok"), &json!(1)));
    daemon.stopped().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn metrics_are_what_prometheus_reads() {
    let daemon = Running::start(&[]).await;
    daemon.result("event.append", json!({"events": [{"type": "note", "body": 1}]})).await;
    let page = daemon.get("/metrics").await.into_body().collect().await.unwrap().to_bytes();
    let page = String::from_utf8(page.to_vec()).unwrap();
    assert!(page.lines().any(|line| line == "thrumd_log_head 1"), "{page}");
    assert!(page.lines().any(|line| line == "thrumd_peers{state=\"in_sync\"} 0"), "{page}");
    for line in page.lines().filter(|line| !line.starts_with("# ")) {
        let (name, value) = line.rsplit_once(' ').unwrap();
        let name = name.split('{').next().unwrap();
        let family = ["_bucket", "_sum", "_count"].iter().find_map(|end| {
            let family = name.strip_suffix(end)?;
            page.contains(&format!("# TYPE {family} histogram\n")).then_some(family)
        });
        let family = family.unwrap_or(name);
        assert!(page.contains(&format!("# TYPE {family} ")), "{line}");
        value.parse::<f64>().unwrap();
    }
    daemon.stopped().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn shutdown_is_answered_and_ends_waits_and_the_daemon() {
    let daemon = std::sync::Arc::new(Running::start(&[]).await);
    let waiting = daemon.clone();
    let wait = tokio::spawn(async move {
        waiting.call("message.wait", json!({"agent": "a", "timeout_ms": 600_000})).await
    });
    let stream = daemon.get("/events").await;
    let begun = async {
        while daemon.context.handlers.is_empty() {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(super::client::LIMIT, begun).await.expect("the wait begins");
    daemon.result("daemon.shutdown", json!({})).await;
    assert_eq!(wait.await.unwrap()["error"]["code"], -32024);
    drop(stream.into_body().collect().await);
    let daemon = std::sync::Arc::into_inner(daemon).unwrap();
    let socket = daemon.socket.clone();
    let dir = daemon.ended().await;
    assert!(!socket.exists(), "the socket goes with the daemon");
    drop(dir);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_caller_that_disconnects_does_not_cancel_half_an_operation() {
    let dir = tempfile::tempdir().unwrap();
    let daemon = Daemon::start(client::config(&dir, &[]), None).await.unwrap();
    let context = daemon.context();
    let running = tokio::spawn(daemon.run());
    let body = Body::from(r#"{"jsonrpc":"2.0","id":1,"method":"peer.add"}"#);
    {
        // The call is dropped at its first wait: sync is stored as wanted, but not on yet.
        let call = http::rpc(
            State(context.clone()),
            Extension(LocalConnection::new()),
            HeaderMap::new(),
            body,
        );
        tokio::pin!(call);
        assert!(futures_util::poll!(call).is_pending());
    }
    context.handlers.close();
    tokio::time::timeout(client::LIMIT, context.handlers.wait()).await.expect("it ends");
    assert!(context.network.enabled().is_some() && !context.network.listening().is_empty());
    assert!(context.pairing.current().is_none(), "a code that nobody was shown");
    context.stop.cancel();
    running.await.unwrap();
}
