use serde_json::{Value, json};

use super::said::{Reply, STREAM, Shown, items, json_answer, stream, text_of};

pub(super) fn shown(body: &Value) -> Vec<Shown> {
    let mut all = vec![Shown::new("system", &text_of(&body["system"]))];
    for message in items(&body["messages"]) {
        let role = message["role"].as_str().unwrap_or_default();
        match &message["content"] {
            Value::Array(blocks) => all.extend(blocks.iter().filter_map(|block| of(role, block))),
            content => all.push(Shown::new(role, &text_of(content))),
        }
    }
    all
}

fn of(role: &str, block: &Value) -> Option<Shown> {
    match block["type"].as_str()? {
        "text" => Some(Shown::new(role, &text_of(block))),
        "tool_result" => Some(Shown::new("tool", &text_of(&block["content"]))),
        _ => None,
    }
}

pub(super) fn answer(body: &Value, reply: &Reply, number: u64) -> (&'static str, String) {
    let (block, delta, full, stop) = match reply {
        Reply::Call { name, args } => {
            let block =
                json!({"type": "tool_use", "id": format!("toolu_{number:06}"), "name": name});
            let (mut empty, mut full) = (block.clone(), block);
            empty["input"] = json!({});
            full["input"] = args.clone();
            let delta = json!({"type": "input_json_delta", "partial_json": args.to_string()});
            (empty, delta, full, "tool_use")
        }
        Reply::Say(text) => {
            let full = json!({"type": "text", "text": text});
            let delta = json!({"type": "text_delta", "text": text});
            (json!({"type": "text", "text": ""}), delta, full, "end_turn")
        }
    };
    let usage = json!({
        "input_tokens": 10, "output_tokens": 5,
        "cache_creation_input_tokens": 0, "cache_read_input_tokens": 0,
    });
    let mut message = json!({
        "id": format!("msg_{number}"), "type": "message", "role": "assistant", "model": body["model"],
        "content": [], "stop_reason": null, "stop_sequence": null, "usage": usage,
    });
    if body["stream"] != true {
        message["content"] = json!([full]);
        message["stop_reason"] = stop.into();
        return json_answer(&message);
    }
    let events = [
        json!({"type": "message_start", "message": message}),
        json!({"type": "content_block_start", "index": 0, "content_block": block}),
        json!({"type": "content_block_delta", "index": 0, "delta": delta}),
        json!({"type": "content_block_stop", "index": 0}),
        json!({
            "type": "message_delta", "usage": usage,
            "delta": {"stop_reason": stop, "stop_sequence": null},
        }),
        json!({"type": "message_stop"}),
    ];
    (STREAM, stream(&events, true))
}
