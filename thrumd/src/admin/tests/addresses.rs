//! Machines by name: in what people type, and in what they are shown.

use serde_json::json;

use super::client::Running;

#[tokio::test(flavor = "multi_thread")]
async fn a_machine_is_named_where_people_type_and_read_addresses() {
    let daemon = Running::start(&[]).await;
    let send = |from: &str, to: &str| json!({"from": from, "to": [to], "text": "go", "project": "p", "anyway": true});
    daemon.result("message.send", send("planner", "coder@my-laptop")).await;
    daemon.result("message.send", send("planner", "@coder@MY-LAPTOP")).await;
    let asked = json!({"agent": "coder", "project": "p", "from": "planner@my-laptop"});
    let inbox = daemon.result("message.inbox", asked).await;
    assert_eq!(inbox["messages"].as_array().unwrap().len(), 2, "{inbox}");
    for message in inbox["messages"].as_array().unwrap() {
        assert_eq!(message["to"], json!(["coder@my-laptop"]));
    }
    let id = inbox["messages"][0]["event_id"].as_str().unwrap();
    let find = json!({"agent": "coder", "project": "p", "id": &id[20..]});
    let found = daemon.result("message.find", find).await["message"].clone();
    assert_eq!(found["event_id"], id);
    let name = json!({"event_id": id, "origin_daemon": found["origin_daemon"]});
    let shown = json!({"agent": "coder", "message": name});
    let shown = daemon.result("message.show", shown).await;
    assert_eq!(shown["message"]["machine"], "my-laptop");
    assert_eq!(shown["status"]["to"], json!(["coder@my-laptop"]), "{shown}");
    let add = json!({"group": "g", "project": "p", "add": ["coder@my-laptop", "a"]});
    let group = daemon.result("group.change", add).await;
    assert_eq!(group["members"], json!(["a", "coder@my-laptop"]));
    let long = "x".repeat(100_000);
    for (machine, similar) in
        [("my-laptob", json!(["my-laptop"])), ("elsewhere", json!([])), (&long, json!(null))]
    {
        let refused =
            daemon.call("message.send", send("planner", &format!("coder@{machine}"))).await;
        assert_eq!(refused["error"]["code"], -32020, "{refused}");
        assert_eq!(refused["error"]["data"]["similar"], similar, "{refused}");
        assert!(refused.to_string().len() < 1000);
    }
    daemon.stopped().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_at_sign_means_what_is_there_unless_the_agent_is_named_too() {
    let daemon = Running::start(&[]).await;
    let send = |to: &[&str]| json!({"from": "planner", "to": to, "text": "go", "project": "p"});
    let refused = daemon.call("message.send", send(&["@bob"])).await;
    assert_eq!(refused["error"]["code"], -32020, "{refused}");
    let sent = daemon.result("message.send", send(&["bob", "@bob"])).await;
    assert_eq!(sent["unknown"], json!(["bob"]));
    daemon.stopped().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_without_a_project_can_be_answered_in_any() {
    let daemon = Running::start(&[]).await;
    let body = json!({"from": "planner", "to": ["coder"], "text": "whose is it?"});
    let written = json!({"events": [{"type": "message.sent", "body": body}]});
    let written = daemon.result("event.append", written).await;
    let id = &written["appended"][0]["event_id"];
    let of = json!({"event_id": id, "origin_daemon": daemon.context.daemon});
    let answer = json!({"from": "coder", "text": "mine", "project": "p", "reply_to": of});
    let answered = daemon.result("message.send", answer).await;
    assert!(answered["event_id"].is_string(), "{answered}");
    daemon.stopped().await;
}
