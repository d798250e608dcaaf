use serde_json::{Value, json};

use super::said::{Reply, STREAM, Shown, items, json_answer, text_of};

pub(super) fn shown(body: &Value) -> Vec<Shown> {
    let mut all = vec![Shown::new("system", &text_of(&body["systemInstruction"]))];
    for content in items(&body["contents"]) {
        let role = content["role"].as_str().unwrap_or_default();
        for part in items(&content["parts"]) {
            if let Some(answer) = part.get("functionResponse") {
                all.push(Shown::new("tool", &text_of(&answer["response"])));
            } else if part.get("text").is_some() {
                all.push(Shown::new(role, &text_of(part)));
            }
        }
    }
    all
}

pub(super) fn answer(streamed: bool, reply: &Reply, number: u64) -> (&'static str, String) {
    let part = match reply {
        Reply::Call { name, args } => {
            json!({"functionCall": {"id": format!("call_{number}"), "name": name, "args": args}})
        }
        Reply::Say(text) => json!({"text": text}),
    };
    let whole = json!({
        "candidates": [{
            "content": {"role": "model", "parts": [part]}, "finishReason": "STOP", "index": 0,
        }],
        "usageMetadata": {"promptTokenCount": 10, "candidatesTokenCount": 5, "totalTokenCount": 15},
        "modelVersion": "fake",
    });
    if streamed { (STREAM, format!("data: {whole}\r\n\r\n")) } else { json_answer(&whole) }
}
