//! Peers are known by their node in the tailnet.

use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;

use super::pairing::eventually;
use super::tailnet::{Machine, TestNode};
use crate::{ids, testing};

/// Two machines that were paired with a code.
async fn paired() -> (Machine, Machine) {
    let (mut a, mut b) = (Machine::start(2, "alpha").await, Machine::start(3, "beta").await);
    a.sees(&b.node, json!(null));
    b.sees(&a.node, json!(null));
    let session = eventually("the tailnet is up", async || {
        a.call("peer.add", json!({})).await.get("result").cloned()
    })
    .await;
    let code = &session["code"];
    let address = a.address().await;
    let params = json!({"address": address, "code": code});
    let joined = eventually("the tailnet is up", async || {
        b.call("peer.join", params.clone()).await.get("result").cloned()
    })
    .await;
    assert_eq!(joined["name"], "alpha");
    let news = a.result("peer.wait", json!({"session": session["session"], "seen": 0})).await;
    assert_eq!((&news["news"], &news["name"]), (&json!("paired"), &json!("beta")), "{news}");
    (a, b)
}

#[tokio::test]
async fn a_machine_that_was_added_again_is_another_one_and_both_sides_say_so() {
    let (mut a, mut b) = paired().await;
    let old = b.node.clone();
    b.becomes(5);
    a.loses(&old);
    a.sees(&b.node, json!(null));
    b.result("peer.sync", json!({})).await;
    eventually("its token is refused", async || {
        let peer = a.peer().await?;
        (peer["refused_elsewhere"].as_u64()? > 0).then_some(())
    })
    .await;
    // The refusal comes with the request, the loss of the old node with tailscaled's own news.
    let problems = eventually("the old node is gone", async || {
        let problems = a.problems().await;
        problems.contains("added again, and must be paired again").then_some(problems)
    })
    .await;
    assert!(problems.contains("beta.tail.test (al@example.com)"), "{problems}");
    eventually("it is told", async || (b.peer().await?["refusal"] == "other_node").then_some(()))
        .await;
    let problems = b.problems().await;
    assert!(problems.contains("peer_token") && problems.contains("peer join alpha"), "{problems}");
    let (state, words) = b.check("alpha", "peer_token").await;
    assert!(state == "fail" && words.contains("pair again"), "{words}");
    let (state, words) = a.check("own-beta", "peer_known").await;
    assert!(state == "fail" && words.contains("paired again"), "{words}");
}

#[tokio::test]
async fn a_code_does_not_give_a_machine_the_place_of_another_one_that_is_still_there() {
    let (mut a, mut b) = paired().await;
    let (old, before) = (b.node.clone(), a.peer().await.unwrap());
    // The same daemon id, from another node.
    b.becomes(5);
    a.sees(&b.node, json!(null));
    let there = eventually("it listens at the new node", async || {
        let address = b.address().await;
        address.starts_with("127.0.0.5:").then_some(address)
    })
    .await;
    let session = a.result("peer.add", json!({})).await;
    let params = json!({"address": a.address().await, "code": session["code"]});
    let refused = b.call("peer.join", params).await;
    assert_eq!(refused["error"]["code"], -32010, "{refused}");
    let news = a.result("peer.wait", json!({"session": session["session"], "seen": 0})).await;
    assert_eq!((&news["news"], &news["name"]), (&json!("id_taken"), &json!("beta")), "{news}");
    assert_eq!(news["daemon_id"], before["daemon_id"]);
    // Nor does a host get it that is joined.
    let session = b.result("peer.add", json!({})).await;
    let join = json!({"address": there, "code": session["code"]});
    let refused = eventually("its tailscaled has told of the new node", async || {
        let refused = a.call("peer.join", join.clone()).await;
        let message = refused["error"]["message"].as_str().unwrap_or_default();
        (!message.contains("is not a machine of the tailnet")).then_some(refused)
    })
    .await;
    let message = refused["error"]["message"].as_str().unwrap();
    assert!(message.contains("answers with the daemon id of beta"), "{refused}");
    assert_eq!(a.peer().await.unwrap()["address"], before["address"]);
    // Once the old node is gone, it is the same machine, added again.
    a.loses(&old);
    let joined = eventually("it pairs again", async || {
        let session = a.result("peer.add", json!({})).await;
        let params = json!({"address": a.address().await, "code": session["code"]});
        b.call("peer.join", params).await.get("result").cloned()
    })
    .await;
    assert_eq!(joined["renewed"], true, "{joined}");
    assert_eq!(a.peer().await.unwrap()["daemon_id"], before["daemon_id"]);
}

#[tokio::test]
async fn a_host_with_the_daemon_id_of_a_peer_is_not_accused_while_the_tailnet_can_t_be_asked() {
    let (mut a, b) = paired().await;
    let before = a.peer().await.unwrap();
    a.sees(&TestNode { id: 5, at: 5, name: "gamma" }, json!(null));
    let host = TcpListener::bind("127.0.0.5:0").await.unwrap();
    let address = host.local_addr().unwrap().to_string();
    // A machine with b's key, as after a copy of its state directory.
    let (key, token) = (b.daemon.context.log.key(), ids::token().unwrap());
    let answer = async {
        let mut asked = 0;
        while asked < 2 {
            let (mut stream, _) = host.accept().await.unwrap();
            let mut request = vec![0; 64 * 1024];
            let read = stream.read(&mut request).await.unwrap();
            let request = String::from_utf8_lossy(&request[..read]);
            let call: Value =
                serde_json::from_str(request.split("\r\n\r\n").nth(1).unwrap()).unwrap();
            asked += 1;
            if call["method"] == "pair.request" {
                a.fake.status(&json!({"BackendState": "Stopped"}));
                eventually("the tailnet is down", async || {
                    let status = a.result("status", json!({})).await;
                    (status["tailnet"]["state"] != "up").then_some(())
                })
                .await;
            }
            let answer = testing::host_answer(key, &call, &token).to_string();
            let head = "HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-type: application/json";
            let answer = format!("{head}\r\ncontent-length: {}\r\n\r\n{answer}", answer.len());
            stream.write_all(answer.as_bytes()).await.unwrap();
        }
    };
    let params = json!({"address": address, "code": "1234"});
    let (refused, ()) = tokio::join!(
        eventually("the tailnet knows the host", async || {
            let joined = a.call("peer.join", params.clone()).await;
            (joined["error"]["code"] != -32023).then_some(joined)
        }),
        answer
    );
    assert_eq!(refused["error"]["code"], -32011, "{refused}");
    let words = refused["error"].to_string();
    assert!(words.contains("the tailnet can't be asked at the moment"), "{words}");
    assert!(words.contains("again in a moment") && words.contains("thrum doctor"), "{words}");
    assert_eq!(a.peer().await.unwrap()["address"], before["address"]);
}

#[tokio::test]
async fn names_and_addresses_follow_the_tailnet() {
    let (mut a, mut b) = paired().await;
    let mut renamed = b.node.clone();
    renamed.name = "gamma";
    a.sees(&renamed, json!(null));
    eventually("the new name", async || (a.peer().await?["name"] == "gamma").then_some(())).await;
    a.result("peer.sync", json!({"peer": "gamma"})).await;
    a.result("peer.sync", json!({"peer": "GAMMA.tail.test"})).await;
    a.result("peer.sync", json!({"peer": "own-beta"})).await;
    let unknown = a.call("peer.sync", json!({"peer": "gama"})).await;
    assert!(unknown["error"]["message"].as_str().unwrap().contains("gamma"), "{unknown}");
    // Node 3 gets another address.
    b.moves(33);
    a.loses(&renamed);
    renamed.at = 33;
    a.sees(&renamed, json!(null));
    let moved = eventually("it listens at the new one", async || {
        let address = b.address().await;
        address.starts_with("127.0.0.33:").then_some(address)
    })
    .await;
    eventually("its address is noted", async || {
        a.call("peer.sync", json!({})).await;
        (a.peer().await?["address"] == moved.as_str()).then_some(())
    })
    .await;
}
