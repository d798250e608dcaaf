//! The file `views.db`: opening it, rebuilding tables of another version, moving a damaged file aside.

use std::fs::OpenOptions;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;
use std::time::Duration;

use rusqlite::{Connection, OpenFlags};
use tracing::warn;

use super::error::AgentsError;
use crate::clock;
use crate::database_files::{self, SUFFIXES, with_suffix};
use crate::report::Chain;

/// Version of the derived tables, raised with every change of `schema.sql`. Tables of another version
/// are not migrated but rebuilt from the log.
const SCHEMA_VERSION: i64 = 10;
const DERIVED: &str = include_str!("schema.sql");
const DERIVED_TABLES: &[&str] = &[
    "cursor",
    "projects",
    "inboxes",
    "deliveries",
    "broadcasts",
    "settled_broadcasts",
    "agents",
    "machines",
    "presence",
    "sent",
    "replies",
    "threads",
    "message_bitmaps",
    "deleted",
    "groups",
    "group_members",
    "received",
    "owed",
    "receipts",
    "receipt_sessions",
    "skipped",
];
/// Not in the log, so a rebuild keeps it. Without it read messages are unread again. The event comes first in the key:
/// a rebuild asks for each event who has read it. An event is named by its id and by the daemon that gave it the id.
/// `told`: the sender's daemon needs no receipt of it any more. Live sessions are those that a process keeps: without them,
/// these agents are gone until they are started anew.
const KEPT: &str = "CREATE TABLE IF NOT EXISTS read_marks (
    agent TEXT NOT NULL,
    origin BLOB NOT NULL,
    event_id BLOB NOT NULL,
    project TEXT NOT NULL,
    at INTEGER NOT NULL,
    route TEXT NOT NULL,
    session TEXT,
    told INTEGER NOT NULL,
    PRIMARY KEY (event_id, origin, agent)
) STRICT, WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS read_marks_untold ON read_marks (told) WHERE told = 0;
CREATE TABLE IF NOT EXISTS live_sessions (
    project TEXT NOT NULL,
    agent TEXT NOT NULL,
    session TEXT NOT NULL,
    pid INTEGER NOT NULL,
    identity TEXT,
    info TEXT NOT NULL,
    PRIMARY KEY (project, agent, session)
) STRICT, WITHOUT ROWID;";

/// The file in the state directory.
pub const FILE: &str = "views.db";

/// How long to wait for the lock of a tool that reads the file.
const BUSY_TIMEOUT: Duration = Duration::from_secs(5);

/// Opens the file, or a new one in its place if it is damaged.
pub(super) fn open(path: &Path) -> Result<Connection, AgentsError> {
    match open_once(path) {
        Err(error) if error.is_damage() => {
            warn!("views.db is damaged and is rebuilt from the log: {}", Chain(&error));
            move_aside(path)?;
            open_once(path)
        }
        outcome => outcome,
    }
}

/// Creates a new file where one was moved aside. What an earlier attempt left there is removed: if it
/// were moved aside too, a failing disk would be filled with such files.
pub(super) fn create(path: &Path) -> Result<Connection, AgentsError> {
    let wrong = |source| AgentsError::File { path: path.to_owned(), source };
    for file in database_files::all(path) {
        if_there(std::fs::remove_file(file)).map_err(wrong)?;
    }
    open_once(path)
}

/// Moves the file aside; false if there was none. No connection may have it open.
pub(super) fn move_aside(path: &Path) -> Result<bool, AgentsError> {
    let wrong = |source| AgentsError::MoveAside { path: path.to_owned(), source };
    let aside = with_suffix(path, &format!(".damaged-{}", clock::now().as_millis()));
    let mut was_there = false;
    for suffix in SUFFIXES {
        let renamed = std::fs::rename(with_suffix(path, suffix), with_suffix(&aside, suffix));
        was_there |= if_there(renamed).map_err(wrong)?;
    }
    if was_there {
        warn!(
            "the damaged views.db is kept as {}; messages read so far are unread again",
            aside.display()
        );
    }
    Ok(was_there)
}

/// Whether the file existed.
fn if_there(done: std::io::Result<()>) -> std::io::Result<bool> {
    match done {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(error),
    }
}

/// Empties the derived tables. The connection must be in a transaction.
pub(super) fn reset(connection: &Connection) -> rusqlite::Result<()> {
    for table in DERIVED_TABLES {
        connection.execute_batch(&format!("DROP TABLE IF EXISTS {table};"))?;
    }
    connection.execute_batch(KEPT)?;
    connection.execute_batch(DERIVED)?;
    connection.pragma_update(None, "user_version", SCHEMA_VERSION)
}

/// Drops read marks of an earlier form, which no release had.
fn drop_earlier_marks(connection: &Connection) -> rusqlite::Result<()> {
    let columns = "SELECT 1 FROM pragma_table_info('read_marks') WHERE name = 'told'";
    if !connection.prepare(columns)?.exists([])? {
        connection.execute_batch("DROP TABLE IF EXISTS read_marks;")?;
    }
    Ok(())
}

fn open_once(path: &Path) -> Result<Connection, AgentsError> {
    // Created here so that others can never read it; SQLite gives the WAL the same mode.
    OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .open(path)
        .map_err(|source| AgentsError::File { path: path.to_owned(), source })?;
    let wrong = |source: rusqlite::Error| AgentsError::Open {
        path: path.to_owned(),
        source: source.into(),
    };
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let mut connection = Connection::open_with_flags(path, flags).map_err(wrong)?;
    prepare(&mut connection).map_err(wrong)?;
    Ok(connection)
}

/// Opens another connection to a file that is open, for queries alone.
pub(super) fn open_for_reading(path: &Path) -> Result<Connection, AgentsError> {
    let wrong = |source: rusqlite::Error| AgentsError::Open {
        path: path.to_owned(),
        source: source.into(),
    };
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags).map_err(wrong)?;
    connection.busy_timeout(BUSY_TIMEOUT).map_err(wrong)?;
    connection.pragma_update(None, "cache_size", -512).map_err(wrong)?;
    connection.set_prepared_statement_cache_capacity(32);
    Ok(connection)
}

fn prepare(connection: &mut Connection) -> rusqlite::Result<()> {
    connection.busy_timeout(BUSY_TIMEOUT)?;
    connection.pragma_update(None, "journal_mode", "WAL")?;
    // A power cut may lose the last commits, the cursor among them: they are derived from the log. The
    // last read marks may be lost with them, never the file.
    connection.pragma_update(None, "synchronous", "NORMAL")?;
    connection.pragma_update(None, "cache_size", -512)?;
    connection.pragma_update(None, "journal_size_limit", 4 * 1024 * 1024)?;
    connection.set_prepared_statement_cache_capacity(64);
    let version: i64 = connection.pragma_query_value(None, "user_version", |row| row.get(0))?;
    if version != SCHEMA_VERSION {
        let transaction = connection.transaction()?;
        drop_earlier_marks(&transaction)?;
        reset(&transaction)?;
        transaction.commit()?;
    }
    Ok(())
}
