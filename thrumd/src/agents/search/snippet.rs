//! Snippets: the part of a text around the first word that was found.
//!
//! Which characters are a word, and which words are equal, is SQLite's to say: the texts are put into a small index of
//! their own, in memory, which marks the words.

use rusqlite::Connection;

/// Before and after a word that was found.
const OPEN: char = '\u{2}';
const CLOSE: char = '\u{3}';
/// Characters of a snippet, about.
const LENGTH: usize = 120;
/// Of these before the first word.
const BEFORE: usize = 40;

/// A text as it is indexed. Control characters are no part of words, the zero would end the text, and two of them mark
/// what was found.
pub(super) fn plain(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}

/// The snippets of some texts, in their order.
pub(super) struct Snippets(pub(super) Vec<String>);

impl Snippets {
    /// `words`: an expression that the texts match.
    pub(super) fn of<'t>(
        texts: impl Iterator<Item = &'t str>,
        words: &str,
    ) -> rusqlite::Result<Self> {
        let connection = Connection::open_in_memory()?;
        connection.execute_batch(
            r#"CREATE VIRTUAL TABLE texts USING fts5(text, tokenize="unicode61 remove_diacritics 2")"#,
        )?;
        let transaction = connection.unchecked_transaction()?;
        let mut insert = transaction.prepare("INSERT INTO texts (rowid, text) VALUES (?, ?)")?;
        let mut marked: Vec<String> = texts.map(plain).collect();
        for (number, text) in (0_i64..).zip(&marked) {
            insert.execute((number, text))?;
        }
        let mut query = transaction.prepare(
            "SELECT rowid, highlight(texts, 0, char(2), char(3)) FROM texts WHERE texts MATCH ?",
        )?;
        let rows = query.query_map([words], |row| Ok((row.get(0)?, row.get(1)?)))?;
        for row in rows {
            let (number, text): (i64, String) = row?;
            if let Some(place) = usize::try_from(number).ok().and_then(|n| marked.get_mut(n)) {
                *place = text;
            }
        }
        Ok(Self(marked.iter().map(|text| cut(text)).collect()))
    }
}

/// The part of a marked text around its first mark, on one line.
fn cut(marked: &str) -> String {
    let line: Vec<char> = marked.split_whitespace().collect::<Vec<_>>().join(" ").chars().collect();
    let first = line.iter().position(|c| *c == OPEN).unwrap_or(0);
    let mut start = first.saturating_sub(BEFORE);
    if start > 0 {
        // At the beginning of a word, unless it is a long one.
        let word = line.iter().take(first).skip(start).position(|c| *c == ' ');
        start += word.map_or(0, |space| space + 1);
    }
    let mut snippet = String::from(if start > 0 { "…" } else { "" });
    let (mut shown, mut is_open) = (0, false);
    for c in line.iter().skip(start) {
        match *c {
            OPEN => is_open = true,
            CLOSE => is_open = false,
            _ if shown == LENGTH => {
                if is_open {
                    snippet.push(CLOSE);
                }
                snippet.push('…');
                return snippet;
            }
            _ => shown += 1,
        }
        snippet.push(*c);
    }
    snippet
}

#[cfg(test)]
mod tests {
    use super::*;

    fn snippet(text: &str, words: &str) -> String {
        Snippets::of([text].into_iter(), words).unwrap().0.remove(0)
    }

    #[test]
    fn words_that_were_found_are_marked_on_one_line() {
        let text = "the\n\tLOCK\u{2}  order\u{3} of\0the lock\u{7}";
        assert_eq!(snippet(text, r#""lock""#), "the \u{2}LOCK\u{3} order of the \u{2}lock\u{3}");
        assert_eq!(snippet("caf\u{e9} Cafe", r#""cafe""#), "\u{2}caf\u{e9}\u{3} \u{2}Cafe\u{3}");
        assert_eq!(snippet("auth-fix it", r#""auth fix""#), "\u{2}auth-fix\u{3} it");
    }

    #[test]
    fn a_long_text_is_cut_around_the_first_word() {
        let text = format!("{}needle {}", "hay ".repeat(100), "straw ".repeat(100));
        let found = snippet(&text, r#""needle""#);
        assert!(found.starts_with("…hay hay") && found.ends_with('…'), "{found}");
        assert!(found.contains(" \u{2}needle\u{3} straw"), "{found}");
        assert_eq!(found.chars().count(), LENGTH + 2 + 2);
        let one = format!("{}needle", "x".repeat(500));
        let found = snippet(&one, r#""x"*"#);
        assert_eq!(found.chars().count(), LENGTH + 2 + 1, "a mark that was cut is closed");
        assert!(found.ends_with("\u{3}…"), "{found}");
    }
}
