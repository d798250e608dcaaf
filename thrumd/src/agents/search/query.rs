//! Looks into the index, and reads the messages that were found from the log.

use rusqlite::{Connection, params};
use thrum_api::event::MESSAGE_SENT;
use thrum_api::local::Message;
use thrum_api::{DaemonId, Sequence, Timestamp};

use super::super::message::message;
use super::error::{SearchError, index, log_unread};
use super::facets::{Facet, word};
use super::index::Index;
use super::snippet::Snippets;
use crate::log::LogReader;
use crate::log::column::{int, uint};

/// Bytes of text and recipients in one answer at most. Further messages come with the next one.
const MAX_BYTES: usize = 4 * 1024 * 1024;
const FIND: &str = "SELECT words.rowid
     FROM words CROSS JOIN messages ON messages.sequence = words.rowid
     WHERE words MATCH ?1 AND words.rowid < ?2 AND messages.timestamp >= ?3
     ORDER BY words.rowid DESC LIMIT ?4";

/// The sender that is asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sender {
    /// Its checked name.
    pub name: String,
    /// Its daemon; None: any.
    pub daemon: Option<DaemonId>,
}

/// What is asked of the index.
pub(super) struct IndexQuery {
    /// An expression of the full-text search.
    pub(super) words: String,
    pub(super) project: Option<String>,
    pub(super) from: Option<Sender>,
    pub(super) since: Timestamp,
    pub(super) before: Option<Sequence>,
    pub(super) limit: usize,
}

/// What was found.
#[derive(Default)]
pub(super) struct Found {
    /// Messages with snippets, the newest first.
    pub(super) hits: Vec<(Message, String)>,
    /// Where the next page begins.
    pub(super) next_before: Option<Sequence>,
    /// Rows of the log that were found damaged.
    pub(super) damaged: Vec<Sequence>,
}

impl Index {
    /// The newest messages that match. What the log does not hold any more is left out.
    pub(super) fn search(
        &mut self,
        log: &LogReader,
        query: &IndexQuery,
    ) -> Result<Found, SearchError> {
        let doing = index("look for words");
        let connection = self.connection()?;
        let Some(expression) = expression(connection, query).map_err(&doing)? else {
            return Ok(Found::default());
        };
        let mut places = places(connection, &expression, query).map_err(&doing)?;
        let is_more = places.len() > query.limit;
        places.truncate(query.limit);
        let mut next_before = places.last().copied().filter(|_| is_more);
        let (mut messages, mut damaged, mut bytes) = (Vec::new(), Vec::new(), 0);
        let mut last = None;
        log.each_at(places, |sequence, event| {
            let event = event.filter(|event| event.event_type == MESSAGE_SENT.as_bytes());
            match event.and_then(|event| message(event, false)) {
                Some(message) => {
                    bytes += message.text.len();
                    bytes += message.to.iter().map(String::len).sum::<usize>();
                    if bytes > MAX_BYTES && !messages.is_empty() {
                        next_before = last;
                        return false;
                    }
                    messages.push(message);
                }
                None if event.is_some_and(|event| event.is_damaged()) => damaged.push(sequence),
                None => {}
            }
            last = Some(sequence);
            true
        })
        .map_err(log_unread)?;
        let texts = messages.iter().map(|message| message.text.as_str());
        let snippets = Snippets::of(texts, &query.words).map_err(index("cut snippets"))?;
        let hits = messages.into_iter().zip(snippets.0).collect();
        Ok(Found { hits, next_before, damaged })
    }
}

/// The words with the facets that are asked for. None if no message has one of these.
fn expression(connection: &Connection, query: &IndexQuery) -> rusqlite::Result<Option<String>> {
    let mut expression = format!("text : ({})", query.words);
    let from = query.from.as_ref();
    let daemon = from.and_then(|from| from.daemon).map(DaemonId::to_bytes);
    let asked = [
        (Facet::Project, query.project.as_ref().map(String::as_bytes)),
        (Facet::Sender, from.map(|from| from.name.as_bytes())),
        (Facet::Origin, daemon.as_ref().map(<[u8; DaemonId::BYTES]>::as_slice)),
    ];
    for (facet, value) in asked {
        let Some(value) = value else { continue };
        let Some(number) = facet.find(connection, value)? else { return Ok(None) };
        expression = format!("{expression} AND facets : {}", word(number));
    }
    Ok(Some(expression))
}

/// Where they are; one more than is asked for, if there is one.
fn places(
    connection: &Connection,
    expression: &str,
    query: &IndexQuery,
) -> rusqlite::Result<Vec<Sequence>> {
    let before = query.before.map_or(i64::MAX, |before| int(before.0));
    let limit = i64::try_from(query.limit).unwrap_or(i64::MAX).saturating_add(1);
    let mut find = connection.prepare_cached(FIND)?;
    let asked = params![expression, before, query.since.as_millis(), limit];
    find.query_map(asked, |row| row.get(0).map(uint).map(Sequence))?.collect()
}

#[cfg(test)]
mod tests {
    use super::super::super::store::Cursor;
    use super::*;

    #[test]
    fn a_search_reads_the_newest_matches_first_and_no_other_rows() {
        let directory = tempfile::tempdir().unwrap();
        let mut index = Index::new(directory.path().join("search.db"));
        let position = thrum_api::LogPosition::START;
        index.continue_at(Cursor { epoch: crate::ids::epoch(), position }).unwrap();
        let connection = index.connection().unwrap();
        let mut plan = connection.prepare(&format!("EXPLAIN QUERY PLAN {FIND}")).unwrap();
        let asked = params!["text : (\"a\")", i64::MAX, 0, 20];
        let steps: Vec<String> =
            plan.query_map(asked, |row| row.get(3)).unwrap().map(Result::unwrap).collect();
        let [first, second] = steps.as_slice() else { panic!("{steps:?}") };
        assert!(first.starts_with("SCAN words VIRTUAL TABLE INDEX"), "{first}");
        assert!(second.starts_with("SEARCH messages USING INTEGER PRIMARY KEY"), "{second}");
        drop(plan);
        index.discard().unwrap();
        let anew = index.connection().err();
        assert!(matches!(anew, Some(SearchError::MadeAnew)), "and no file without hits: {anew:?}");
    }
}
