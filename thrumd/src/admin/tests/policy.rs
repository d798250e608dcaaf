use serde_json::{Value, json};

use super::pairing::eventually;
use super::tailnet::Machine;
use crate::keys::SecretKey;
use crate::peer::pair_request;

const CAPABILITY: &str = "thrum.dev/cap/pair";

fn grant() -> Value {
    json!({CAPABILITY: [{"projects": ["*"]}, "of a later version", null]})
}

/// A daemon that pairs by policy, and a runner with this grant.
async fn hub_and_runner(grants: Value) -> (Machine, Machine) {
    let (mut hub, mut runner) = (Machine::start(2, "hub").await, Machine::start(3, "runner").await);
    hub.sees(&runner.node, grants);
    runner.sees(&hub.node, json!(null));
    let on = hub.result("peer.policy", json!({"on": true})).await;
    assert_eq!(on, json!({"on": true, "capability": CAPABILITY, "peers": 0}));
    (hub, runner)
}

async fn join(hub: &Machine, runner: &Machine) -> Value {
    let address = hub.address().await;
    runner.call("peer.join", json!({"address": address})).await
}

async fn offered(hub: &Machine, runner: &Machine) -> Value {
    let address = hub.address().await;
    eventually("the runner's tailnet is up", async || {
        let mut answer = runner.call("peer.resolve", json!({"address": address})).await;
        answer.get_mut("result").map(|result| result["by_policy"].take())
    })
    .await
}

async fn paired() -> (Machine, Machine) {
    let (hub, runner) = hub_and_runner(grant()).await;
    assert_eq!(offered(&hub, &runner).await, true);
    let joined = join(&hub, &runner).await;
    assert_eq!(joined["result"]["name"], "hub", "{joined}");
    (hub, runner)
}

#[tokio::test]
async fn a_granted_machine_pairs_without_a_code_and_is_marked() {
    let (hub, runner) = paired().await;
    let list = hub.result("peer.list", json!({})).await;
    assert_eq!(list["peers"][0]["name"], "runner", "as the tailnet calls it: {list}");
    assert_eq!(list["peers"][0]["by_policy"], CAPABILITY);
    assert_eq!(runner.peer().await.unwrap().get("by_policy"), None, "a person joined");
    let event = json!({"events": [{"type": "test.happened", "body": {}}]});
    runner.result("event.append", event).await;
    eventually("the event arrives", async || {
        let events = hub.result("event.list", json!({})).await;
        (events["events"].as_array()?.len() == 1).then_some(())
    })
    .await;
    assert_eq!(runner.check("hub", "peer_token").await.0, "ok");
    assert_eq!(runner.check("HUB.tail.test", "peer_checkpoint").await.0, "ok");
}

#[tokio::test]
async fn while_it_is_off_a_code_is_asked_for() {
    let (hub, runner) = hub_and_runner(grant()).await;
    hub.result("peer.policy", json!({"on": false})).await;
    assert_eq!(offered(&hub, &runner).await, Value::Null);
    let refused = join(&hub, &runner).await;
    assert_eq!(refused["error"]["code"], -32002, "{refused}");
    assert!(refused["error"]["message"].as_str().unwrap().contains("nobody allowed"), "{refused}");
    assert!(hub.peer().await.is_none() && runner.peer().await.is_none());
}

#[tokio::test]
async fn without_the_grant_a_code_is_asked_for_and_the_capability_named() {
    for grants in [json!(null), json!({}), json!({"thrum.dev/cap/pairs": [{}]})] {
        let (hub, runner) = hub_and_runner(grants).await;
        assert_eq!(offered(&hub, &runner).await, false);
        let refused = join(&hub, &runner).await;
        assert_eq!(refused["error"]["code"], -32002, "{refused}");
        assert!(refused["error"]["message"].as_str().unwrap().contains(CAPABILITY), "{refused}");
        assert!(hub.peer().await.is_none() && runner.peer().await.is_none());
    }
}

/// `pair.request` from a program on that node; answers with the response.
async fn program_asks(hub: &Machine, node: &str, params: Value) -> Value {
    let address: std::net::SocketAddr = hub.address().await.parse().unwrap();
    let socket = tokio::net::TcpSocket::new_v4().unwrap();
    socket.bind(format!("{node}:0").parse().unwrap()).unwrap();
    let stream = socket.connect(address).await.unwrap();
    let (mut sender, connection) =
        hyper::client::conn::http1::handshake(hyper_util::rt::TokioIo::new(stream)).await.unwrap();
    tokio::spawn(connection);
    let body = json!({"jsonrpc": "2.0", "id": 1, "method": "pair.request", "params": params});
    let request = hyper::Request::post("/rpc")
        .header("content-type", "application/json")
        .header("tailscale-cap", CAPABILITY)
        .body(http_body_util::Full::new(bytes::Bytes::from(body.to_string())))
        .unwrap();
    super::client::read(sender.send_request(request).await.unwrap()).await.1
}

/// The params of a new daemon that asks without a code, and proves its id.
async fn request(hub: &Machine, name: &str, addr: &str) -> Value {
    let (key, host) = (SecretKey::generate().unwrap(), hub.daemon.context.log.daemon());
    let names = (name.to_owned(), addr.to_owned());
    json!(pair_request(&key, host, None, names, hub.address().await))
}

#[tokio::test]
async fn a_capability_that_the_caller_claims_counts_for_nothing() {
    let (hub, runner) = hub_and_runner(json!({})).await;
    let mut params = request(&hub, "liar", "liar:9100").await;
    params["CapMap"] = grant();
    params["capability"] = json!(CAPABILITY);
    params["by_policy"] = json!(CAPABILITY);
    params["node"] = json!("1");
    let answer = program_asks(&hub, &runner.node.ip(), params).await;
    assert_eq!(answer["error"]["code"], -32002, "{answer}");
    assert_eq!(answer["error"]["data"]["reason"], "not_granted");
    assert!(hub.peer().await.is_none());
}

#[tokio::test]
async fn another_program_of_a_granted_machine_does_not_get_the_place_of_its_daemon() {
    let (hub, runner) = paired().await;
    let before = eventually("its daemon answers", async || {
        hub.peer().await.filter(|peer| peer["state"] == "in_sync")
    })
    .await;
    let params = request(&hub, "runner", before["address"].as_str().unwrap()).await;
    let answer = program_asks(&hub, &runner.node.ip(), params).await;
    assert_eq!(answer["error"]["data"]["reason"], "other_id", "{answer}");
    assert_eq!(hub.peer().await.unwrap()["daemon_id"], before["daemon_id"]);
    assert_eq!(runner.check("hub", "peer_token").await.0, "ok");
}

async fn gone(hub: &Machine) {
    eventually("the peer is gone", async || hub.peer().await.is_none().then_some(())).await;
}

#[tokio::test]
async fn a_withdrawn_grant_removes_the_peer_and_tells_it_why() {
    let (mut hub, runner) = paired().await;
    hub.sees(&runner.node, json!({}));
    gone(&hub).await;
    eventually("the runner knows", async || {
        (runner.peer().await?["state"] == "removed_us").then_some(())
    })
    .await;
    let (state, words) = runner.check("hub", "peer_token").await;
    assert_eq!(state, "fail");
    assert!(words.contains("by the tailnet's policy, which no longer allows it"), "{words}");
    hub.sees(&runner.node, grant());
    let again = join(&hub, &runner).await;
    assert_eq!(again["result"]["renewed"], true, "{again}");
}

#[tokio::test]
async fn a_peer_paired_again_with_a_code_is_not_told_of_its_old_grant() {
    let (mut hub, runner) = paired().await;
    hub.sees(&runner.node, json!({}));
    gone(&hub).await;
    let session = hub.result("peer.add", json!({})).await;
    let params = json!({"address": hub.address().await, "code": session["code"]});
    let joined = runner.call("peer.join", params).await;
    assert_eq!(joined["result"]["renewed"], true, "{joined}");
    hub.result("peer.remove", json!({"peer": "runner"})).await;
    let (state, words) = runner.check("hub", "peer_token").await;
    assert_eq!(state, "fail");
    assert!(!words.contains("policy"), "{words}");
}

#[tokio::test]
async fn turning_it_off_removes_the_peers_paired_by_it() {
    let (hub, _runner) = paired().await;
    let off = hub.result("peer.policy", json!({"on": false})).await;
    assert_eq!(off["peers"], 1);
    gone(&hub).await;
}

#[tokio::test]
async fn another_node_with_the_grant_does_not_get_the_place_of_a_peer() {
    let (mut hub, mut runner) = paired().await;
    // The same daemon id, from another node.
    runner.becomes(5);
    hub.sees(&runner.node, grant());
    eventually("it has moved", async || {
        (runner.address().await.starts_with("127.0.0.5")).then_some(())
    })
    .await;
    eventually("the hub knows the new node", async || {
        (offered(&hub, &runner).await == true).then_some(())
    })
    .await;
    let refused = join(&hub, &runner).await;
    assert_eq!(refused["error"]["code"], -32002, "{refused}");
    assert!(refused["error"]["message"].as_str().unwrap().contains("another machine"), "{refused}");
    assert_eq!(hub.peer().await.unwrap()["address"].as_str().unwrap()[..10], *"127.0.0.3:");
}

#[tokio::test]
async fn the_loopback_tailnet_has_no_policy() {
    let alone = super::client::Running::start(&[]).await;
    let refused = alone.call("peer.policy", json!({"on": true})).await;
    assert!(refused["error"]["message"].as_str().unwrap().contains("loopback"), "{refused}");
    assert_eq!(alone.result("peer.policy", json!({})).await["on"], false);
    for wrong in ["", "pair", "thrum.dev/", "https://thrum.dev/cap", "thrum.dev/ca p"] {
        let refused = alone.call("peer.policy", json!({"capability": wrong})).await;
        assert_eq!(refused["error"]["code"], -32602, "{wrong}: {refused}");
    }
}
