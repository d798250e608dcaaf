//! Digests events into rows: whose the messages are, and agents.

use std::borrow::Cow;
use std::collections::{BTreeSet, HashMap, HashSet};

use rusqlite::{CachedStatement, Connection, params};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use thrum_api::event::{AGENT_JOINED, AgentJoined, MESSAGE_SENT};
use thrum_api::limits::RECIPIENTS_MAX;
use thrum_api::{DaemonId, LogPosition, Sequence};
use tracing::warn;

use super::broadcasts;
use super::directory::{Directory, find_inbox};
use super::error::{AgentsError, log_unread, views};
use super::failure::Failure;
use super::store::{Cursor, Store};
use super::waiters::News;
use crate::log::column::{self, Id, int};
use crate::log::{LogReader, StoredEvent};

/// Events in one transaction of the views. Whoever marks messages read waits for one at most; readers wait for none.
pub(super) const PAGE_EVENTS: usize = 2000;

/// What the views read of a message, without a copy of its text.
#[derive(Deserialize)]
struct ParsedMessage<'a> {
    origin_daemon: DaemonId,
    #[serde(borrow)]
    body: ParsedMessageBody<'a>,
}

#[derive(Deserialize)]
struct ParsedMessageBody<'a> {
    #[serde(borrow)]
    from: Cow<'a, str>,
    #[serde(borrow, default)]
    to: Vec<Name<'a>>,
    #[serde(default)]
    all: bool,
    #[serde(borrow, rename = "text")]
    _text: Cow<'a, str>,
}

/// A name that is borrowed if it has no escapes.
#[derive(Deserialize)]
struct Name<'a>(#[serde(borrow)] Cow<'a, str>);

#[derive(Deserialize)]
struct ParsedJoined {
    origin_daemon: DaemonId,
    body: AgentJoined,
}

/// What was digested.
pub(super) struct Digested {
    pub(super) cursor: Cursor,
    /// Who got messages.
    pub(super) news: News,
    /// Rows of the log that were found damaged.
    pub(super) damaged: Vec<Sequence>,
}

impl Store {
    /// Digests a page of the log and moves the cursor to its last event, in one transaction. Without an event, to
    /// `head`: the remaining positions no longer hold any.
    pub(super) fn digest(
        &mut self,
        log: &LogReader,
        cursor: Cursor,
        head: LogPosition,
    ) -> Result<Digested, AgentsError> {
        self.digest_each(cursor, head, |take| {
            log.each_after(cursor.position.sequence, PAGE_EVENTS, take).map_err(log_unread)
        })
    }

    /// Digests the events that `each` hands out.
    pub(super) fn digest_each(
        &mut self,
        mut cursor: Cursor,
        head: LogPosition,
        each: impl FnOnce(&mut dyn FnMut(&StoredEvent<'_>) -> bool) -> Result<(), AgentsError>,
    ) -> Result<Digested, AgentsError> {
        let doing = views("digest events");
        let transaction = self.connection.transaction().map_err(&doing)?;
        let mut page = Page::new(&transaction, self.daemon).map_err(&doing)?;
        let mut last = None;
        let mut failure = None;
        each(&mut |event| {
            last = Some(LogPosition { sequence: event.sequence, hash: event.hash });
            failure = page.digest(event).err();
            failure.is_none()
        })?;
        if let Some(error) = failure {
            return Err(doing(error));
        }
        cursor.position = last.unwrap_or(head);
        let (news, damaged) = page.write().map_err(&doing)?;
        put_cursor(&transaction, cursor).map_err(&doing)?;
        transaction.commit().map_err(&doing)?;
        Ok(Digested { cursor, news, damaged })
    }

    /// Stores the cursor of the same log with its new epoch.
    pub(super) fn move_cursor(&mut self, cursor: Cursor) -> Result<(), AgentsError> {
        put_cursor(&self.connection, cursor).map_err(views("store the log's epoch"))
    }
}

fn put_cursor(connection: &Connection, cursor: Cursor) -> rusqlite::Result<()> {
    connection
        .prepare_cached(
            "INSERT OR REPLACE INTO cursor (id, epoch, sequence, hash) VALUES (1, ?, ?, ?)",
        )?
        .execute(params![
            cursor.epoch.ulid().to_bytes(),
            int(cursor.position.sequence.0),
            cursor.position.hash.map(column::hash_int),
        ])?;
    Ok(())
}

/// How an agent was seen.
struct Seen {
    /// When, at last.
    at: i64,
    /// By an event that was written here: it is used on this machine.
    here: bool,
}

/// A page while it is digested. What changes with most events is collected and written at its end.
struct Page<'a> {
    connection: &'a Connection,
    /// The daemon whose log it is.
    daemon: DaemonId,
    directory: Directory<'a>,
    insert: CachedStatement<'a>,
    /// The event with the largest id that anybody has read: others need not be looked for.
    last_read: Option<Id>,
    /// Unread messages to add, by inbox.
    unread: HashMap<i64, i64>,
    /// Agents that were seen, by inbox and daemon.
    seen: HashMap<(i64, DaemonId), Seen>,
    /// Projects with messages to all.
    told: HashSet<i64>,
    damaged: Vec<Sequence>,
}

impl<'a> Page<'a> {
    fn new(connection: &'a Connection, daemon: DaemonId) -> rusqlite::Result<Self> {
        let last_read =
            connection.query_row("SELECT max(event_id) FROM read_marks", [], |row| row.get(0))?;
        let insert = connection
            .prepare_cached("INSERT INTO deliveries (inbox, read, sequence) VALUES (?, ?, ?)")?;
        Ok(Self {
            connection,
            daemon,
            directory: Directory::new(connection),
            insert,
            last_read,
            unread: HashMap::new(),
            seen: HashMap::new(),
            told: HashSet::new(),
            damaged: Vec::new(),
        })
    }

    fn digest(&mut self, event: &StoredEvent<'_>) -> rusqlite::Result<()> {
        let outcome = if event.event_type == MESSAGE_SENT.as_bytes() {
            self.message(event)
        } else if event.event_type == AGENT_JOINED.as_bytes() {
            self.joined(event)
        } else {
            return Ok(());
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

    fn joined(&mut self, event: &StoredEvent<'_>) -> Result<(), Failure> {
        let ParsedJoined { origin_daemon, body } = parsed(event)?;
        let inbox = self.directory.project(event.project)?.inbox(self.connection, &body.agent)?;
        Ok(self.note_seen(inbox, origin_daemon, event)?)
    }

    fn message(&mut self, event: &StoredEvent<'_>) -> Result<(), Failure> {
        let message: ParsedMessage<'_> = match str::from_utf8(event.json).map(serde_json::from_str)
        {
            Ok(Ok(message)) => message,
            Ok(Err(error)) => return Err(unparsed(event, &error)),
            Err(_) => return Err(Failure::Damaged),
        };
        let body = &message.body;
        let count = body.to.len();
        if count > RECIPIENTS_MAX {
            let reason = format!("it has {count} recipients, more than {RECIPIENTS_MAX}");
            return Err(Failure::undigestible(reason));
        }
        if body.to.is_empty() && !body.all {
            return Err(Failure::undigestible("the message has no recipient"));
        }
        let names = body.to.iter().map(|Name(name)| name.as_ref());
        let project = self.directory.project(event.project)?;
        project.check(names.clone().chain([body.from.as_ref()]))?;
        let sender = project.inbox(self.connection, &body.from)?;
        let mut recipients = BTreeSet::new();
        for name in names {
            recipients.insert(project.inbox(self.connection, name)?);
        }
        let project = project.id;
        self.note_seen(sender, message.origin_daemon, event)?;
        let read = self.read_by(event, message.origin_daemon, project)?;
        let sequence = int(event.sequence.0);
        if body.all {
            let number = broadcasts::add(self.connection, project, sequence)?;
            self.told.insert(project);
            // Those whom it names have it as one that names them.
            for recipient in &recipients {
                broadcasts::settle(self.connection, *recipient, number)?;
            }
            // Also where a peer brings back what this daemon has lost. The original of a directory that was copied
            // writes under a former id, and its agents are others.
            if event.is_own || message.origin_daemon == self.daemon {
                broadcasts::settle(self.connection, sender, number)?;
            }
            for reader in &read {
                if broadcasts::settle(self.connection, *reader, number)? {
                    self.insert.execute(params![reader, true, sequence])?;
                }
            }
        }
        for recipient in recipients {
            let read = read.contains(&recipient);
            self.insert.execute(params![recipient, read, sequence])?;
            if !read {
                *self.unread.entry(recipient).or_default() += 1;
            }
        }
        Ok(())
    }

    /// The inboxes of those who have read this event already, before the views were rebuilt.
    fn read_by(
        &self,
        event: &StoredEvent<'_>,
        origin: DaemonId,
        project: i64,
    ) -> rusqlite::Result<Vec<i64>> {
        let id = event.event_id.map(|id| id.ulid().to_bytes());
        if id > self.last_read {
            return Ok(Vec::new());
        }
        let mut agents = self
            .connection
            .prepare_cached("SELECT agent FROM read_marks WHERE event_id = ? AND origin = ?")?;
        let mut inboxes = Vec::new();
        for agent in agents.query_map(params![id, origin.to_bytes()], |row| row.get(0))? {
            let agent: String = agent?;
            inboxes.extend(find_inbox(self.connection, project, &agent)?);
        }
        Ok(inboxes)
    }

    /// Notes that an agent was seen. That it is one of this machine counts at once, for messages to all that follow in
    /// the same page; the rest is written at the page's end.
    fn note_seen(
        &mut self,
        inbox: i64,
        origin: DaemonId,
        event: &StoredEvent<'_>,
    ) -> rusqlite::Result<()> {
        let at = event.timestamp;
        let seen = self.seen.entry((inbox, origin)).or_insert(Seen { at, here: false });
        seen.at = seen.at.max(at);
        // The daemon that the event names doesn't count: what this one lost and a peer brings back was written by
        // agents that were here once.
        if event.is_own && !std::mem::replace(&mut seen.here, true) {
            broadcasts::begin(self.connection, inbox)?;
        }
        Ok(())
    }

    /// Writes what was collected. Answers who got messages, and the rows of the log that were found damaged.
    fn write(self) -> rusqlite::Result<(News, Vec<Sequence>)> {
        let mut put = self.connection.prepare_cached(
            "INSERT INTO agents (inbox, origin, last_seen, here) VALUES (?, ?, ?, ?)
             ON CONFLICT (inbox, origin) DO UPDATE SET
             last_seen = max(last_seen, excluded.last_seen), here = max(here, excluded.here)",
        )?;
        for ((inbox, origin), seen) in self.seen {
            put.execute(params![inbox, origin.to_bytes(), seen.at, seen.here])?;
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
        Ok((news, self.damaged))
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
