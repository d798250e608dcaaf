//! Messages that were found.

use thrum_api::Timestamp;
use thrum_api::local::{Message, SearchHit};

use super::message::head;
use crate::printer::{BOLD, styled};
use crate::terminal::sanitize;

/// What stands around the words that were looked for.
const BEGIN: char = '\u{2}';
const END: char = '\u{3}';

/// A message that was found: where it is from, and the part of it that has the words.
pub fn line(hit: &SearchHit, now: Timestamp, with_project: bool) -> String {
    // Nobody's inbox is shown: nothing is unread here.
    let message = Message { read: true, ..hit.message.clone() };
    format!("{} {}", head(&message, now, with_project), snippet(&hit.snippet))
}

/// The snippet with the words in bold. Its author may have written such marks, too: then other words are bold.
fn snippet(text: &str) -> String {
    let mut shown = String::new();
    for (index, part) in text.split(BEGIN).enumerate() {
        let (word, rest) = match part.split_once(END) {
            Some((word, rest)) if index > 0 => (word, rest),
            _ => ("", part),
        };
        if !word.is_empty() {
            shown.push_str(&styled(BOLD, &sanitize(word)));
        }
        shown.push_str(&sanitize(&rest.replace(END, "")));
    }
    shown
}

#[cfg(test)]
mod tests {
    use anstream::adapter::strip_str;

    use super::super::message::example;
    use super::*;

    #[test]
    fn the_words_are_bold_and_nothing_else_passes() {
        let bold = |text: &str| styled(BOLD, text);
        let shown = snippet("the \u{2}lock\u{3} \u{2}order\u{3} is\u{1b}[2J a\nb");
        assert_eq!(shown, format!("the {} {} is\\u{{1b}}[2J a\\nb", bold("lock"), bold("order")));
        for (odd, shown) in [("\u{3}a\u{2}b", "ab"), ("a\u{2}", "a"), ("\u{2}\u{3}\u{3}x", "x")] {
            assert_eq!(snippet(odd), shown);
        }
    }

    #[test]
    fn a_hit_is_a_line() {
        let message = example("x", true);
        let hit = SearchHit { message, snippet: "..the \u{2}lock\u{3} order..".to_owned() };
        let shown = line(&hit, Timestamp::from_millis(30_000), true);
        let shown = strip_str(&shown).to_string();
        assert_eq!(shown, "  7QX2AB planner on my-laptop in app, 30s ago: ..the lock order..");
    }
}
