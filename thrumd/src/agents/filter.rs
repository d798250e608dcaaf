//! Filters of an inbox: messages of one sender, since a time, of one conversation.
//!
//! The views don't know what a message says, so messages are read from the log, a page at a time, until there are
//! enough. One call reads [`ROWS_MAX`] at most: of the unread messages the oldest, of the read ones the newest. Whoever
//! waits calls again and goes on behind them. A conversation is looked up by its messages, however full the inbox is.

use std::borrow::Cow;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};

use rusqlite::{Connection, OptionalExtension, params};
use serde::Deserialize;
use thrum_api::event::EventRef;
use thrum_api::{Address, DaemonId, Sequence, Timestamp, names};

use super::broadcasts;
use super::error::{AgentsError, log_unread};
use crate::log::column::{int, uint};
use crate::log::{LogReader, StoredEvent};

/// Messages that one call reads at most to find those that match.
pub(super) const ROWS_MAX: usize = 10_000;
/// Messages that are looked up at once.
pub(super) const PAGE_ROWS: usize = 500;

/// The answers of a conversation (`?1` and `?2`: its first message) after a position.
pub(super) const CONVERSATION_FROM: &str = "SELECT sequence FROM threads
     WHERE event_id = ?1 AND origin = ?2 AND sequence > ?3 ORDER BY sequence LIMIT ?4";
/// The newest answers of a conversation.
pub(super) const CONVERSATION_NEWEST: &str = "SELECT sequence FROM threads
     WHERE event_id = ?1 AND origin = ?2 ORDER BY sequence DESC LIMIT ?3";
const DELIVERED: &str = "SELECT 1 FROM deliveries WHERE inbox = ?1 AND read = ?2 AND sequence = ?3";

/// As in `inbox`: none may scan rows whose number grows with the log.
#[cfg(test)]
pub(super) const QUERIES: &[&str] = &[CONVERSATION_FROM, CONVERSATION_NEWEST, DELIVERED];

/// No position is that far.
const NO_PLACE: i64 = i64::MAX;

/// Which messages a reader wants.
#[derive(Debug)]
pub(super) struct Filter {
    /// Of this agent, on this daemon or on any.
    from: Option<(String, Option<DaemonId>)>,
    /// Sent since, by the sender's clock.
    since: Option<Timestamp>,
    /// Of this conversation.
    thread: Option<EventRef>,
    /// One of `from` and `thread` is enough.
    any: bool,
    /// No unread message up to here matches: who looks again begins after it.
    examined: AtomicI64,
    /// Where the first match is that was passed over, as another caller has it; none: [`NO_PLACE`].
    passed: AtomicI64,
    /// There may be more that a further call would find.
    more: AtomicBool,
}

impl Filter {
    /// None if everything matches.
    pub(super) fn new(
        from: Option<&str>,
        since: Option<Timestamp>,
        thread: Option<EventRef>,
        any: bool,
    ) -> Result<Option<Self>, AgentsError> {
        let from = from.map(sender).transpose()?;
        if from.is_none() && since.is_none() && thread.is_none() {
            return Ok(None);
        }
        let (examined, passed, more) =
            (AtomicI64::new(0), AtomicI64::new(NO_PLACE), AtomicBool::new(false));
        Ok(Some(Self { from, since, thread, any, examined, passed, more }))
    }

    /// The conversation, if all that match are of it.
    pub(super) fn conversation(&self) -> Option<EventRef> {
        self.thread.filter(|_| !self.any || self.from.is_none())
    }

    pub(super) fn examined(&self) -> i64 {
        self.examined.load(Ordering::Relaxed)
    }

    /// A look has come to `examined`, and has passed over matches from `passed` on. It goes on if there is `more`.
    pub(super) fn note(&self, examined: i64, passed: Option<i64>, more: bool) {
        self.examined.store(examined, Ordering::Relaxed);
        self.passed.fetch_min(passed.unwrap_or(NO_PLACE), Ordering::Relaxed);
        self.more.store(more, Ordering::Relaxed);
    }

    /// A look has come to the end: the next one begins with what was passed over, which may be free then.
    pub(super) fn note_end(&self) {
        let passed = self.passed.swap(NO_PLACE, Ordering::Relaxed);
        self.examined.fetch_min(passed.saturating_sub(1), Ordering::Relaxed);
    }

    /// Whether the last look has ended before the end of the inbox.
    pub(super) fn has_more(&self) -> bool {
        self.more.load(Ordering::Relaxed)
    }

    /// Whether a message matches. What is no message (any more) does, so that it is noticed where it is shown.
    pub(super) fn matches(&self, event: Option<&StoredEvent<'_>>) -> bool {
        let Some(event) = event else { return true };
        let Ok(message) = serde_json::from_slice::<Head<'_>>(event.json) else { return true };
        let (origin, body) = (message.origin_daemon, message.body);
        if self.since.is_some_and(|since| event.timestamp < since.as_millis()) {
            return false;
        }
        let is_from = self.from.as_ref().map(|(name, daemon)| {
            let is_name = *name == body.from || names::agent(&body.from).as_ref() == Ok(name);
            is_name && daemon.is_none_or(|daemon| daemon == origin)
        });
        let is_of_thread = self.thread.map(|thread| {
            let is_first =
                event.event_id == Some(thread.event_id) && origin == thread.origin_daemon;
            is_first || body.thread.or(body.reply_to) == Some(thread)
        });
        match (is_from, is_of_thread) {
            (Some(from), Some(thread)) if self.any => from || thread,
            (from, thread) => from.unwrap_or(true) && thread.unwrap_or(true),
        }
    }
}

/// What is read of a message to see whether it matches, without a copy of its text.
#[derive(Deserialize)]
struct Head<'a> {
    origin_daemon: DaemonId,
    #[serde(borrow)]
    body: HeadBody<'a>,
}

#[derive(Deserialize)]
struct HeadBody<'a> {
    #[serde(borrow)]
    from: Cow<'a, str>,
    #[serde(default)]
    reply_to: Option<EventRef>,
    #[serde(default)]
    thread: Option<EventRef>,
}

fn sender(text: &str) -> Result<(String, Option<DaemonId>), AgentsError> {
    Ok(match text.parse()? {
        Address::Agent { name, daemon } => (name, daemon),
        // As everywhere, a leading @ belongs to no name.
        Address::Group(name) => (name, None),
    })
}

/// Where the messages of a conversation are: after a position, or else the newest, [`ROWS_MAX`] at most.
pub(super) fn conversation(
    connection: &Connection,
    log: &LogReader,
    root: EventRef,
    after: Option<i64>,
) -> Result<Vec<i64>, AgentsError> {
    let (id, origin) = (root.event_id.ulid().to_bytes(), root.origin_daemon.to_bytes());
    let most = i64::try_from(ROWS_MAX).unwrap_or(i64::MAX);
    let answers: rusqlite::Result<Vec<i64>> = match after {
        Some(after) => connection.prepare_cached(CONVERSATION_FROM).and_then(|mut query| {
            query.query_map(params![id, origin, after, most], |row| row.get(0))?.collect()
        }),
        None => connection.prepare_cached(CONVERSATION_NEWEST).and_then(|mut query| {
            query.query_map(params![id, origin, most], |row| row.get(0))?.collect()
        }),
    };
    let mut places = answers.map_err(super::error::views("read a conversation"))?;
    let first = log.find([root.event_id]).map_err(log_unread)?.into_iter().flatten();
    let first = first.filter(|event| event.origin == root.origin_daemon);
    let first = first.map(|event| int(event.sequence.0));
    places.extend(first.filter(|place| after.is_none_or(|after| *place > after)));
    places.sort_unstable();
    Ok(places)
}

/// Whether an inbox has the message at this position, unread or read.
pub(super) fn is_delivered(
    connection: &Connection,
    inbox: i64,
    sequence: i64,
    read: bool,
) -> rusqlite::Result<bool> {
    let row = connection
        .prepare_cached(DELIVERED)?
        .query_row(params![inbox, read, sequence], |_| Ok(()))
        .optional()?;
    if row.is_some() || read {
        return Ok(row.is_some());
    }
    match broadcasts::number(connection, sequence)? {
        Some(number) => broadcasts::is_unread(connection, inbox, number),
        None => Ok(false),
    }
}

/// Which of these positions hold messages that match.
pub(super) fn matching(
    log: &LogReader,
    filter: &Filter,
    sequences: impl IntoIterator<Item = i64>,
) -> Result<Vec<bool>, AgentsError> {
    let mut matching = Vec::new();
    log.each_at(sequences.into_iter().map(|at| Sequence(uint(at))), |_, event| {
        matching.push(filter.matches(event));
        true
    })
    .map_err(log_unread)?;
    Ok(matching)
}
