//! The tools as a model sees them: names, descriptions and arguments. Each word of it is in the context of every session, so
//! there are few.

use std::sync::Arc;

use rmcp::model::{JsonObject, Tool, ToolAnnotations};
use serde_json::{Value, json};

/// `send_message`
pub const SEND: &str = "send_message";
/// `check_messages`
pub const CHECK: &str = "check_messages";
/// `reply_message`
pub const REPLY: &str = "reply_message";
/// `wait_for_message`
pub const WAIT: &str = "wait_for_message";
/// `list_agents`
pub const LIST: &str = "list_agents";
/// `set_status`
pub const STATUS: &str = "set_status";

/// What a tool does to the world, as approval modes of clients read it.
#[derive(Clone, Copy)]
enum Effect {
    /// It changes nothing.
    Nothing,
    /// It writes something each time.
    Adds,
    /// It writes the same again.
    Sets,
}

/// All tools, always in this order: a list that changes costs the client its prompt cache.
pub fn list() -> Vec<Tool> {
    vec![
        tool(
            SEND,
            "Send a message to other agents: in another tool or on another machine; working, idle or away. It is kept until it is \
             read. Returns its id and how far it got. Send a thing once. For an answer: wait_for_message, or go on and check_messages \
             later.",
            json!({
                "to": {
                    "anyOf": [{"type": "string"}, {"type": "array", "items": {"type": "string"}}],
                    "description": "NAME, NAME@MACHINE or @GROUP, or a list of these (names: list_agents)",
                },
                "text": {"type": "string", "description": "The message. They see nothing else: name files and branches"},
                "urgent": {"type": "boolean", "description": "Ask to be read soon"},
                "all": {"type": "boolean", "description": "To everyone in the project, instead of `to`"},
            }),
            &["text"],
            Effect::Adds,
        ),
        tool(
            CHECK,
            "Read the messages that you were not shown yet, oldest first, without waiting. They count as read then. Call it before \
             and after long work, and when a prompt begins with \"[thrum]\".",
            json!({
                "limit": {"type": "integer", "minimum": 1, "description": "Most messages (default 10)"},
                "cursor": {"type": "string", "description": "From a result: reads on in a message that was cut"},
            }),
            &[],
            Effect::Adds,
        ),
        tool(
            REPLY,
            "Answer a message, in its conversation. It goes to the sender of that one. Returns how far it got.",
            json!({
                "id": {"type": "string", "description": "The id of the message"},
                "text": {"type": "string", "description": "The answer"},
            }),
            &["id", "text"],
            Effect::Adds,
        ),
        tool(
            WAIT,
            "Wait until a message comes, and read it as check_messages does. Ends without one after timeout_s; calling it again is \
             cheap. For when you can't go on without an answer.",
            json!({
                "timeout_s": {"type": "integer", "minimum": 1, "maximum": 1500, "description": "Seconds (default 100)"},
            }),
            &[],
            Effect::Adds,
        ),
        tool(
            LIST,
            "See who else works here: each agent's name, machine, state and task, and who you are.",
            json!({
                "all_projects": {"type": "boolean", "description": "Also agents of other projects"},
                "cursor": {"type": "string", "description": "From a result: the next page"},
            }),
            &[],
            Effect::Nothing,
        ),
        tool(
            STATUS,
            "Tell other agents and the person what you do now. What is absent stays; an empty text removes.",
            json!({
                "state": {"type": "string", "enum": ["working", "idle", "needs_you"], "description": "needs_you: a person has to decide"},
                "task": {"type": "string", "description": "What you work on, in a few words"},
                "question": {"type": "string", "description": "What a person has to decide"},
            }),
            &[],
            Effect::Sets,
        ),
    ]
}

fn tool(
    name: &'static str,
    description: &'static str,
    properties: Value,
    required: &[&str],
    effect: Effect,
) -> Tool {
    let mut schema = JsonObject::new();
    schema.insert("type".to_owned(), "object".into());
    schema.insert("properties".to_owned(), properties);
    if !required.is_empty() {
        schema.insert("required".to_owned(), required.into());
    }
    // Nothing is taken away, and the world is closed: agents on machines of one person.
    let hints = ToolAnnotations::new()
        .read_only(matches!(effect, Effect::Nothing))
        .destructive(false)
        .idempotent(!matches!(effect, Effect::Adds))
        .open_world(false);
    Tool::new(name, description, Arc::new(schema)).with_annotations(hints)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Of English text in JSON, a token of today's models has more than four bytes on average.
    const TOKEN_BYTES: usize = 4;
    const TOKENS_MAX: usize = 1500;

    #[test]
    fn all_descriptions_and_schemas_take_little_of_a_context() {
        let tools = list();
        let what_a_model_sees = |tool: &Tool| {
            let description = tool.description.as_deref().unwrap().len();
            tool.name.len() + description + tool.schema_as_json_value().to_string().len()
        };
        let bytes: usize = tools.iter().map(what_a_model_sees).sum();
        assert!(bytes / TOKEN_BYTES <= TOKENS_MAX, "{} tokens", bytes / TOKEN_BYTES);
        assert!(tools.iter().all(|tool| tool.output_schema.is_none()));
    }

    #[test]
    fn the_tools_match_the_snapshot() {
        insta::assert_json_snapshot!("tools", list());
    }
}
