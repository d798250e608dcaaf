//! Editing of texts that belong to others: what is not ours stays as it is, byte for byte.

pub mod apply;
pub mod json;
mod ours;
#[cfg(test)]
mod tests;
pub mod text;
pub mod toml;
mod value;

use serde::{Deserialize, Serialize};

/// What adding our entries made of a text.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Added {
    /// The text with our entries.
    pub text: String,
    /// What became of each entry, in their order.
    pub outcomes: Vec<Outcome>,
    /// The objects and arrays that had to be made for them.
    pub made: Vec<String>,
}

/// What became of an entry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// It was there.
    Present,
    /// It is new.
    New,
    /// It takes the place of this text.
    Replaced(String),
}

/// What taking our entries out made of a text.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Removed {
    /// The text without our entries.
    pub text: String,
    /// How many entries were taken out.
    pub count: usize,
    /// Whether nothing is left that somebody else wrote.
    pub is_empty: bool,
}

/// What is known of a file from the time when our entries were added.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Known {
    /// The ids of the entries that were there before.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub kept: Vec<String>,
    /// What the entries with these ids took the place of.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub replaced: Vec<(String, String)>,
    /// The objects and arrays that were made.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub made: Vec<String>,
}

/// The byte order mark at the beginning of a text, and the rest.
pub fn split_mark(text: &str) -> (&str, &str) {
    let rest = text.strip_prefix('\u{feff}').unwrap_or(text);
    (&text[..text.len() - rest.len()], rest)
}

/// The line end of a text: that of its first line.
pub fn line_end(text: &str) -> &'static str {
    match text.split_once('\n') {
        Some((line, _)) if line.ends_with('\r') => "\r\n",
        _ => "\n",
    }
}

/// A text without the blank line at its end, if it has one.
fn without_blank_line(text: &str) -> &str {
    let shorter = text.strip_suffix("\r\n").or_else(|| text.strip_suffix('\n'));
    shorter.filter(|shorter| shorter.ends_with('\n')).unwrap_or(text)
}
