use serde_json::{Value, json};

/// A text that the model was shown, and as whose words.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shown {
    /// The role, as the dialect says it; `tool` for the result of a tool.
    pub role: String,
    /// The whole text.
    pub text: String,
}

impl Shown {
    pub(super) fn new(role: &str, text: &str) -> Self {
        Self { role: role.to_owned(), text: text.to_owned() }
    }
}

/// What the model answers.
#[derive(Debug, Clone)]
pub(in crate::agent_tools) enum Reply {
    /// A call of a tool.
    Call {
        /// Its full name.
        name: String,
        /// The arguments.
        args: Value,
    },
    /// A last sentence.
    Say(String),
}

/// The tool by which Claude Code offers those of which it told only the names.
pub(in crate::agent_tools) const LOOK_UP: &str = "ToolSearch";

impl Reply {
    /// With the full name of the tool, and what is to be answered after it: the call itself, if the tool has
    /// to be looked up first.
    pub(in crate::agent_tools) fn in_full(self, offered: &[String]) -> (Self, Option<Self>) {
        let Self::Call { name, args } = &self else { return (self, None) };
        if let Some(full) = offered.iter().find(|offered| offered.ends_with(name)) {
            return (Self::Call { name: full.clone(), args: args.clone() }, None);
        }
        let query = json!({"query": format!("select:mcp__thrum__{name}"), "max_results": 1});
        (Self::Call { name: LOOK_UP.to_owned(), args: query }, Some(self))
    }

    /// The answer to what is no part of the conversation, in a form that all who ask so can read.
    pub(in crate::agent_tools) fn aside() -> Self {
        let json = json!({"reasoning": "x", "next_speaker": "user", "model_choice": "flash"});
        Self::Say(json.to_string())
    }
}

/// The items of a list; none of anything else.
pub(super) fn items(list: &Value) -> impl Iterator<Item = &Value> {
    list.as_array().into_iter().flatten()
}

/// All text in a content, whatever its form.
pub(super) fn text_of(content: &Value) -> String {
    match content {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        Value::Array(parts) => parts.iter().map(text_of).collect::<Vec<_>>().join("\n"),
        Value::Object(members) => {
            let text = ["text", "content", "output", "parts"];
            let found = text.iter().find_map(|name| members.get(*name));
            found.map_or_else(|| content.to_string(), text_of)
        }
        other => other.to_string(),
    }
}

pub(super) fn json_answer(body: &Value) -> (&'static str, String) {
    ("application/json", body.to_string())
}

/// Events as they are streamed, with their names if the dialect names them.
pub(super) fn stream(events: &[Value], named: bool) -> String {
    let mut text = String::new();
    for event in events {
        if named {
            text.push_str(&format!("event: {}\n", event["type"].as_str().unwrap_or_default()));
        }
        text.push_str(&format!("data: {event}\n\n"));
    }
    text
}

/// The content type of a stream.
pub(super) const STREAM: &str = "text/event-stream";
