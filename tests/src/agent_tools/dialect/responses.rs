use serde_json::{Value, json};

use super::said::{Reply, STREAM, Shown, items, stream, text_of};

/// The tools, with the namespace that each is in: Codex makes one of an MCP server.
pub(super) fn tools(body: &Value) -> impl Iterator<Item = (Option<&Value>, &Value)> {
    items(&body["tools"]).flat_map(|tool| {
        let inner = items(&tool["tools"]).map(|inner| (Some(&tool["name"]), &inner["name"]));
        let own = (tool["type"] != "namespace").then_some((None, &tool["name"]));
        inner.chain(own)
    })
}

pub(super) fn shown(body: &Value) -> Vec<Shown> {
    let mut all = vec![Shown::new("system", &text_of(&body["instructions"]))];
    for item in items(&body["input"]) {
        match item["type"].as_str().unwrap_or("message") {
            "message" => {
                let role = item["role"].as_str().unwrap_or_default();
                all.push(Shown::new(role, &text_of(&item["content"])));
            }
            kind if kind.ends_with("_output") => {
                all.push(Shown::new("tool", &text_of(&item["output"])));
            }
            _ => {}
        }
    }
    all
}

pub(super) fn answer(body: &Value, reply: &Reply, number: u64) -> (&'static str, String) {
    let item = match reply {
        Reply::Call { name, args } => {
            let mut item = json!({
                "type": "function_call", "id": format!("fc_{number}"), "call_id": format!("call_{number}"),
                "name": name, "arguments": args.to_string(), "status": "completed",
            });
            let found = tools(body).find(|(_, offered)| *offered == name);
            if let Some((Some(namespace), _)) = found {
                item["namespace"] = namespace.clone();
            }
            item
        }
        Reply::Say(text) => json!({
            "type": "message", "id": format!("msg_{number}"), "role": "assistant", "status": "completed",
            "content": [{"type": "output_text", "text": text, "annotations": []}],
        }),
    };
    let usage = json!({
        "input_tokens": 10, "input_tokens_details": {"cached_tokens": 0}, "output_tokens": 5,
        "output_tokens_details": {"reasoning_tokens": 0}, "total_tokens": 15,
    });
    let response = |status: &str, output: Value, usage: Value| {
        json!({
            "id": format!("resp_{number}"), "object": "response", "created_at": 1_700_000_000,
            "status": status, "model": body["model"], "output": output, "usage": usage,
        })
    };
    let begun = response("in_progress", json!([]), Value::Null);
    let done = response("completed", json!([item]), usage);
    let events = [
        json!({"type": "response.created", "response": begun}),
        json!({"type": "response.output_item.added", "output_index": 0, "item": item}),
        json!({"type": "response.output_item.done", "output_index": 0, "item": item}),
        json!({"type": "response.completed", "response": done}),
    ];
    (STREAM, stream(&events, true))
}
