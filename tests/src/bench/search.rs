use thrum_api::limits::APPEND_MAX_EVENTS;
use thrum_api::local::{MessageSearch, MessageSearchParams, MessageSearchResult};

use super::bootstrap::setup;
use super::connection::Connection;
use super::figure::{Figure, Target};
use super::sample::{Sample, tell, words};
use super::size::Size;
use crate::harness::event_of;

/// A person notices what takes longer.
const LIMIT_MS: f64 = 50.0;
/// Words of a message.
const WORDS: usize = 40;
/// Different words in all messages.
const VOCABULARY: usize = 20_000;

/// Searches of several kinds in a log of messages, each as a person makes it: newest first, 20 of them.
pub(super) fn measure(size: Size) -> Vec<Figure> {
    let (count, rounds) = (size.of(200_000), size.of(40));
    tell(&format!("search: in {count} messages"));
    let daemon = setup("searched").start();
    let mut connection = Connection::open(&daemon);
    for page in (0..count).collect::<Vec<_>>().chunks(APPEND_MAX_EVENTS) {
        connection.append(page.iter().copied().map(message).collect());
    }
    let mut first = Sample::default();
    first.time(|| search(&mut connection, &asked("common")));
    let from = |name: &str| Some(name.to_owned());
    let kinds = [
        ("a rare word", asked(&word(VOCABULARY - 1))),
        ("a word of every message", asked("common")),
        ("two words", asked(&format!("common {}", word(1)))),
        ("a phrase", asked("\"common ground\"")),
        ("a prefix of two letters", asked("w1*")),
        ("a prefix of three", asked("w12*")),
        ("a word of a rare sender", MessageSearchParams { from: from("rare"), ..asked("common") }),
    ];
    let mut slowest = ("nothing", 0.0);
    let mut detail = Vec::new();
    for (kind, params) in &kinds {
        let mut sample = Sample::default();
        for _ in 0..rounds {
            let found = sample.time(|| search(&mut connection, params).hits.len());
            assert!(found > 0, "{kind}");
        }
        detail.push(format!("{kind} {}", words(sample.median())));
        if sample.median() > slowest.1 {
            slowest = (kind, sample.median());
        }
    }
    vec![Figure::new(
        "search",
        "the slowest kind of search, in 200,000 messages that are indexed",
        (slowest.1 * 1e3, "ms"),
        Target::AtMost(LIMIT_MS),
        format!(
            "{count} messages: {}; the first search, which indexes what is not yet: {}",
            detail.join(", "),
            words(first.median())
        ),
    )]
}

fn asked(words: &str) -> MessageSearchParams {
    MessageSearchParams {
        words: words.to_owned(),
        project: None,
        from: None,
        since: None,
        before: None,
        limit: None,
    }
}

fn search(connection: &mut Connection, params: &MessageSearchParams) -> MessageSearchResult {
    connection.call::<MessageSearch>(params)
}

fn word(number: usize) -> String {
    format!("w{number}")
}

/// Some words are in every message, the others the rarer the higher their number.
fn message(number: usize) -> thrum_api::Draft {
    let mut text = "common ground".to_owned();
    for at in 0..WORDS {
        // The square makes low numbers frequent; the factors spread them.
        let drawn = (number * WORDS + at).wrapping_mul(2_654_435_761) % VOCABULARY;
        text.push(' ');
        text.push_str(&word(drawn * drawn / VOCABULARY));
    }
    if number == 0 {
        text.push(' ');
        text.push_str(&word(VOCABULARY - 1));
    }
    let from = if number == 0 { "rare" } else { "planner" };
    let body = serde_json::json!({ "from": from, "to": ["coder"], "text": text });
    thrum_api::Draft { event_type: "message.sent".to_owned(), ..event_of(&body) }
}
