//! Events become rows: messages in the inboxes of their readers, agents that were seen.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};

use rusqlite::{Connection, params};
use serde::Deserialize;
use serde_json::value::RawValue;
use thrum_api::event::{AGENT_JOINED, AgentJoined, MESSAGE_SENT, MessageSent};
use thrum_api::limits::RECIPIENTS_MAX;
use thrum_api::{
    DaemonId, EventHeader, EventId, Place, Sequence, SequencedEvent, Timestamp, names,
};
use tracing::warn;

use super::error::{AgentsError, views};
use super::store::{Cursor, Store, stored};
use crate::report::brief;

/// What the views read of an event.
#[derive(Deserialize)]
struct Seen<'a> {
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

impl Seen<'_> {
    fn body<T: serde::de::DeserializeOwned>(&self) -> Result<T, Undigestible> {
        let text = self.body.map_or("null", RawValue::get);
        serde_json::from_str(text)
            .map_err(|error| Undigestible::of(format!("its body is not of its type: {error}")))
    }

    /// The project as the tables have it: events without one stand under the empty name.
    fn project(&self) -> Result<&str, Undigestible> {
        match self.project.as_deref() {
            None => Ok(""),
            Some(name) => names::project(name).map_err(Undigestible::of),
        }
    }
}

/// Why an event has no meaning here. It stays in the log and is relayed all the same.
struct Undigestible(String);

impl Undigestible {
    fn of(error: impl ToString) -> Self {
        Self(brief(&error.to_string()))
    }
}

/// What became of a page.
pub(super) struct Digested {
    /// Events that have no meaning here.
    pub(super) skipped: u64,
    /// Where to go on.
    pub(super) cursor: Cursor,
}

/// Whose events were written here.
#[derive(Clone, Copy)]
struct Local<'a> {
    now: DaemonId,
    /// Before `thrum daemon reset-identity`: what was to be read here then still is.
    former: &'a [DaemonId],
}

impl Local<'_> {
    /// Whether an agent of this name here wrote an event of `origin`. Where the directory is a copy,
    /// the daemon that it was copied from still writes under the former id: an agent that has been
    /// seen here under the new one is not the writer of what comes later under that.
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

/// What became of an event.
enum Outcome {
    Digested,
    Skipped(Undigestible),
}

/// What a page changes at many rows and is written once at its end.
#[derive(Default)]
struct Tally {
    /// Unread messages to add, by agent and project.
    unread: BTreeMap<(String, String), i64>,
    /// When agents were last seen, by project, name and daemon.
    seen: BTreeMap<(String, String, DaemonId), Timestamp>,
}

impl Store {
    /// Digests a page and moves the cursor behind its last event, in one transaction.
    pub(super) fn digest(
        &mut self,
        events: &[SequencedEvent],
        mut cursor: Cursor,
    ) -> Result<Digested, AgentsError> {
        let doing = views("digest events");
        let local = Local { now: self.daemon, former: &self.former };
        let transaction = self.connection.transaction().map_err(&doing)?;
        let mut tally = Tally::default();
        let mut skipped = 0;
        for event in events {
            let seen = serde_json::from_str::<Seen<'_>>(event.event.get());
            cursor.place = Place {
                sequence: event.sequence,
                event_id: match &seen {
                    Ok(seen) => Some(seen.event_id),
                    Err(_) => id_alone(event),
                },
            };
            let outcome = match &seen {
                Ok(seen) => event_into(&transaction, &mut tally, local, event.sequence, seen)
                    .map_err(&doing)?,
                Err(error) => Outcome::Skipped(Undigestible::of(error)),
            };
            if let Outcome::Skipped(Undigestible(reason)) = outcome {
                warn!("event {} of the log is skipped by the views: {reason}", event.sequence);
                transaction
                    .prepare_cached(
                        "INSERT OR REPLACE INTO skipped (sequence, reason) VALUES (?, ?)",
                    )
                    .and_then(|mut insert| insert.execute(params![stored(event.sequence), reason]))
                    .map_err(&doing)?;
                skipped += 1;
            }
        }
        tally.write(&transaction).map_err(&doing)?;
        put_cursor(&transaction, cursor).map_err(&doing)?;
        transaction.commit().map_err(&doing)?;
        Ok(Digested { skipped, cursor })
    }

    /// Notes that the same log has another epoch now.
    pub(super) fn move_cursor(&mut self, cursor: Cursor) -> Result<(), AgentsError> {
        put_cursor(&self.connection, cursor).map_err(views("note the log's epoch"))
    }
}

/// The id of an event of which the rest can't be read: without it the place would be no event's, and
/// the views be made anew at the next start.
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
            stored(cursor.place.sequence),
            cursor.place.event_id.map(|id| id.ulid().to_bytes()),
        ])?;
    Ok(())
}

fn event_into(
    connection: &Connection,
    tally: &mut Tally,
    local: Local<'_>,
    sequence: Sequence,
    seen: &Seen<'_>,
) -> rusqlite::Result<Outcome> {
    let digestible = match seen.event_type.as_ref() {
        AGENT_JOINED => joined(seen).map(Meaning::Agent),
        MESSAGE_SENT => said(seen).map(Meaning::Message),
        _ => return Ok(Outcome::Digested),
    };
    match digestible {
        Ok(Meaning::Agent(agent)) => {
            tally.saw(connection, seen, &agent.project, &agent.name)?;
            Ok(Outcome::Digested)
        }
        Ok(Meaning::Message(message)) => {
            tally.saw(connection, seen, &message.project, &message.body.from)?;
            deliver(connection, tally, local, sequence, seen, &message)
        }
        Err(reason) => Ok(Outcome::Skipped(reason)),
    }
}

enum Meaning {
    Agent(Named),
    Message(Said),
}

struct Named {
    project: String,
    name: String,
}

struct Said {
    project: String,
    body: MessageSent,
}

fn agent_name(text: &str) -> Result<String, Undigestible> {
    names::agent(text).map(str::to_owned).map_err(Undigestible::of)
}

fn joined(seen: &Seen<'_>) -> Result<Named, Undigestible> {
    let body: AgentJoined = seen.body()?;
    Ok(Named { project: seen.project()?.to_owned(), name: agent_name(&body.agent)? })
}

fn said(seen: &Seen<'_>) -> Result<Said, Undigestible> {
    let mut body: MessageSent = seen.body()?;
    body.from = agent_name(&body.from)?;
    if body.to.len() > RECIPIENTS_MAX {
        let count = body.to.len();
        return Err(Undigestible(format!("it has {count} recipients, more than {RECIPIENTS_MAX}")));
    }
    let mut named = BTreeSet::new();
    let mut to = Vec::new();
    for name in &body.to {
        let name = agent_name(name)?;
        if named.insert(name.clone()) {
            to.push(name);
        }
    }
    body.to = to;
    if body.to.is_empty() && !body.all {
        return Err(Undigestible("the message has no recipient".to_owned()));
    }
    Ok(Said { project: seen.project()?.to_owned(), body })
}

fn deliver(
    connection: &Connection,
    tally: &mut Tally,
    local: Local<'_>,
    sequence: Sequence,
    seen: &Seen<'_>,
    message: &Said,
) -> rusqlite::Result<Outcome> {
    let Said { project, body } = message;
    let event_id = seen.event_id.ulid().to_bytes();
    let inserted = connection
        .prepare_cached(
            "INSERT INTO messages
                 (sequence, event_id, project, sender, origin, recipients, to_all, timestamp, text)
             VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING",
        )?
        .execute(params![
            stored(sequence),
            event_id,
            project,
            body.from,
            seen.origin_daemon.ulid().to_bytes(),
            body.to.join("\n"),
            body.all,
            seen.timestamp.as_millis(),
            body.text,
        ])?;
    if inserted == 0 {
        return Ok(Outcome::Skipped(Undigestible("the event stands in the log twice".to_owned())));
    }
    let mut readers = BTreeSet::new();
    if body.all {
        readers.extend(local_agents(connection, local, project)?);
        if local.wrote(connection, seen.origin_daemon, project, &body.from)? {
            readers.remove(&body.from);
        }
    }
    readers.extend(body.to.iter().cloned());
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
            .execute(params![reader, project, read, stored(sequence)])?;
        if !read {
            *tally.unread.entry((reader, project.clone())).or_default() += 1;
        }
    }
    Ok(Outcome::Digested)
}

/// Who reads a message to all on this machine: those who have joined before it arrived.
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

impl Tally {
    /// An agent has a row from its first event on, for the messages to all that follow in the same
    /// page; the time is written at the page's end.
    fn saw(
        &mut self,
        connection: &Connection,
        seen: &Seen<'_>,
        project: &str,
        name: &str,
    ) -> rusqlite::Result<()> {
        let key = (project.to_owned(), name.to_owned(), seen.origin_daemon);
        if self.seen.insert(key, seen.timestamp).is_none() {
            connection
                .prepare_cached(
                    "INSERT OR IGNORE INTO agents (project, name, origin, last_seen)
                     VALUES (?, ?, ?, ?)",
                )?
                .execute(params![
                    project,
                    name,
                    seen.origin_daemon.ulid().to_bytes(),
                    seen.timestamp.as_millis()
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
