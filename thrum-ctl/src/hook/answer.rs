//! The form in which each tool takes text from a hook.

use serde::Serialize;
use serde_json::{Value, json};

use super::point::Point;
use crate::setup::Tool;

/// What to print so that the tool shows this text to its model at this point. None where it can't.
/// `event` is the tool's own name for the point, as it said it.
pub fn answer(tool: Tool, point: Point, event: Option<&str>, text: &str) -> Option<String> {
    if !matches!(point, Point::SessionStart | Point::Prompt | Point::Step | Point::Stop) {
        return None;
    }
    let is_stop = point == Point::Stop;
    let value = match tool {
        // A reason to go on would be shown twice, once as an error.
        Tool::ClaudeCode => context(event.unwrap_or(claude_event(point)), text),
        // Any other field makes the answer invalid.
        Tool::Codex | Tool::Copilot if is_stop => json!({"decision": "block", "reason": text}),
        Tool::Gemini if is_stop => json!({"decision": "deny", "reason": text}),
        Tool::Codex => context(event.unwrap_or(codex_event(point)), text),
        Tool::Gemini => context(event.unwrap_or(gemini_event(point)), text),
        Tool::Copilot => json!({"additionalContext": text}),
        Tool::Cursor => match point {
            Point::Stop => json!({"followup_message": text}),
            // It can only let a prompt through or not.
            Point::Prompt => return None,
            _ => json!({"additional_context": text}),
        },
        Tool::Opencode => json!({"text": text}),
        Tool::Script => return None,
    };
    serde_json::to_string(&value).ok()
}

fn context(event: &str, text: &str) -> Value {
    #[derive(Serialize)]
    #[serde(rename_all = "camelCase")]
    struct Specific<'a> {
        hook_event_name: &'a str,
        additional_context: &'a str,
    }
    json!({"hookSpecificOutput": Specific { hook_event_name: event, additional_context: text }})
}

const fn claude_event(point: Point) -> &'static str {
    match point {
        Point::SessionStart => "SessionStart",
        Point::Prompt => "UserPromptSubmit",
        Point::Step => "PostToolBatch",
        _ => "Stop",
    }
}

const fn codex_event(point: Point) -> &'static str {
    match point {
        Point::Step => "PostToolUse",
        other => claude_event(other),
    }
}

const fn gemini_event(point: Point) -> &'static str {
    match point {
        Point::SessionStart => "SessionStart",
        Point::Prompt => "BeforeAgent",
        Point::Step => "AfterTool",
        _ => "AfterAgent",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_tool_gets_the_form_that_it_takes() {
        use Point::{Interrupt, Prompt, SessionEnd, SessionStart, Step, Stop};
        let mut all = String::new();
        for tool in Tool::ALL {
            for point in [SessionStart, Prompt, Step, Stop, Interrupt, SessionEnd] {
                let answer = answer(tool, point, None, "T \"1\"\n2");
                let answer = answer.unwrap_or_else(|| "nothing".to_owned());
                all.push_str(&format!("{tool} {}: {answer}\n", point.name()));
            }
        }
        insta::assert_snapshot!("answers", all);
    }

    #[test]
    fn the_event_is_named_as_the_tool_named_it() {
        let of = |tool| answer(tool, Point::Step, Some("PostToolUse"), "T").unwrap();
        let expected =
            r#"{"hookSpecificOutput":{"additionalContext":"T","hookEventName":"PostToolUse"}}"#;
        for tool in [Tool::ClaudeCode, Tool::Codex, Tool::Gemini] {
            assert_eq!(
                serde_json::from_str::<Value>(&of(tool)).unwrap(),
                serde_json::from_str::<Value>(expected).unwrap()
            );
        }
    }
}
