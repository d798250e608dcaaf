//! Digests events into rows: messages in the inboxes of their readers, and agents.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};

use rusqlite::{Connection, params};
use serde::Deserialize;
use serde_json::value::RawValue;
use thrum_api::event::{AGENT_JOINED, AgentJoined, MESSAGE_SENT, MessageSent};
use thrum_api::limits::RECIPIENTS_MAX;
use thrum_api::names::NameError;
use thrum_api::{
    DaemonId, EventHeader, EventId, LogPosition, Sequence, SequencedEvent, Timestamp, names,
};
use tracing::warn;

use super::error::{AgentsError, views};
use super::send::unique_agents;
use super::store::{Cursor, Store};
use super::waiters::News;
use crate::log::column::int;
use crate::report::brief;

/// What the views read of an event.
#[derive(Deserialize)]
struct ParsedEvent<'a> {
    event_id: EventId,
    origin_daemon: DaemonId,
    timestamp: Timestamp,
    #[serde(rename = "type", borrow)]
    event_type: Cow<'a, str>,
    #[serde(borrow, default)]
    project: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    body: Option<&'a RawValue>,
}

impl ParsedEvent<'_> {
    fn body<T: serde::de::DeserializeOwned>(&self) -> Result<T, Failure> {
        let text = self.body.map_or("null", RawValue::get);
        serde_json::from_str(text)
            .map_err(|error| Failure::undigestible(format!("its body is not of its type: {error}")))
    }

    /// The project as stored in the tables: the empty name for events without one.
    fn project(&self) -> Result<String, NameError> {
        self.project.as_deref().map_or(Ok(String::new()), names::project)
    }
}

/// Why an event was not digested.
enum Failure {
    /// The event can't be digested. It stays in the log and is still relayed.
    Undigestible(String),
    Sqlite(rusqlite::Error),
}

impl Failure {
    fn undigestible(reason: impl ToString) -> Self {
        Self::Undigestible(brief(&reason.to_string()))
    }
}

impl From<NameError> for Failure {
    fn from(error: NameError) -> Self {
        Self::undigestible(error)
    }
}

impl From<rusqlite::Error> for Failure {
    fn from(error: rusqlite::Error) -> Self {
        Self::Sqlite(error)
    }
}

/// The ids under which events were written here.
#[derive(Clone, Copy)]
struct Local<'a> {
    now: DaemonId,
    /// From before `thrum daemon reset-identity`: messages for their agents are still read here.
    former: &'a [DaemonId],
}

impl Local<'_> {
    /// Whether an agent of this name on this machine wrote an event of `origin`. If the directory is a
    /// copy, the original daemon still writes under the former id: once an agent has events here under
    /// the new id, it is not the writer of later ones under the former id.
    fn wrote(
        self,
        connection: &Connection,
        origin: DaemonId,
        project: &str,
        name: &str,
    ) -> rusqlite::Result<bool> {
        if origin == self.now || !self.former.contains(&origin) {
            return Ok(origin == self.now);
        }
        connection
            .prepare_cached(
                "SELECT NOT EXISTS
                     (SELECT 1 FROM agents WHERE project = ? AND name = ? AND origin = ?)",
            )?
            .query_row(params![project, name, self.now.ulid().to_bytes()], |row| row.get(0))
    }
}

/// Changes that are collected over a page and written at its end.
#[derive(Default)]
struct PageTotals {
    /// Unread messages to add, by agent and project.
    unread: BTreeMap<(String, String), i64>,
    /// When agents were last seen, by project, name and daemon.
    seen: BTreeMap<(String, String, DaemonId), Timestamp>,
    /// Who got messages.
    news: News,
}

impl Store {
    /// Digests a page and moves the cursor to its last event, in one transaction. Answers the cursor, and who got
    /// messages.
    pub(super) fn digest(
        &mut self,
        events: &[SequencedEvent],
        mut cursor: Cursor,
    ) -> Result<(Cursor, News), AgentsError> {
        let doing = views("digest events");
        let local = Local { now: self.daemon, former: &self.former };
        let transaction = self.connection.transaction().map_err(&doing)?;
        let mut totals = PageTotals::default();
        for event in events {
            let parsed = serde_json::from_str::<ParsedEvent<'_>>(event.event.get());
            cursor.position = LogPosition {
                sequence: event.sequence,
                event_id: match &parsed {
                    Ok(parsed) => Some(parsed.event_id),
                    Err(_) => id_alone(event),
                },
                hash: None,
            };
            let outcome = match &parsed {
                Ok(event) => digest_event(&transaction, &mut totals, local, cursor.position, event),
                Err(error) => Err(Failure::undigestible(error)),
            };
            match outcome {
                Ok(()) => {}
                Err(Failure::Sqlite(error)) => return Err(doing(error)),
                Err(Failure::Undigestible(reason)) => {
                    warn!("event {} of the log is skipped by the views: {reason}", event.sequence);
                    transaction
                        .prepare_cached(
                            "INSERT OR REPLACE INTO skipped (sequence, reason) VALUES (?, ?)",
                        )
                        .and_then(|mut skip| skip.execute(params![int(event.sequence.0), reason]))
                        .map_err(&doing)?;
                }
            }
        }
        let news = std::mem::take(&mut totals.news);
        totals.write(&transaction).map_err(&doing)?;
        put_cursor(&transaction, cursor).map_err(&doing)?;
        transaction.commit().map_err(&doing)?;
        Ok((cursor, news))
    }

    /// Stores the cursor of the same log with its new epoch.
    pub(super) fn move_cursor(&mut self, cursor: Cursor) -> Result<(), AgentsError> {
        put_cursor(&self.connection, cursor).map_err(views("store the log's epoch"))
    }
}

/// The id of an event whose other members can't be parsed. Without it the cursor would name no event,
/// and the views would be rebuilt at the next start.
fn id_alone(event: &SequencedEvent) -> Option<EventId> {
    let header: Option<EventHeader> = serde_json::from_str(event.event.get()).ok();
    header.map(|header| header.event_id)
}

fn put_cursor(connection: &Connection, cursor: Cursor) -> rusqlite::Result<()> {
    connection
        .prepare_cached(
            "INSERT OR REPLACE INTO cursor (id, epoch, sequence, event_id) VALUES (1, ?, ?, ?)",
        )?
        .execute(params![
            cursor.epoch.ulid().to_bytes(),
            int(cursor.position.sequence.0),
            cursor.position.event_id.map(|id| id.ulid().to_bytes()),
        ])?;
    Ok(())
}

fn digest_event(
    connection: &Connection,
    totals: &mut PageTotals,
    local: Local<'_>,
    position: LogPosition,
    parsed: &ParsedEvent<'_>,
) -> Result<(), Failure> {
    match parsed.event_type.as_ref() {
        AGENT_JOINED => {
            let body: AgentJoined = parsed.body()?;
            totals.note_seen(
                connection,
                parsed,
                &parsed.project()?,
                &names::agent(&body.agent)?,
            )?;
            Ok(())
        }
        MESSAGE_SENT => {
            let message = checked(parsed.body()?)?;
            let project = &parsed.project()?;
            totals.note_seen(connection, parsed, project, &message.from)?;
            deliver(connection, totals, local, position.sequence, parsed, project, &message)
        }
        _ => Ok(()),
    }
}

/// Checks a message of any daemon. Recipients are kept once each.
fn checked(mut message: MessageSent) -> Result<MessageSent, Failure> {
    message.from = names::agent(&message.from)?;
    let count = message.to.len();
    if count > RECIPIENTS_MAX {
        let reason = format!("it has {count} recipients, more than {RECIPIENTS_MAX}");
        return Err(Failure::undigestible(reason));
    }
    message.to = unique_agents(&message.to)?;
    if message.to.is_empty() && !message.all {
        return Err(Failure::undigestible("the message has no recipient"));
    }
    Ok(message)
}

fn deliver(
    connection: &Connection,
    totals: &mut PageTotals,
    local: Local<'_>,
    sequence: Sequence,
    parsed: &ParsedEvent<'_>,
    project: &str,
    message: &MessageSent,
) -> Result<(), Failure> {
    let event_id = parsed.event_id.ulid().to_bytes();
    let inserted = connection
        .prepare_cached(
            "INSERT INTO messages
                 (sequence, event_id, project, sender, origin, recipients, to_all, timestamp, text)
             VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING",
        )?
        .execute(params![
            int(sequence.0),
            event_id,
            project,
            message.from,
            parsed.origin_daemon.ulid().to_bytes(),
            message.to.join("\n"),
            message.all,
            parsed.timestamp.as_millis(),
            message.text,
        ])?;
    if inserted == 0 {
        return Err(Failure::undigestible("the event is in the log twice"));
    }
    let mut readers = BTreeSet::new();
    if message.all {
        totals.news.add_project(project);
        readers.extend(local_agents(connection, local, project)?);
        if local.wrote(connection, parsed.origin_daemon, project, &message.from)? {
            readers.remove(&message.from);
        }
    }
    readers.extend(message.to.iter().cloned());
    for reader in readers {
        let read: bool = connection
            .prepare_cached(
                "SELECT EXISTS (SELECT 1 FROM read_marks WHERE agent = ? AND event_id = ?)",
            )?
            .query_row(params![reader, event_id], |row| row.get(0))?;
        connection
            .prepare_cached(
                "INSERT INTO inbox (agent, project, read, sequence) VALUES (?, ?, ?, ?)",
            )?
            .execute(params![reader, project, read, int(sequence.0)])?;
        if !read {
            totals.news.add_agent(&reader, project);
            *totals.unread.entry((reader, project.to_owned())).or_default() += 1;
        }
    }
    Ok(())
}

/// The readers of a message to all on this machine: agents that joined before it arrived.
fn local_agents(
    connection: &Connection,
    local: Local<'_>,
    project: &str,
) -> rusqlite::Result<Vec<String>> {
    let mut select =
        connection.prepare_cached("SELECT name FROM agents WHERE project = ? AND origin = ?")?;
    let mut names = Vec::new();
    for origin in local.former.iter().chain([&local.now]) {
        for name in
            select.query_map(params![project, origin.ulid().to_bytes()], |row| row.get(0))?
        {
            names.push(name?);
        }
    }
    Ok(names)
}

impl PageTotals {
    /// Notes when an agent was last seen. Its row is inserted at once, for messages to all that follow in
    /// the same page; the time is written at the page's end.
    fn note_seen(
        &mut self,
        connection: &Connection,
        parsed: &ParsedEvent<'_>,
        project: &str,
        name: &str,
    ) -> rusqlite::Result<()> {
        let key = (project.to_owned(), name.to_owned(), parsed.origin_daemon);
        if self.seen.insert(key, parsed.timestamp).is_none() {
            connection
                .prepare_cached(
                    "INSERT OR IGNORE INTO agents (project, name, origin, last_seen)
                     VALUES (?, ?, ?, ?)",
                )?
                .execute(params![
                    project,
                    name,
                    parsed.origin_daemon.ulid().to_bytes(),
                    parsed.timestamp.as_millis()
                ])?;
        }
        Ok(())
    }

    fn write(self, connection: &Connection) -> rusqlite::Result<()> {
        for ((project, name, origin), last_seen) in self.seen {
            connection
                .prepare_cached(
                    "UPDATE agents SET last_seen = ? WHERE project = ? AND name = ? AND origin = ?",
                )?
                .execute(params![last_seen.as_millis(), project, name, origin.ulid().to_bytes()])?;
        }
        for ((agent, project), messages) in self.unread {
            connection
                .prepare_cached(
                    "INSERT INTO unread (agent, project, messages) VALUES (?, ?, ?)
                     ON CONFLICT DO UPDATE SET messages = messages + excluded.messages",
                )?
                .execute(params![agent, project, messages])?;
        }
        Ok(())
    }
}
