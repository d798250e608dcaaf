//! Queries of readers: their inbox, the oldest unread message.
//!
//! The views know where messages are; what they say is read from the log.

use std::cmp::Reverse;
use std::collections::BTreeSet;

use rusqlite::{Connection, Row, params};
use thrum_api::Sequence;
use thrum_api::local::{InboxResult, Message, WaitResult};

use super::broadcasts;
use super::error::{AgentsError, log_unread, views};
use super::filter::Filter;
use super::message::{message, shown_bytes};
use super::store::Store;
use super::waiters::News;
use crate::log::LogReader;
use crate::log::column::uint;

/// Bytes of text and recipients in one response at most. Further messages come with the next one.
pub(super) const INBOX_MAX_BYTES: usize = 4 * 1024 * 1024;

/// Inboxes of an agent, `?1`. With where the oldest unread messages of each are, those that name it and those to all,
/// and its newest read one: most inboxes need not be looked into then.
macro_rules! inboxes {
    ($from:literal) => {
        concat!(
            "SELECT i.id, i.project, i.unread + coalesce(p.broadcasts - i.settled, 0),
               i.settled IS NOT NULL,
               (SELECT sequence FROM deliveries WHERE inbox = i.id AND read = 0
                ORDER BY sequence LIMIT 1),
               (SELECT sequence FROM broadcasts WHERE i.settled < p.broadcasts
                  AND project = i.project AND number = 1 + coalesce(
                    (SELECT last FROM settled_broadcasts WHERE inbox = i.id AND first = 1), 0)),
               (SELECT sequence FROM deliveries WHERE inbox = i.id AND read = 1
                ORDER BY sequence DESC LIMIT 1) ",
            $from
        )
    };
}
/// `?2` project.
const INBOX: &str = inboxes!(
    "FROM projects p CROSS JOIN inboxes i ON i.agent = ?1 AND i.project = p.id WHERE p.name = ?2"
);
const INBOXES: &str =
    inboxes!("FROM inboxes i CROSS JOIN projects p ON p.id = i.project WHERE i.agent = ?1");
/// How many are unread in other projects.
const UNREAD_ELSEWHERE: &str =
    "SELECT coalesce(sum(i.unread + coalesce(p.broadcasts - i.settled, 0)), 0)
     FROM inboxes i CROSS JOIN projects p ON p.id = i.project WHERE i.agent = ?1 AND p.name <> ?2";
const HAS_UNREAD_TO_ALL: &str =
    "SELECT 1 FROM projects p CROSS JOIN inboxes i ON i.agent = ?1 AND i.project = p.id
     WHERE p.name = ?2 AND i.settled < p.broadcasts";
const OLDEST_UNREAD: &str = "SELECT sequence FROM deliveries
     WHERE inbox = ?1 AND read = 0 AND sequence > ?2 ORDER BY sequence LIMIT ?3";
const NEWEST_READ: &str = "SELECT sequence FROM deliveries
     WHERE inbox = ?1 AND read = 1 AND sequence < ?2 ORDER BY sequence DESC LIMIT ?3";

/// Every query for a reader: none may scan rows whose number grows with the log.
#[cfg(test)]
pub(super) const QUERIES: &[&str] =
    &[INBOX, INBOXES, UNREAD_ELSEWHERE, HAS_UNREAD_TO_ALL, OLDEST_UNREAD, NEWEST_READ];

/// A reader's query. Project None means all projects.
#[derive(Debug)]
pub(super) struct InboxQuery {
    pub(super) agent: String,
    pub(super) project: Option<String>,
    pub(super) unread_only: bool,
    pub(super) read_only: bool,
    pub(super) limit: usize,
    /// Which messages are wanted; None: all.
    pub(super) filter: Option<Filter>,
}

/// An answer to a reader, and what was found wrong on the way.
#[derive(Debug)]
pub(super) struct Answer<T> {
    pub(super) result: T,
    /// Messages that the log does not hold any more: they are left out.
    pub(super) lost: Vec<Entry>,
    /// Rows of the log that were found damaged.
    pub(super) damaged: Vec<Sequence>,
}

/// A message in an inbox: where it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Entry {
    pub(super) inbox: i64,
    pub(super) sequence: i64,
    pub(super) read: bool,
}

/// An inbox of the reader.
pub(super) struct Inbox {
    pub(super) id: i64,
    project: i64,
    pub(super) unread: u64,
    /// Whether messages to all of the project are for it.
    of_local_agent: bool,
    oldest_unread: Option<i64>,
    newest_read: Option<i64>,
}

impl Store {
    /// The oldest unread messages, then the newest read ones while they fit; in arrival order.
    pub(super) fn inbox(
        &self,
        log: &LogReader,
        query: &InboxQuery,
    ) -> Result<Answer<InboxResult>, AgentsError> {
        let doing = views("read an inbox");
        let asked = self.inboxes(query).map_err(&doing)?;
        let unread = asked.iter().map(|inbox| inbox.unread).sum();
        let unread_elsewhere = self.unread_elsewhere(query).map_err(&doing)?;
        let mut shown = Shown::new(query.limit);
        if !query.read_only {
            let entries = self.unread_entries(log, query, &BTreeSet::new(), &asked)?;
            shown.add(log, &entries)?;
        }
        if !query.unread_only {
            let entries = self.read_entries(log, query, &asked, shown.room)?;
            shown.add(log, &entries)?;
            shown.messages.sort_by_key(|message| message.sequence);
        }
        Ok(shown.answer(|messages| InboxResult { messages, unread, unread_elsewhere }))
    }

    /// The oldest unread messages.
    pub(super) fn oldest_unread(
        &self,
        log: &LogReader,
        query: &InboxQuery,
    ) -> Result<Answer<WaitResult>, AgentsError> {
        self.oldest_unread_except(log, query, &BTreeSet::new())
    }

    /// The oldest unread messages but these.
    pub(super) fn oldest_unread_except(
        &self,
        log: &LogReader,
        query: &InboxQuery,
        except: &BTreeSet<Sequence>,
    ) -> Result<Answer<WaitResult>, AgentsError> {
        let doing = views("read an inbox");
        let asked = self.inboxes(query).map_err(&doing)?;
        let unread: u64 = asked.iter().map(|inbox| inbox.unread).sum();
        let entries = self.unread_entries(log, query, except, &asked)?;
        let mut shown = Shown::new(query.limit);
        shown.add(log, &entries)?;
        Ok(shown.answer(|messages| {
            let count = u64::try_from(messages.len()).unwrap_or(u64::MAX);
            let left = if messages.is_empty() { 0 } else { unread.saturating_sub(count) };
            WaitResult { messages, left }
        }))
    }

    /// Those of these agents who have unread messages to all of one of these projects.
    pub(super) fn readers_of(
        &self,
        projects: &BTreeSet<String>,
        agents: &BTreeSet<String>,
    ) -> Result<News, AgentsError> {
        let doing = views("look for readers");
        let mut has_unread = self.connection.prepare_cached(HAS_UNREAD_TO_ALL).map_err(&doing)?;
        let mut news = News::default();
        for agent in agents {
            for project in projects {
                if has_unread.exists([agent, project]).map_err(&doing)? {
                    news.add_agent(agent, project);
                    // Once is enough to wake it.
                    break;
                }
            }
        }
        Ok(news)
    }

    /// Removes messages that the log does not hold any more from their inboxes. One whose row was damaged comes
    /// again, at another position, if a peer has it. Answers whether that changed anything.
    pub(super) fn remove_lost(&mut self, lost: &[Entry]) -> Result<bool, AgentsError> {
        let doing = views("remove lost messages");
        let transaction = self.connection.transaction().map_err(&doing)?;
        let mut removed = false;
        for entry in lost {
            removed |= remove(&transaction, *entry).map_err(&doing)?;
        }
        transaction.commit().map_err(&doing)?;
        Ok(removed)
    }

    /// The inboxes of this name: that in the project, or one in each.
    pub(super) fn inboxes(&self, query: &InboxQuery) -> rusqlite::Result<Vec<Inbox>> {
        let agent = &query.agent;
        let connection = &self.connection;
        match &query.project {
            Some(name) => {
                connection.prepare_cached(INBOX)?.query_map([agent, name], inbox)?.collect()
            }
            None => connection.prepare_cached(INBOXES)?.query_map([agent], inbox)?.collect(),
        }
    }

    /// How many messages are unread in other projects than that asked for.
    fn unread_elsewhere(&self, query: &InboxQuery) -> rusqlite::Result<u64> {
        let Some(project) = &query.project else { return Ok(0) };
        let mut sum = self.connection.prepare_cached(UNREAD_ELSEWHERE)?;
        sum.query_row([&query.agent, project], |row| row.get(0).map(uint))
    }

    /// Where the oldest unread messages of these inboxes are, of those after a position.
    pub(super) fn oldest_unread_of(
        &self,
        inboxes: &[Inbox],
        after: i64,
        limit: usize,
    ) -> rusqlite::Result<Vec<Entry>> {
        let mut oldest: Vec<(i64, &Inbox)> =
            inboxes.iter().filter_map(|inbox| Some((inbox.oldest_unread?, inbox))).collect();
        oldest.sort_unstable_by_key(|(sequence, _)| *sequence);
        let mut entries: Vec<Entry> = Vec::new();
        for (first, inbox) in oldest {
            if is_full(&entries, limit, |last| last < first) {
                break;
            }
            let mut sequences = self.sequences(OLDEST_UNREAD, inbox.id, after, limit)?;
            if inbox.of_local_agent {
                let (id, project) = (inbox.id, inbox.project);
                let to_all =
                    broadcasts::oldest_unread(&self.connection, id, project, after, limit)?;
                sequences.extend(to_all);
            }
            let entry = |sequence| Entry { inbox: inbox.id, sequence, read: false };
            entries.extend(sequences.into_iter().map(entry));
            entries.sort_unstable_by_key(|entry| entry.sequence);
            entries.truncate(limit);
        }
        Ok(entries)
    }

    /// Where the newest read messages of these inboxes are, of those before a position.
    pub(super) fn newest_read_of(
        &self,
        inboxes: &[Inbox],
        before: i64,
        limit: usize,
    ) -> rusqlite::Result<Vec<Entry>> {
        let mut newest: Vec<(i64, &Inbox)> =
            inboxes.iter().filter_map(|inbox| Some((inbox.newest_read?, inbox))).collect();
        newest.sort_unstable_by_key(|(sequence, _)| Reverse(*sequence));
        let mut entries: Vec<Entry> = Vec::new();
        for (first, inbox) in newest {
            if is_full(&entries, limit, |last| last > first) {
                break;
            }
            let entry = |sequence| Entry { inbox: inbox.id, sequence, read: true };
            let sequences = self.sequences(NEWEST_READ, inbox.id, before, limit)?;
            entries.extend(sequences.into_iter().map(entry));
            entries.sort_unstable_by_key(|entry| Reverse(entry.sequence));
            entries.truncate(limit);
        }
        Ok(entries)
    }

    fn sequences(
        &self,
        query: &str,
        inbox: i64,
        beyond: i64,
        limit: usize,
    ) -> rusqlite::Result<Vec<i64>> {
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        let mut query = self.connection.prepare_cached(query)?;
        query.query_map([inbox, beyond, limit], |row| row.get(0))?.collect()
    }
}

/// Whether there are so many entries that inboxes whose first comes after the last of them have no place. So no more
/// inboxes are looked into than there are messages in the answer.
fn is_full(entries: &[Entry], limit: usize, comes_before: impl FnOnce(i64) -> bool) -> bool {
    entries.len() >= limit && entries.last().is_none_or(|entry| comes_before(entry.sequence))
}

/// Messages as they are collected for a response, and how much still fits into it.
pub(super) struct Shown {
    pub(super) messages: Vec<Message>,
    lost: Vec<Entry>,
    damaged: Vec<Sequence>,
    room: usize,
    bytes: usize,
}

impl Shown {
    pub(super) fn new(limit: usize) -> Self {
        let (messages, lost, damaged) = (Vec::new(), Vec::new(), Vec::new());
        Self { messages, lost, damaged, room: limit, bytes: INBOX_MAX_BYTES }
    }

    /// Reads messages from the log while they fit.
    pub(super) fn add(&mut self, log: &LogReader, entries: &[Entry]) -> Result<(), AgentsError> {
        let sequences = entries.iter().map(|entry| Sequence(uint(entry.sequence)));
        let mut entries = entries.iter();
        let read = log.each_at(sequences, |sequence, event| {
            let Some(entry) = entries.next() else { return false };
            match event.and_then(|event| message(event, entry.read)) {
                Some(message) => return self.takes(message),
                None if event.is_some_and(|event| event.is_damaged()) => {
                    self.damaged.push(sequence)
                }
                None => {}
            }
            self.lost.push(*entry);
            true
        });
        read.map_err(log_unread)
    }

    pub(super) fn takes(&mut self, message: Message) -> bool {
        let bytes = shown_bytes(&message);
        let fits = bytes <= self.bytes && self.room > 0;
        if fits {
            self.room -= 1;
            self.bytes -= bytes;
            self.messages.push(message);
        } else {
            self.room = 0;
        }
        fits
    }

    pub(super) fn answer<T>(self, result: impl FnOnce(Vec<Message>) -> T) -> Answer<T> {
        let Self { messages, lost, damaged, .. } = self;
        Answer { result: result(messages), lost, damaged }
    }
}

fn inbox(row: &Row<'_>) -> rusqlite::Result<Inbox> {
    let (named, to_all): (Option<i64>, Option<i64>) = (row.get(4)?, row.get(5)?);
    Ok(Inbox {
        id: row.get(0)?,
        project: row.get(1)?,
        unread: uint(row.get(2)?),
        of_local_agent: row.get(3)?,
        oldest_unread: named.into_iter().chain(to_all).min(),
        newest_read: row.get(6)?,
    })
}

fn remove(connection: &Connection, entry: Entry) -> rusqlite::Result<bool> {
    let Entry { inbox, sequence, read } = entry;
    let removed = connection
        .prepare_cached("DELETE FROM deliveries WHERE inbox = ? AND read = ? AND sequence = ?")?
        .execute(params![inbox, read, sequence])?;
    if removed > 0 {
        if !read {
            count_down(connection, inbox)?;
        }
        return Ok(true);
    }
    let number = broadcasts::number(connection, sequence)?;
    number.map_or(Ok(false), |number| broadcasts::settle(connection, inbox, number))
}

/// One message less is unread.
pub(super) fn count_down(connection: &Connection, inbox: i64) -> rusqlite::Result<()> {
    connection
        .prepare_cached("UPDATE inboxes SET unread = unread - 1 WHERE id = ?")?
        .execute([inbox])?;
    Ok(())
}
