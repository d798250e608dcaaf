//! Read marks: who has read which message. They are in no log, so a backup holds them.

use std::path::Path;

use rusqlite::{Connection, Row, params};
use thrum_api::event::Route;
use thrum_api::limits::NAME_MAX_CHARS;

use super::error::{AgentsError, views};
use super::schema;
use crate::log::column::{Daemon, Id};

/// The table of a backup.
pub const BACKUP_TABLE: &str = "CREATE TABLE backup_read_marks (
    agent TEXT NOT NULL,
    origin BLOB NOT NULL,
    event_id BLOB NOT NULL,
    project TEXT NOT NULL,
    at INTEGER NOT NULL,
    route TEXT NOT NULL,
    session TEXT,
    told INTEGER NOT NULL,
    PRIMARY KEY (agent, event_id, origin)
) STRICT, WITHOUT ROWID;";

pub(super) const SELECT: &str =
    "SELECT agent, origin, event_id, project, at, route, session, told FROM read_marks";
const SELECT_BACKUP: &str =
    "SELECT agent, origin, event_id, project, at, route, session, told FROM backup_read_marks";
const INSERT: &str =
    "INSERT OR IGNORE INTO read_marks (agent, origin, event_id, project, at, route, session, told)
     VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)";
const INSERT_BACKUP: &str =
    "INSERT OR IGNORE INTO backup_read_marks (agent, origin, event_id, project, at, route, session, told)
     VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)";

/// A route as in the tables: as in events.
pub(super) const fn route_name(route: Route) -> &'static str {
    match route {
        Route::Wait => "wait",
        Route::Inbox => "inbox",
        Route::Hook => "hook",
        Route::Mcp => "mcp",
        Route::Wake => "wake",
        Route::Page => "page",
        Route::Other => "other",
    }
}

/// The route of this name.
pub(super) fn route_named(name: &str) -> Route {
    match name {
        "wait" => Route::Wait,
        "inbox" => Route::Inbox,
        "hook" => Route::Hook,
        "mcp" => Route::Mcp,
        "wake" => Route::Wake,
        "page" => Route::Page,
        _ => Route::Other,
    }
}

/// The session that messages were shown to, checked: it goes into events.
pub(super) fn session(named: Option<String>) -> Result<Option<String>, AgentsError> {
    let named = named.filter(|session| !session.is_empty());
    match named {
        Some(session) if !is_session(&session) => Err(AgentsError::Session),
        named => Ok(named),
    }
}

/// Whether the id of a session is as long as it may be.
pub(super) fn is_session(id: &str) -> bool {
    id.chars().count() <= NAME_MAX_CHARS
}

/// That an agent has read a message.
pub(super) struct ReadMark {
    pub(super) agent: String,
    /// The daemon that created the message: its id is unique for that one only.
    pub(super) origin: Daemon,
    pub(super) event_id: Id,
    pub(super) project: String,
    /// When, in milliseconds since 1970.
    pub(super) at: i64,
    /// How it was shown, as in events.
    pub(super) route: String,
    /// The session that it was shown to.
    pub(super) session: Option<String>,
    /// The sender's daemon needs no receipt of it any more.
    pub(super) told: bool,
}

impl ReadMark {
    /// Reads a row of [`SELECT`].
    pub(super) fn read(row: &Row<'_>) -> rusqlite::Result<Self> {
        Ok(Self {
            agent: row.get(0)?,
            origin: row.get(1)?,
            event_id: row.get(2)?,
            project: row.get(3)?,
            at: row.get(4)?,
            route: row.get(5)?,
            session: row.get(6)?,
            told: row.get(7)?,
        })
    }

    /// Stores it in `views.db`, unless it is there.
    pub(super) fn store(&self, connection: &Connection) -> rusqlite::Result<()> {
        self.insert(connection, INSERT)
    }

    fn insert(&self, connection: &Connection, insert: &str) -> rusqlite::Result<()> {
        let row = params![
            self.agent,
            self.origin,
            self.event_id,
            self.project,
            self.at,
            self.route,
            self.session,
            self.told
        ];
        connection.prepare_cached(insert)?.execute(row)?;
        Ok(())
    }
}

/// Copies the read marks of `views.db` into a backup.
pub(super) fn copy(from: &Connection, to: &mut Connection) -> Result<(), AgentsError> {
    copy_rows(from, SELECT, to, INSERT_BACKUP).map_err(views("copy the read marks"))
}

/// Adds the read marks of a backup to those in `views.db` of this state directory. The rest of it is rebuilt
/// from the log at the next start. The caller has locked the directory.
///
/// # Errors
/// When the file can't be written.
pub fn restore_read_marks(state_dir: &Path, backup: &Connection) -> Result<(), AgentsError> {
    let mut to = schema::open(&state_dir.join(schema::FILE))?;
    let doing = views("restore the read marks");
    let transaction = to.transaction().map_err(&doing)?;
    schema::reset(&transaction).and_then(|()| transaction.commit()).map_err(&doing)?;
    copy_rows(backup, SELECT_BACKUP, &mut to, INSERT).map_err(&doing)
}

fn copy_rows(
    from: &Connection,
    select: &str,
    to: &mut Connection,
    insert: &str,
) -> rusqlite::Result<()> {
    let transaction = to.transaction()?;
    let mut query = from.prepare(select)?;
    let mut rows = query.query([])?;
    while let Some(row) = rows.next()? {
        ReadMark::read(row)?.insert(&transaction, insert)?;
    }
    transaction.commit()
}
