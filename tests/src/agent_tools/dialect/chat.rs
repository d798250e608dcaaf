use serde_json::{Value, json};

use super::said::{Reply, STREAM, Shown, items, json_answer, stream, text_of};

pub(super) fn shown(body: &Value) -> Vec<Shown> {
    let message = |message: &Value| {
        let role = message["role"].as_str().unwrap_or_default();
        Shown::new(role, &text_of(&message["content"]))
    };
    items(&body["messages"]).map(message).collect()
}

pub(super) fn answer(body: &Value, reply: &Reply, number: u64) -> (&'static str, String) {
    let (delta, stop) = match reply {
        Reply::Call { name, args } => {
            let call = json!({
                "index": 0, "id": format!("call_{number}"), "type": "function",
                "function": {"name": name, "arguments": args.to_string()},
            });
            (json!({"role": "assistant", "content": null, "tool_calls": [call]}), "tool_calls")
        }
        Reply::Say(text) => (json!({"role": "assistant", "content": text}), "stop"),
    };
    let usage = json!({"prompt_tokens": 10, "completion_tokens": 5, "total_tokens": 15});
    let answer = |kind: &str, choices: Value| {
        json!({
            "id": format!("chatcmpl-{number}"), "created": 1_700_000_000, "model": body["model"],
            "object": kind, "choices": choices,
        })
    };
    if body["stream"] != true {
        let choices = json!([{"index": 0, "message": delta, "finish_reason": stop}]);
        let mut whole = answer("chat.completion", choices);
        whole["usage"] = usage;
        return json_answer(&whole);
    }
    let chunk = |choices: Value| answer("chat.completion.chunk", choices);
    let mut last = chunk(json!([]));
    last["usage"] = usage;
    let events = [
        chunk(json!([{"index": 0, "delta": delta, "finish_reason": null}])),
        chunk(json!([{"index": 0, "delta": {}, "finish_reason": stop}])),
        last,
    ];
    (STREAM, stream(&events, false) + "data: [DONE]\n\n")
}
