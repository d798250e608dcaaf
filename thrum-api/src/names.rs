//! The rules for names of agents, projects, daemons and event types.

use crate::limits::{EVENT_TYPE_MAX_CHARS, NAME_MAX_CHARS};

/// Why a name is invalid.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NameError {
    /// It is empty.
    #[error("{what} must not be empty")]
    Empty {
        /// Which kind of name.
        what: &'static str,
    },
    /// It is too long.
    #[error("{what} has {chars} characters; at most {max} are allowed")]
    TooLong {
        /// Which kind of name.
        what: &'static str,
        /// Its length.
        chars: usize,
        /// The maximum length.
        max: usize,
    },
    /// It contains a character that is not allowed.
    #[error("{what} must not contain {character:?}")]
    Character {
        /// Which kind of name.
        what: &'static str,
        /// The first wrong character.
        character: char,
    },
}

fn check<'a>(
    what: &'static str,
    text: &'a str,
    max: usize,
    allowed: impl Fn(char) -> bool,
) -> Result<&'a str, NameError> {
    let chars = text.chars().count();
    if chars == 0 {
        return Err(NameError::Empty { what });
    }
    if chars > max {
        return Err(NameError::TooLong { what, chars, max });
    }
    match text.chars().find(|c| !allowed(*c)) {
        Some(character) => Err(NameError::Character { what, character }),
        None => Ok(text),
    }
}

/// Checks an agent's name: letters and digits of any script, `-`, `_`, `.`, `/`, `:`. A leading `@` is
/// removed.
///
/// # Errors
/// When it is empty, too long or has another character.
pub fn agent(text: &str) -> Result<&str, NameError> {
    let name = text.strip_prefix('@').unwrap_or(text);
    check("an agent's name", name, NAME_MAX_CHARS, |c| c.is_alphanumeric() || "-_./:".contains(c))
}

/// Checks a project's name: any text without control characters.
///
/// # Errors
/// When it is empty, too long or has a control character.
pub fn project(text: &str) -> Result<&str, NameError> {
    check("a project's name", text, NAME_MAX_CHARS, |c| !c.is_control())
}

/// Checks a daemon's name: any text without control characters.
///
/// # Errors
/// When it is empty, too long or has a control character.
pub fn daemon(text: &str) -> Result<&str, NameError> {
    check("a machine's name", text, NAME_MAX_CHARS, |c| !c.is_control())
}

/// Checks the type of a new event: lower-case words separated by dots.
///
/// # Errors
/// When it is empty, too long or has another character.
pub fn event_type(text: &str) -> Result<&str, NameError> {
    let allowed = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || "._-".contains(c);
    check("an event's type", text, EVENT_TYPE_MAX_CHARS, allowed)
}
