//! Queries of readers: their inbox, the oldest unread message.
//!
//! The views know where messages are; what they say is read from the log.

use rusqlite::{Connection, Row, params};
use thrum_api::Sequence;
use thrum_api::local::{InboxResult, Message, WaitResult};

use super::broadcasts;
use super::error::{AgentsError, log_unread, views};
use super::message::message;
use super::store::Store;
use crate::log::LogReader;
use crate::log::column::uint;

/// Bytes of text and recipients in one response at most. Further messages come with the next one.
const INBOX_MAX_BYTES: usize = 4 * 1024 * 1024;

/// `?1` agent, `?2` project.
const INBOX: &str =
    "SELECT i.id, i.project, i.unread + coalesce(p.broadcasts - i.settled, 0), p.name, i.settled IS NOT NULL
     FROM projects p CROSS JOIN inboxes i ON i.agent = ?1 AND i.project = p.id WHERE p.name = ?2";
const INBOXES: &str =
    "SELECT i.id, i.project, i.unread + coalesce(p.broadcasts - i.settled, 0), p.name, i.settled IS NOT NULL
     FROM inboxes i CROSS JOIN projects p ON p.id = i.project WHERE i.agent = ?1";
const OLDEST_UNREAD: &str = "SELECT sequence FROM deliveries
     WHERE inbox = ?1 AND read = 0 ORDER BY sequence LIMIT ?2";
const NEWEST_READ: &str = "SELECT sequence FROM deliveries
     WHERE inbox = ?1 AND read = 1 ORDER BY sequence DESC LIMIT ?2";

/// Every query for a reader: none may scan rows whose number grows with the log.
#[cfg(test)]
pub(super) const QUERIES: &[&str] = &[INBOX, INBOXES, OLDEST_UNREAD, NEWEST_READ];

/// A reader's query. Project None means all projects.
#[derive(Debug, Clone)]
pub(super) struct InboxQuery {
    pub(super) agent: String,
    pub(super) project: Option<String>,
    pub(super) unread_only: bool,
    pub(super) read_only: bool,
    pub(super) limit: usize,
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
struct Inbox {
    id: i64,
    project: i64,
    unread: u64,
    project_name: String,
    /// Whether messages to all of the project are for it.
    of_local_agent: bool,
}

impl Store {
    /// The oldest unread messages, then the newest read ones while they fit; in arrival order.
    pub(super) fn inbox(
        &self,
        log: &LogReader,
        query: &InboxQuery,
    ) -> Result<Answer<InboxResult>, AgentsError> {
        let doing = views("read an inbox");
        let all = self.inboxes(&query.agent).map_err(&doing)?;
        let unread_of = |here: bool| {
            let asked = |inbox: &&Inbox| query.asks_for(inbox) == here;
            all.iter().filter(asked).map(|inbox| inbox.unread).sum()
        };
        let (unread, unread_elsewhere) = (unread_of(true), unread_of(false));
        let asked: Vec<Inbox> = all.into_iter().filter(|inbox| query.asks_for(inbox)).collect();
        let mut shown = Shown::new(query.limit);
        if !query.read_only {
            let entries = self.oldest_unread_of(&asked, query.limit).map_err(&doing)?;
            shown.add(log, &entries)?;
        }
        if !query.unread_only {
            let entries = self.newest_read_of(&asked, shown.room).map_err(&doing)?;
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
        let doing = views("read an inbox");
        let asked = match &query.project {
            Some(project) => self.inbox_in(&query.agent, project).map_err(&doing)?,
            None => self.inboxes(&query.agent).map_err(&doing)?,
        };
        let unread: u64 = asked.iter().map(|inbox| inbox.unread).sum();
        let entries = self.oldest_unread_of(&asked, query.limit).map_err(&doing)?;
        let mut shown = Shown::new(query.limit);
        shown.add(log, &entries)?;
        Ok(shown.answer(|messages| {
            let count = u64::try_from(messages.len()).unwrap_or(u64::MAX);
            let left = if messages.is_empty() { 0 } else { unread.saturating_sub(count) };
            WaitResult { messages, left }
        }))
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

    /// All inboxes of this name: one in each project.
    fn inboxes(&self, agent: &str) -> rusqlite::Result<Vec<Inbox>> {
        self.connection.prepare_cached(INBOXES)?.query_map([agent], inbox)?.collect()
    }

    fn inbox_in(&self, agent: &str, project: &str) -> rusqlite::Result<Vec<Inbox>> {
        self.connection.prepare_cached(INBOX)?.query_map([agent, project], inbox)?.collect()
    }

    /// Where the oldest unread messages of these inboxes are.
    fn oldest_unread_of(&self, inboxes: &[Inbox], limit: usize) -> rusqlite::Result<Vec<Entry>> {
        let mut entries = Vec::new();
        for inbox in inboxes.iter().filter(|inbox| inbox.unread > 0) {
            let mut sequences = self.sequences(OLDEST_UNREAD, inbox.id, limit)?;
            if inbox.of_local_agent {
                let (id, project) = (inbox.id, inbox.project);
                sequences.extend(broadcasts::oldest_unread(&self.connection, id, project, limit)?);
            }
            let entry = |sequence| Entry { inbox: inbox.id, sequence, read: false };
            entries.extend(sequences.into_iter().map(entry));
            // So that no more than these are kept, in however many projects there is a name.
            entries.sort_by_key(|entry| entry.sequence);
            entries.truncate(limit);
        }
        Ok(entries)
    }

    /// Where the newest read messages of these inboxes are.
    fn newest_read_of(&self, inboxes: &[Inbox], limit: usize) -> rusqlite::Result<Vec<Entry>> {
        let mut entries = Vec::new();
        for inbox in inboxes {
            let entry = |sequence| Entry { inbox: inbox.id, sequence, read: true };
            entries.extend(self.sequences(NEWEST_READ, inbox.id, limit)?.into_iter().map(entry));
            entries.sort_by_key(|entry| std::cmp::Reverse(entry.sequence));
            entries.truncate(limit);
        }
        Ok(entries)
    }

    fn sequences(&self, query: &str, inbox: i64, limit: usize) -> rusqlite::Result<Vec<i64>> {
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        let mut query = self.connection.prepare_cached(query)?;
        query.query_map([inbox, limit], |row| row.get(0))?.collect()
    }
}

impl InboxQuery {
    fn asks_for(&self, inbox: &Inbox) -> bool {
        self.project.as_ref().is_none_or(|project| *project == inbox.project_name)
    }
}

/// Messages as they are collected for a response, and how much still fits into it.
struct Shown {
    messages: Vec<Message>,
    lost: Vec<Entry>,
    damaged: Vec<Sequence>,
    room: usize,
    bytes: usize,
}

impl Shown {
    fn new(limit: usize) -> Self {
        let (messages, lost, damaged) = (Vec::new(), Vec::new(), Vec::new());
        Self { messages, lost, damaged, room: limit, bytes: INBOX_MAX_BYTES }
    }

    /// Reads messages from the log while they fit.
    fn add(&mut self, log: &LogReader, entries: &[Entry]) -> Result<(), AgentsError> {
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

    fn takes(&mut self, message: Message) -> bool {
        let bytes = message.text.len() + message.to.iter().map(String::len).sum::<usize>();
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

    fn answer<T>(self, result: impl FnOnce(Vec<Message>) -> T) -> Answer<T> {
        let Self { messages, lost, damaged, .. } = self;
        Answer { result: result(messages), lost, damaged }
    }
}

fn inbox(row: &Row<'_>) -> rusqlite::Result<Inbox> {
    Ok(Inbox {
        id: row.get(0)?,
        project: row.get(1)?,
        unread: uint(row.get(2)?),
        project_name: row.get(3)?,
        of_local_agent: row.get(4)?,
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
