//! Messages as a model reads them. They are data of others: what can't be seen is made visible, and a long text is cut where
//! it can be read on.

use serde_json::{Value, json};
use thrum_api::Timestamp;
use thrum_api::local::Message;
use thrum_api::visible::{is_invisible, readable, visible};

use super::answer::{Done, cut};
use crate::format::{message_id, since};

/// Most bytes of all messages in an answer, as JSON. What stands beside them has the rest.
pub const ROOM_BYTES: usize = 6500;
/// The least that is shown of a message that is cut.
const PART_LEAST_BYTES: usize = 1000;
/// Most bytes of a name.
const NAME_MAX_BYTES: usize = 300;
/// Most recipients that are named.
const TO_MAX: usize = 5;

/// Messages that fit into an answer.
#[derive(Debug)]
pub struct Page {
    /// Each as JSON.
    pub shown: Vec<Value>,
    /// Where the last one goes on, if it was cut.
    pub cursor: Option<Cursor>,
}

/// A place in the text of a message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cursor {
    /// The id of the message.
    pub id: String,
    /// Bytes before the place.
    pub at: usize,
}

impl std::fmt::Display for Cursor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}:{}", self.id, self.at)
    }
}

impl std::str::FromStr for Cursor {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        let (id, at) = text.trim().split_once(':').ok_or(())?;
        let at = at.parse().map_err(|_| ())?;
        if id.is_empty() { Err(()) } else { Ok(Self { id: id.to_owned(), at }) }
    }
}

/// As many of the messages as fit, the oldest first: the first one at least in part.
pub fn page(messages: &[Message], now: Timestamp) -> Page {
    let mut page = Page { shown: Vec::new(), cursor: None };
    let mut room = ROOM_BYTES;
    for message in messages {
        let (value, cursor) = part(message, 0, room, now);
        let size = value.to_string().len() + 1;
        // One that would be cut stays for the next answer, where it has more room.
        if !page.shown.is_empty() && (cursor.is_some() || size > room) {
            break;
        }
        room = room.saturating_sub(size);
        page.shown.push(value);
        page.cursor = cursor;
        if page.cursor.is_some() || room < PART_LEAST_BYTES {
            break;
        }
    }
    page
}

/// A message from a place in its text on, in about so many bytes, and where it goes on.
pub fn part(
    message: &Message,
    from: usize,
    room: usize,
    now: Timestamp,
) -> (Value, Option<Cursor>) {
    let mut value = head(message, now);
    let room = room.saturating_sub(Value::Object(value.clone()).to_string().len() + 60);
    let rest = message.text.get(from..).unwrap_or_default();
    let end = end_within(rest, room.max(PART_LEAST_BYTES));
    let text = rest.get(..end).unwrap_or_default();
    value.insert("text".to_owned(), readable(text).into());
    if from > 0 {
        value.insert("from_byte".to_owned(), from.into());
    }
    if end == rest.len() {
        return (value.into(), None);
    }
    value.insert("cut".to_owned(), true.into());
    value.insert("bytes".to_owned(), message.text.len().into());
    let cursor = Cursor { id: message.event_id.to_string(), at: from + end };
    (value.into(), Some(cursor))
}

/// Everything but the text.
fn head(message: &Message, now: Timestamp) -> Done {
    let mut head = Done::new();
    let mut set = |name: &str, value: Value| drop(head.insert(name.to_owned(), value));
    set("id", message_id(message.event_id).into());
    set("from", address(message).into());
    set("sent", since(message.timestamp, now).into());
    if message.all {
        set("to", "everyone".into());
    } else if message.to.len() > 1 || message.to.iter().any(|to| to.starts_with('@')) {
        let named = message.to.iter().take(TO_MAX).map(|to| name(to));
        let mut to: Vec<String> = named.collect();
        if message.to.len() > TO_MAX {
            to.push(format!("and {} more", message.to.len() - TO_MAX));
        }
        set("to", to.into());
    }
    if let Some(answered) = message.reply_to {
        set("answers", message_id(answered.event_id).into());
    }
    if message.urgent {
        set("urgent", true.into());
    }
    if message.automatic {
        set("written_by", json!("thrumd, for its sender"));
    }
    head
}

/// The address of the sender: a message to it goes to that machine alone.
fn address(message: &Message) -> String {
    let id = message.origin_daemon.to_string();
    let machine = message.machine.as_deref().unwrap_or(&id);
    format!("{}@{}", name(&message.from), name(machine))
}

/// A name of somebody else.
pub fn name(text: &str) -> String {
    cut(&visible(text), NAME_MAX_BYTES).to_owned()
}

/// How many bytes of a text take at most so many in JSON, between two characters.
fn end_within(text: &str, room: usize) -> usize {
    let mut used = 0;
    for (at, c) in text.char_indices() {
        used += match c {
            '"' | '\\' | '\n' | '\t' => 2,
            // As `\u{...}`, of which JSON escapes the backslash.
            c if is_invisible(c) => c.escape_default().len() + 1,
            c => c.len_utf8(),
        };
        if used > room {
            return at;
        }
    }
    text.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(last: char, text: &str) -> Message {
        serde_json::from_value(json!({
            "event_id": format!("01K000000000000000007QX2A{last}"), "sequence": 7, "from": "planner",
            "origin_daemon": "d_01K0000000000000000000000000000000000000000000000000",
            "machine": "office-server", "to": ["coder"], "text": text,
            "timestamp": "1970-01-01T00:00:00Z", "read": false,
        }))
        .unwrap()
    }

    fn now() -> Timestamp {
        Timestamp::from_millis(240_000)
    }

    #[test]
    fn a_message_has_what_a_model_needs_to_answer_it() {
        let page = page(&[message('B', "look\nhere\u{202e}")], now());
        assert_eq!(
            page.shown,
            [json!({
                "id": "7QX2AB", "from": "planner@office-server", "sent": "4m ago",
                "text": "look\nhere\\u{202e}",
            })]
        );
        assert_eq!(page.cursor, None);
    }

    #[test]
    fn a_long_message_is_read_whole_by_its_cursor() {
        for letter in ["x", "\u{e4}\u{1f600}", "\"\\", "\u{1b}[2J\u{e0041}", "\n"] {
            let text = letter.repeat(20_000);
            let long = message('B', &text);
            let page = page(std::slice::from_ref(&long), now());
            let mut read = page.shown[0]["text"].as_str().unwrap().to_owned();
            assert_eq!(
                (&page.shown[0]["cut"], &page.shown[0]["bytes"]),
                (&true.into(), &text.len().into())
            );
            let mut cursor = page.cursor;
            while let Some(place) = cursor {
                let place: Cursor = place.to_string().parse().unwrap();
                assert_eq!(place.id, long.event_id.to_string());
                let (part, next) = part(&long, place.at, ROOM_BYTES, now());
                assert!(part.to_string().len() <= ROOM_BYTES, "{letter:?}");
                let shown = part["text"].as_str().unwrap();
                assert!(!shown.is_empty());
                read.push_str(shown);
                cursor = next;
            }
            assert_eq!(read, readable(&text));
        }
    }

    #[test]
    fn messages_are_shown_while_they_fit_and_the_first_one_in_any_case() {
        let short = message('A', &"x".repeat(3000));
        let long = message('B', &"x".repeat(60_000));
        let shown = |messages: &[Message]| {
            let page = page(messages, now());
            let bytes = Value::from(page.shown.clone()).to_string().len();
            assert!(bytes < ROOM_BYTES + 2, "{bytes}");
            (page.shown.len(), page.cursor.is_some())
        };
        assert_eq!(shown(&[short.clone(), short.clone(), short.clone()]), (2, false));
        assert_eq!(shown(&[short.clone(), long.clone(), short.clone()]), (1, false));
        assert_eq!(shown(&[long, short]), (1, true));
        assert_eq!(shown(&[]), (0, false));
        let mut everywhere = message('C', "hi");
        everywhere.to =
            (0..64).map(|n| format!("{n}{}@{}", "\u{65e5}".repeat(120), "m".repeat(128))).collect();
        everywhere.from = "\u{65e5}".repeat(128);
        assert_eq!(shown(&[everywhere]), (1, false));
    }

    #[test]
    fn what_is_no_cursor_is_none() {
        for wrong in ["", ":", "x", ":7", "x:", "x:-1", "x:1.5"] {
            assert!(wrong.parse::<Cursor>().is_err(), "{wrong}");
        }
    }
}
