//! The rules for names of agents, projects, daemons and event types.
//!
//! A name that was checked is composed (Unicode's NFC): an é is one name, whether a keyboard or a file system
//! wrote it as one character or as two.

use icu_normalizer::ComposingNormalizerBorrowed;
use icu_properties::CodePointMapData;
use icu_properties::props::{GeneralCategory, GeneralCategoryGroup};

use crate::limits::{EVENT_TYPE_MAX_CHARS, NAME_MAX_CHARS};
use crate::visible::is_invisible;

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

fn check(
    what: &'static str,
    text: &str,
    max: usize,
    allowed: impl Fn(char) -> bool,
) -> Result<String, NameError> {
    let name = ComposingNormalizerBorrowed::new_nfc().normalize(text);
    let chars = name.chars().count();
    if chars > max {
        return Err(NameError::TooLong { what, chars, max });
    }
    // A mark at the beginning would change whatever is shown before the name.
    let first = name.chars().next().ok_or(NameError::Empty { what })?;
    match name.chars().find(|c| !allowed(*c)).or(Some(first).filter(|c| is_mark(*c))) {
        Some(character) => Err(NameError::Character { what, character }),
        None => Ok(name.into_owned()),
    }
}

/// Whether a character is a combining mark, such as a vowel sign or the virama of Devanagari.
fn is_mark(c: char) -> bool {
    GeneralCategoryGroup::Mark.contains(CodePointMapData::<GeneralCategory>::new().get(c))
}

/// Checks an agent's name: letters, marks and digits of any script, `-`, `_`, `.`, `/`, `:`. A leading `@` is
/// removed. Answers the composed name.
///
/// # Errors
/// When it is empty, too long or has another character.
pub fn agent(text: &str) -> Result<String, NameError> {
    let name = text.strip_prefix('@').unwrap_or(text);
    let allowed = |c: char| c.is_alphanumeric() || "-_./:".contains(c) || is_mark(c);
    check("an agent's name", name, NAME_MAX_CHARS, |c| allowed(c) && !is_invisible(c))
}

/// Checks a group's name: as that of an agent, without `@`.
///
/// # Errors
/// As for [`agent`].
pub fn group(text: &str) -> Result<String, NameError> {
    let allowed = |c: char| c.is_alphanumeric() || "-_./:".contains(c) || is_mark(c);
    check("a group's name", text, NAME_MAX_CHARS, |c| allowed(c) && !is_invisible(c))
}

/// Checks a project's name: any text without invisible characters. Answers the composed name.
///
/// # Errors
/// When it is empty, too long or has an invisible character.
pub fn project(text: &str) -> Result<String, NameError> {
    check("a project's name", text, NAME_MAX_CHARS, |c| !is_invisible(c))
}

/// Checks a daemon's name: any text without invisible characters. Answers the composed name.
///
/// # Errors
/// When it is empty, too long or has an invisible character.
pub fn daemon(text: &str) -> Result<String, NameError> {
    check("a machine's name", text, NAME_MAX_CHARS, |c| !is_invisible(c))
}

/// Checks the type of a new event: lower-case words separated by dots.
///
/// # Errors
/// When it is empty, too long or has another character.
pub fn event_type(text: &str) -> Result<(), NameError> {
    let allowed = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || "._-".contains(c);
    check("an event's type", text, EVENT_TYPE_MAX_CHARS, allowed).map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_may_have_combining_marks_and_are_composed() {
        for name in [
            "\u{939}\u{93f}\u{928}\u{94d}\u{926}\u{940}",
            "\u{ba4}\u{bae}\u{bbf}\u{bb4}\u{bcd}",
            "日本",
        ] {
            assert_eq!(agent(name).unwrap(), name);
        }
        for check in [agent, project, daemon] {
            assert_eq!(check("rene\u{301}").unwrap(), "ren\u{e9}");
            assert!(check("\u{301}a").is_err(), "a mark that changes what is before it");
        }
    }

    #[test]
    fn names_have_no_invisible_characters() {
        for check in [agent, project, daemon] {
            for hidden in
                ['\u{200b}', '\u{200d}', '\u{202e}', '\u{feff}', '\u{fe0f}', '\u{1160}', '\n']
            {
                let refused = check(&format!("a{hidden}b")).unwrap_err();
                assert!(
                    matches!(refused, NameError::Character { character, .. } if character == hidden)
                );
            }
        }
    }
}
