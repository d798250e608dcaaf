//! What tools and models say to each other, in four dialects.

mod anthropic;
mod chat;
mod gemini;
mod responses;
mod said;

use std::sync::atomic::{AtomicU64, Ordering};

use serde_json::Value;

pub use said::Shown;
use said::items;
pub(super) use said::{LOOK_UP, Reply};

/// A way of asking a model.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Dialect {
    /// Anthropic's messages: Claude Code.
    Anthropic,
    /// OpenAI's responses: Codex.
    Responses,
    /// OpenAI's chat: Copilot CLI, OpenCode.
    Chat,
    /// Google's: Gemini CLI.
    Gemini,
}

impl Dialect {
    /// The dialect of a path; none if nothing is generated there.
    pub(super) fn of(path: &str) -> Option<Self> {
        if path.ends_with("/messages") {
            Some(Self::Anthropic)
        } else if path.ends_with("/responses") {
            Some(Self::Responses)
        } else if path.ends_with("/chat/completions") {
            Some(Self::Chat)
        } else if path.to_lowercase().ends_with("generatecontent") {
            Some(Self::Gemini)
        } else {
            None
        }
    }

    /// The names of the tools that a question offers.
    pub(super) fn tools(self, body: &Value) -> Vec<String> {
        let names: Vec<&Value> = match self {
            Self::Anthropic => items(&body["tools"]).map(|tool| &tool["name"]).collect(),
            Self::Responses => responses::tools(body).map(|(_, name)| name).collect(),
            Self::Chat => items(&body["tools"]).map(|tool| &tool["function"]["name"]).collect(),
            Self::Gemini => items(&body["tools"])
                .flat_map(|tool| items(&tool["functionDeclarations"]))
                .map(|function| &function["name"])
                .collect(),
        };
        names.into_iter().filter_map(Value::as_str).map(str::to_owned).collect()
    }

    /// The texts of a question, oldest first.
    pub(super) fn shown(self, body: &Value) -> Vec<Shown> {
        match self {
            Self::Anthropic => anthropic::shown(body),
            Self::Responses => responses::shown(body),
            Self::Chat => chat::shown(body),
            Self::Gemini => gemini::shown(body),
        }
    }

    /// Whether the answer is to be of a form that no conversation has.
    pub(super) fn wants_json(self, body: &Value) -> bool {
        let config = &body["generationConfig"];
        self == Self::Gemini
            && (config["responseMimeType"] == "application/json"
                || !config["responseJsonSchema"].is_null())
    }

    /// The answer: its content type and body.
    pub(super) fn answer(self, path: &str, body: &Value, reply: &Reply) -> (&'static str, String) {
        static COUNT: AtomicU64 = AtomicU64::new(1);
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        match self {
            Self::Anthropic => anthropic::answer(body, reply, number),
            Self::Responses => responses::answer(body, reply, number),
            Self::Chat => chat::answer(body, reply, number),
            Self::Gemini => gemini::answer(path.contains("stream"), reply, number),
        }
    }
}
