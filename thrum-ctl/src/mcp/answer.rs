//! What a call answers: one JSON object, which is the whole answer. Some clients show a model the text, some the structured
//! content, and some both: so they are the same.

use rmcp::model::CallToolResult;
use serde_json::{Map, Value, json};

use crate::error::Error;

/// Most bytes of the JSON of an answer. Clients cut longer ones in ways of their own.
pub const MAX_BYTES: usize = 8000;
/// Most bytes of a text in an error, which may repeat what the caller wrote.
const ERROR_TEXT_MAX_BYTES: usize = 1500;

/// A good answer.
pub type Done = Map<String, Value>;

/// Why a call failed, for a model: it reads what to do next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    code: String,
    message: String,
    hint: Option<String>,
}

impl Failure {
    /// A failure with a stable identifier.
    pub fn new(code: &str, message: impl Into<String>, hint: impl Into<String>) -> Self {
        Self { code: code.to_owned(), message: message.into(), hint: Some(hint.into()) }
    }

    /// Of arguments that can't be used.
    pub fn arguments(message: impl Into<String>, hint: impl Into<String>) -> Self {
        Self::new("bad_arguments", message, hint)
    }

    /// Another thing to do next.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }
}

impl From<&Error> for Failure {
    fn from(error: &Error) -> Self {
        let causes = error.causes();
        let message = match causes.is_empty() {
            true => error.to_string(),
            false => format!("{error}: {}", causes.join(": ")),
        };
        Self { code: error.word(), message, hint: error.hint() }
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self::from(&error)
    }
}

/// The result on the wire.
pub fn result(answer: Result<Done, Failure>) -> CallToolResult {
    match answer {
        Ok(done) => {
            let done = Value::Object(done);
            debug_assert!(done.to_string().len() < MAX_BYTES, "{} bytes", done.to_string().len());
            CallToolResult::structured(done)
        }
        Err(Failure { code, message, hint }) => {
            let text = |text: String| cut(&text, ERROR_TEXT_MAX_BYTES).to_owned();
            let mut error = json!({"code": code, "message": text(message)});
            if let Some(hint) = hint {
                error["hint"] = text(hint).into();
            }
            CallToolResult::structured_error(json!({ "error": error }))
        }
    }
}

/// The beginning of a text, up to these bytes.
pub fn cut(text: &str, max: usize) -> &str {
    let mut end = max.min(text.len());
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    &text[..end]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_and_structured_content_are_the_same_json() {
        let mut done = Done::new();
        done.insert("id".to_owned(), "7QX2AB".into());
        let failed = Failure::new("not_running", "thrumd is not running", "thrum daemon start");
        for answer in [Ok(done), Err(failed)] {
            let is_error = answer.is_err();
            let result = result(answer);
            assert_eq!(result.is_error, Some(is_error));
            let text = &result.content[0].as_text().unwrap().text;
            let text: Value = serde_json::from_str(text).unwrap();
            assert_eq!(Some(text), result.structured_content);
        }
    }

    #[test]
    fn an_error_repeats_only_the_beginning_of_what_was_wrong() {
        let failure = Failure::arguments("\u{e4}".repeat(9000), "x");
        let error = result(Err(failure)).structured_content.unwrap();
        assert!(error.to_string().len() < MAX_BYTES / 2);
    }
}
