use super::{Added, Known, Outcome, Removed, json, text, toml};
use crate::setup::content::{Content, Part};

/// Adds what is ours to the text of a file.
///
/// # Errors
/// Why it can't be done, in words for a person.
pub fn add(content: &Content, before: &str) -> Result<Added, String> {
    match content {
        Content::Json(entries) => json::add(before, entries),
        Content::Toml(table) => toml::add(before, table),
        Content::Block(_, lines) => text::add(before, lines),
        Content::Whole(_, whole) => {
            let outcome = match before {
                "" => Outcome::New,
                _ if before == *whole => Outcome::Present,
                _ => Outcome::Replaced(before.to_owned()),
            };
            Ok(Added { text: (*whole).to_owned(), outcomes: vec![outcome], made: Vec::new() })
        }
    }
}

/// Takes what is ours out of the text of a file that is not as we wrote it.
///
/// # Errors
/// Why it can't be done, in words for a person.
pub fn remove(content: &Content, now: &str, known: Option<&Known>) -> Result<Removed, String> {
    match content {
        Content::Json(entries) => json::remove(now, entries, known),
        Content::Toml(table) => toml::remove(now, table, known),
        Content::Block(..) => text::remove(now),
        Content::Whole(_, whole) if now == *whole => {
            Ok(Removed { text: String::new(), count: 1, is_empty: true })
        }
        Content::Whole(_, whole) if now.lines().next() != whole.lines().next() => {
            Ok(Removed { text: now.to_owned(), count: 0, is_empty: false })
        }
        Content::Whole(..) => {
            Err("it is thrum's, and somebody has changed it since; remove it by hand".to_owned())
        }
    }
}

/// The ids of the entries of a file and what each is for, in the order of the outcomes of [`add`].
pub fn parts(content: &Content) -> Vec<(String, Part)> {
    match content {
        Content::Json(entries) => entries.iter().map(|it| (it.id(), it.part)).collect(),
        Content::Toml(table) => vec![(table.path.join("."), table.part)],
        Content::Block(part, _) | Content::Whole(part, _) => vec![(String::new(), *part)],
    }
}
