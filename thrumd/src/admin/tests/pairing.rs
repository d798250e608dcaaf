use serde_json::{Value, json};

use super::client::{LIMIT, Running};

pub(super) async fn eventually<T>(what: &str, mut look: impl AsyncFnMut() -> Option<T>) -> T {
    let wait = async {
        loop {
            if let Some(found) = look().await {
                return found;
            }
            tokio::time::sleep(std::time::Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(LIMIT, wait).await.unwrap_or_else(|_| panic!("not in time: {what}"))
}

/// Pairs `b` with `a` by a code.
async fn pair(a: &Running, b: &Running) {
    let session = a.result("peer.add", json!({})).await;
    let join = session["join"].as_str().unwrap();
    let (name, port) = join.rsplit_once(':').unwrap();
    assert_eq!(name, "localhost");
    let address = format!("127.0.0.1:{port}");
    let found = b.result("peer.resolve", json!({"address": address})).await;
    assert_eq!(found["address"], address.as_str());
    let joined = json!({"address": address, "code": session["code"]});
    let waited = json!({"session": session["session"], "seen": 0});
    let (joined, news) = tokio::join!(b.result("peer.join", joined), a.result("peer.wait", waited));
    assert_eq!((&joined["name"], &joined["renewed"]), (&json!("my-laptop"), &json!(false)));
    assert_eq!((&news["news"], &news["name"]), (&json!("paired"), &json!("office-server")));
}

#[tokio::test(flavor = "multi_thread")]
async fn two_daemons_pair_exchange_messages_and_sync_again_after_a_restart() {
    let a = Running::start(&[]).await;
    let b = Running::start(&[("THRUM_TS_HOSTNAME", "office-server")]).await;
    pair(&a, &b).await;

    let sent = json!({"from": "planner", "to": ["coder"], "text": "go", "project": "p"});
    a.result("message.send", sent).await;
    let asked = json!({"agent": "coder", "project": "p", "timeout_ms": 20_000});
    let message = b.result("message.wait", asked).await;
    assert_eq!(message["messages"][0]["text"], "go");
    assert_eq!(message["messages"][0]["machine"], "my-laptop");

    let in_sync = async |daemon: &Running| {
        let status = daemon.result("status", json!({})).await;
        (status["sync"]["in_sync"] == 1).then_some(status)
    };
    let status = eventually("in sync", || in_sync(&a)).await;
    assert_eq!((&status["sync"]["connected"], &status["problems"]), (&json!(1), &json!([])));
    assert_eq!(status["tailnet"]["state"], "up");
    let health = b.result("health", json!({})).await;
    let sync = &health["tailscale_sync"];
    assert_eq!((&sync["enabled"], &sync["peer_count"]), (&json!(true), &json!(1)));
    assert_eq!(sync["peers"][0]["name"], "my-laptop");
    assert!(sync["peers"][0]["last_sync"].as_str().unwrap().ends_with("s ago"), "{sync}");

    let dir = a.stopped().await;
    let problem = eventually("a problem", async || {
        let status = b.result("status", json!({})).await;
        b.result("peer.sync", json!({})).await;
        status["problems"].get(0).cloned()
    });
    let problem: Value = problem.await;
    assert_eq!(problem["id"], "peer_sync", "{problem}");
    assert!(problem["since"].is_string() && problem["next"].is_string(), "{problem}");
    let a = Running::start_in(dir, &[]).await.unwrap();
    eventually("a listener without being asked again", async || {
        let status = a.result("status", json!({})).await;
        (status["tailnet"]["listening"] != json!([])).then_some(())
    })
    .await;
    let removed = a.result("peer.remove", json!({"peer": "office-server"})).await;
    assert_eq!(removed["name"], "office-server");
    assert_eq!(a.result("peer.list", json!({})).await["peers"], json!([]));
    a.stopped().await;
    b.stopped().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn disconnecting_ends_a_pairing_session_at_once() {
    let daemon = Running::start(&[]).await;
    let session = daemon.result("peer.add", json!({})).await;
    let busy = daemon.call("peer.add", json!({})).await;
    assert_eq!(busy["error"]["code"], -32025, "{busy}");
    {
        let waited = json!({"session": session["session"], "seen": 0});
        let wait = daemon.call("peer.wait", waited);
        let handlers = &daemon.context.handlers;
        let begun = eventually("the wait", async || (!handlers.is_empty()).then_some(()));
        tokio::select! {
            answer = wait => panic!("{answer}"),
            () = begun => {}
        }
    }
    eventually("no session", async || {
        let list = daemon.result("peer.list", json!({})).await;
        list.get("pairing").is_none().then_some(())
    })
    .await;
    daemon.result("peer.add", json!({})).await;
    daemon.stopped().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_port_in_use_is_reported_to_pairing_callers_and_in_status() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port().to_string();
    let daemon = Running::start(&[("THRUM_TS_PORT", &port)]).await;
    let answer = daemon.call("peer.add", json!({})).await;
    assert_eq!(answer["error"]["code"], -32021, "{answer}");
    assert!(answer["error"]["message"].as_str().unwrap().contains(&port), "{answer}");
    let status = daemon.result("status", json!({})).await;
    assert_eq!(status["problems"][0]["id"], "tailnet_up", "{status}");
    drop(taken);
    // The listener tries again by itself.
    eventually("a listener", async || {
        daemon.call("peer.add", json!({})).await.get("result").cloned()
    })
    .await;
    let status = daemon.result("status", json!({})).await;
    assert_eq!(status["problems"], json!([]));
    daemon.stopped().await;
}
