use serde_json::json;

use super::client::Running;

#[tokio::test(flavor = "multi_thread")]
async fn a_search_names_machines_and_takes_them_by_name() {
    let daemon = Running::start(&[]).await;
    let sent =
        json!({"from": "planner", "to": ["coder"], "text": "the lock order", "project": "p"});
    daemon.result("message.send", sent).await;
    for from in ["planner", "@planner", "planner@my-laptop"] {
        let found = daemon.result("message.search", json!({"words": "order", "from": from})).await;
        assert_eq!(found["hits"][0]["message"]["machine"], "my-laptop", "{from}");
        assert_eq!(found["hits"][0]["snippet"], "the lock \u{2}order\u{3}");
        assert_eq!(found.get("next_before"), None);
    }
    let nobody =
        daemon.call("message.search", json!({"words": "order", "from": "x@nowhere"})).await;
    assert_eq!(nobody["error"]["code"], -32020, "{nobody}");
    for (words, project) in [("?", "p"), ("order", "")] {
        let wrong = json!({"words": words, "project": project});
        let refused = daemon.call("message.search", wrong).await;
        assert_eq!(refused["error"]["code"], -32602, "{refused}");
    }
    daemon.stopped().await;
}
