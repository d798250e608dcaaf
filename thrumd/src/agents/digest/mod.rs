//! Digests events into rows: whose the messages are, agents and groups.

mod agents;
mod arrivals;
mod deletions;
mod groups;
mod message;
mod presence;
mod receipts;
mod recipients;

use std::collections::{HashMap, HashSet};

use rusqlite::{CachedStatement, Connection, params};
use serde::de::DeserializeOwned;
use thrum_api::event::{
    AGENT_JOINED, AGENT_REMOVED, AGENT_SESSIONS, GROUP_CHANGED, MESSAGE_DELETED, MESSAGE_RECEIPTS,
    MESSAGE_SENT,
};
use thrum_api::{DaemonId, EventId, LogPosition, Sequence};
use tracing::warn;

use self::arrivals::Arrivals;
#[cfg(test)]
pub(super) use self::deletions::QUERIES as DELETION_QUERIES;
#[cfg(test)]
pub(super) use self::groups::QUERIES as GROUP_QUERIES;

use super::bitmaps::NewMessages;
use super::directory::Directory;
use super::error::{AgentsError, log_unread, views};
use super::failure::Failure;
use super::store::{Cursor, Store};
use super::touched::Touched;
use super::waiters::News;
use crate::log::column::{Id, int};
use crate::log::{LogReader, StoredEvent};

/// Events in one transaction of the views. Whoever marks messages read waits for one at most; readers wait for none.
pub(super) const PAGE_EVENTS: usize = 2000;

/// What was digested.
pub(super) struct Digested {
    pub(super) cursor: Cursor,
    /// Who got messages.
    pub(super) news: News,
    /// Whether daemons may have to be told that messages of them are here.
    pub(super) owes: bool,
    /// Rows of the log that were found damaged.
    pub(super) damaged: Vec<Sequence>,
    /// How daemons call themselves, as far as that is new.
    pub(super) machines: Vec<(DaemonId, String)>,
    /// What may be shown otherwise now.
    pub(super) touched: Touched,
}

impl Store {
    /// Digests a page of the log and moves the cursor to its last event, in one transaction. Without an event, to
    /// `head`: the remaining positions no longer hold any.
    pub(super) fn digest(
        &mut self,
        log: &LogReader,
        mut cursor: Cursor,
        head: LogPosition,
    ) -> Result<Digested, AgentsError> {
        let doing = views("digest events");
        let transaction = self.connection.transaction().map_err(&doing)?;
        let mut page = Page::new(&transaction, self.daemon).map_err(&doing)?;
        let mut last = None;
        let mut failure = None;
        log.each_after(cursor.position.sequence, PAGE_EVENTS, |event| {
            last = Some(LogPosition { sequence: event.sequence, hash: event.hash });
            failure = page.digest(event).err();
            failure.is_none()
        })
        .map_err(log_unread)?;
        if let Some(error) = failure {
            return Err(doing(error));
        }
        cursor.position = last.unwrap_or(head);
        // First, so that one that came in this page can be removed.
        page.messages.write(&transaction).map_err(&doing)?;
        page.remove_deleted(log)?;
        let digested = page.write(cursor).map_err(&doing)?;
        cursor.put(&transaction).map_err(&doing)?;
        transaction.commit().map_err(&doing)?;
        Ok(digested)
    }

    /// Stores the cursor of the same log with its new epoch.
    pub(super) fn move_cursor(&mut self, cursor: Cursor) -> Result<(), AgentsError> {
        cursor.put(&self.connection).map_err(views("store the log's epoch"))
    }
}

/// How an agent was seen.
struct Seen {
    /// The position of the first event since it is an agent of its machine.
    first: i64,
    /// When, at last.
    at: i64,
    /// By an event that was written here: it is used on this machine.
    here: bool,
    /// What it is for, if that was told anew.
    about: Option<String>,
    /// It was removed, and has done nothing since.
    removed: bool,
}

/// That a sender has deleted a message, which may be here or not.
struct Deletion {
    event_id: EventId,
    origin: DaemonId,
    /// The inbox of who says so.
    sender: i64,
}

/// A page while it is digested. What changes with most events is collected and written at its end.
struct Page<'a> {
    connection: &'a Connection,
    /// The daemon whose log it is.
    daemon: DaemonId,
    directory: Directory<'a>,
    insert: CachedStatement<'a>,
    sent: CachedStatement<'a>,
    messages: NewMessages,
    /// The event with the largest id that anybody has read: others need not be looked for.
    last_read: Option<Id>,
    /// Unread messages to add, by inbox.
    unread: HashMap<i64, i64>,
    /// Agents that were seen, by inbox and daemon.
    seen: HashMap<(i64, DaemonId), Seen>,
    /// Inboxes that are known to be those of agents of this machine.
    begun: HashSet<i64>,
    /// How daemons call themselves, as far as that is new.
    machines: Vec<(DaemonId, String)>,
    /// Whether any message was ever deleted.
    has_deleted: bool,
    /// The deletions of this page.
    deletions: Vec<Deletion>,
    /// Projects with messages to all.
    told: HashSet<i64>,
    /// Messages of other daemons for agents of this machine.
    arrivals: Arrivals,
    damaged: Vec<Sequence>,
    touched: Touched,
}

impl<'a> Page<'a> {
    fn new(connection: &'a Connection, daemon: DaemonId) -> rusqlite::Result<Self> {
        let last_read =
            connection.query_row("SELECT max(event_id) FROM read_marks", [], |row| row.get(0))?;
        let has_deleted =
            connection.query_row("SELECT EXISTS (SELECT 1 FROM deleted)", [], |row| row.get(0))?;
        let insert = connection
            .prepare_cached("INSERT INTO deliveries (inbox, read, sequence) VALUES (?, ?, ?)")?;
        let sent = connection.prepare_cached("INSERT INTO sent (inbox, sequence) VALUES (?, ?)")?;
        Ok(Self {
            connection,
            daemon,
            directory: Directory::new(connection),
            insert,
            sent,
            messages: NewMessages::default(),
            last_read,
            unread: HashMap::new(),
            seen: HashMap::new(),
            begun: HashSet::new(),
            machines: Vec::new(),
            has_deleted,
            deletions: Vec::new(),
            told: HashSet::new(),
            arrivals: Arrivals::default(),
            damaged: Vec::new(),
            touched: Touched::default(),
        })
    }

    fn digest(&mut self, event: &StoredEvent<'_>) -> rusqlite::Result<()> {
        match str::from_utf8(event.event_type) {
            Ok(MESSAGE_SENT | MESSAGE_DELETED | MESSAGE_RECEIPTS) => self.touched.deliveries = true,
            Ok(AGENT_REMOVED | AGENT_SESSIONS | GROUP_CHANGED) => self.touched.agents = true,
            _ => {}
        }
        let outcome = match str::from_utf8(event.event_type) {
            Ok(MESSAGE_SENT) => self.message(event),
            Ok(AGENT_JOINED) => self.joined(event),
            Ok(AGENT_REMOVED) => self.removed(event),
            Ok(MESSAGE_DELETED) => self.deleted(event),
            Ok(MESSAGE_RECEIPTS) => self.receipts(event),
            Ok(GROUP_CHANGED) => self.group(event),
            Ok(AGENT_SESSIONS) => self.sessions(event),
            _ => return Ok(()),
        };
        match outcome {
            Ok(()) => Ok(()),
            Err(Failure::Sqlite(error)) => Err(error),
            Err(Failure::Damaged) => {
                self.damaged.push(event.sequence);
                Ok(())
            }
            Err(Failure::Undigestible(reason)) => {
                warn!("event {} of the log is skipped by the views: {reason}", event.sequence);
                self.connection
                    .prepare_cached(
                        "INSERT OR REPLACE INTO skipped (sequence, reason) VALUES (?, ?)",
                    )?
                    .execute(params![int(event.sequence.0), reason])?;
                Ok(())
            }
        }
    }

    /// Writes what was collected.
    fn write(self, cursor: Cursor) -> rusqlite::Result<Digested> {
        let owes = self.arrivals.owe(self.connection, self.daemon)?;
        let mut put = self.connection.prepare_cached(
            "INSERT INTO agents (inbox, origin, first, last_seen, here, about, removed)
             VALUES (?, ?, ?, ?, ?, ?, ?)
             ON CONFLICT (inbox, origin) DO UPDATE SET
             first = excluded.first, last_seen = max(last_seen, excluded.last_seen),
             here = max(here, excluded.here),
             about = coalesce(excluded.about, about), removed = excluded.removed",
        )?;
        for ((inbox, origin), seen) in self.seen {
            let Seen { first, at, here, about, removed } = seen;
            let origin = origin.to_bytes();
            put.execute(params![inbox, origin, first, at, here, about, removed])?;
        }
        let mut news = News::default();
        let mut unread = self.connection.prepare_cached(
            "UPDATE inboxes SET unread = unread + ? WHERE id = ?
             RETURNING agent, (SELECT name FROM projects WHERE projects.id = project)",
        )?;
        for (inbox, messages) in self.unread {
            let (agent, project): (String, String) =
                unread.query_row([messages, inbox], |row| Ok((row.get(0)?, row.get(1)?)))?;
            news.add_agent(&agent, &project);
        }
        let mut name = self.connection.prepare_cached("SELECT name FROM projects WHERE id = ?")?;
        for project in self.told {
            news.add_project(&name.query_row([project], |row| row.get::<_, String>(0))?);
        }
        let (damaged, machines, touched) = (self.damaged, self.machines, self.touched);
        Ok(Digested { cursor, news, owes, damaged, machines, touched })
    }
}

fn parsed<T: DeserializeOwned>(event: &StoredEvent<'_>) -> Result<T, Failure> {
    serde_json::from_slice(event.json).map_err(|error| unparsed(event, &error))
}

fn unparsed(event: &StoredEvent<'_>, error: &serde_json::Error) -> Failure {
    if event.is_damaged() {
        return Failure::Damaged;
    }
    Failure::undigestible(format!("it is not as events of its type are: {error}"))
}
