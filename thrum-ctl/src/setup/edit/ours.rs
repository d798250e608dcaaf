//! Which entries are ours, whoever wrote them.

use std::path::Path;

use serde_json::Value;

/// Whether a server is ours: it runs `thrum mcp`. Another program of that name would be started in another way.
pub fn is_our_server(value: &Value) -> bool {
    let words = command(value);
    is_thrum(&words, "mcp") && words.get(2).is_none_or(|word| word.starts_with("--"))
}

/// Whether a hook, or each hook of a group, is ours: it runs `thrum hook TOOL POINT`.
pub fn is_our_hook(value: &Value) -> bool {
    match value.get("hooks").and_then(Value::as_array) {
        Some(group) => !group.is_empty() && group.iter().all(is_our_hook),
        None => {
            let words = command(value);
            is_thrum(&words, "hook") && words.len() == 4
        }
    }
}

fn is_thrum(words: &[String], verb: &str) -> bool {
    let program = words.first().and_then(|word| Path::new(word).file_name());
    program.is_some_and(|name| name == "thrum") && words.get(1).is_some_and(|word| word == verb)
}

/// The words of the command that an entry runs, in any of the forms that tools have.
fn command(value: &Value) -> Vec<String> {
    let split = |text: &str| text.split_whitespace().map(str::to_owned).collect::<Vec<_>>();
    let strings = |value: &Value| match value {
        Value::Array(items) => items.iter().filter_map(Value::as_str).map(str::to_owned).collect(),
        Value::String(text) => split(text),
        _ => Vec::new(),
    };
    let mut words = ["command", "bash"].iter().find_map(|name| value.get(name)).map(strings);
    if let (Some(words), Some(Value::Array(_))) = (&mut words, value.get("args")) {
        words.extend(value.get("args").map(strings).unwrap_or_default());
    }
    words.unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn ours_is_what_runs_thrum_as_we_do() {
        for hook in [
            json!({"command": "thrum", "args": ["hook", "claude-code", "stop"]}),
            json!({"type": "command", "bash": "thrum hook copilot stop"}),
            json!({"command": "/opt/bin/thrum hook codex prompt", "timeout": 9}),
            json!({"hooks": [{"command": "thrum hook codex stop"}, {"command": "thrum hook codex prompt"}]}),
        ] {
            assert!(is_our_hook(&hook), "{hook}");
        }
        for hook in [
            json!({"command": "thrum-like hook codex stop"}),
            json!({"command": "thrum hook codex stop && notify-send done"}),
            json!({"command": "thrum send all hook"}),
            json!({"hooks": []}),
            json!({"hooks": [{"command": "thrum hook codex stop"}, {"command": "make"}]}),
            json!("thrum hook codex stop"),
            json!(null),
        ] {
            assert!(!is_our_hook(&hook), "{hook}");
        }
        assert!(is_our_server(&json!({"command": "thrum", "args": ["mcp"]})));
        assert!(is_our_server(&json!({"command": ["thrum", "mcp", "--tool", "opencode"]})));
        assert!(!is_our_server(&json!({"command": "thrum", "args": ["mcp", "serve"]})));
        assert!(!is_our_server(&json!({"url": "http://127.0.0.1"})));
    }
}
