//! `views.db` as a file: opened, made anew when its form is an old one, moved aside when damaged.

use std::fs::OpenOptions;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::{Connection, OpenFlags};
use tracing::warn;

use super::error::AgentsError;
use crate::clock;
use crate::report::Chain;

/// Form of the derived tables. Raised with every change of `schema.sql`: a file of another form is
/// not migrated, its derived tables are made anew from the log.
const FORM: i64 = 1;
const DERIVED: &str = include_str!("schema.sql");
const DERIVED_TABLES: &[&str] = &["cursor", "messages", "inbox", "unread", "agents", "skipped"];
/// What the log doesn't know and a rebuild keeps. Without it read messages are unread again.
const KEPT: &str = "CREATE TABLE IF NOT EXISTS read_marks (
    agent TEXT NOT NULL,
    event_id BLOB NOT NULL,
    PRIMARY KEY (agent, event_id)
) STRICT, WITHOUT ROWID;";

/// SQLite's files beside each other.
const FILES: [&str; 3] = ["", "-wal", "-shm"];

/// How long a lock of someone who looks into the file with a tool is waited for.
const BUSY_TIMEOUT: Duration = Duration::from_secs(5);

/// Opens the file, or a new one in its place if it is damaged.
pub(super) fn open(path: &Path) -> Result<Connection, AgentsError> {
    match open_once(path) {
        Err(error) if error.is_damage() => {
            warn!("views.db is damaged and made anew from the log: {}", Chain(&error));
            move_aside(path)?;
            open_once(path)
        }
        outcome => outcome,
    }
}

/// Makes a new file where one was moved aside. What an attempt before has left there is removed: kept
/// aside, such files would fill a disk that fails for long.
pub(super) fn make(path: &Path) -> Result<Connection, AgentsError> {
    let wrong = |source| AgentsError::File { path: path.to_owned(), source };
    for suffix in FILES {
        if_there(std::fs::remove_file(with_suffix(path, suffix))).map_err(wrong)?;
    }
    open_once(path)
}

/// Moves the file out of the way; false if there was none. Nobody may have it open.
pub(super) fn move_aside(path: &Path) -> Result<bool, AgentsError> {
    let wrong = |source| AgentsError::MoveAside { path: path.to_owned(), source };
    let aside = with_suffix(path, &format!(".damaged-{}", clock::now().as_millis()));
    let mut was_there = false;
    for suffix in FILES {
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

/// Whether the file was there for what was done with it.
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
    connection.pragma_update(None, "user_version", FORM)
}

fn open_once(path: &Path) -> Result<Connection, AgentsError> {
    // Made here so that it is never readable for others; SQLite gives the WAL the same mode.
    OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .open(path)
        .map_err(|source| AgentsError::File { path: path.to_owned(), source })?;
    let wrong = |source| AgentsError::Open { path: path.to_owned(), source };
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let mut connection = Connection::open_with_flags(path, flags).map_err(wrong)?;
    prepare(&mut connection).map_err(wrong)?;
    Ok(connection)
}

fn prepare(connection: &mut Connection) -> rusqlite::Result<()> {
    connection.busy_timeout(BUSY_TIMEOUT)?;
    connection.pragma_update(None, "journal_mode", "WAL")?;
    // A power cut may take the last commits: they are derived, and the cursor goes with them. Read
    // marks of the last moments may be lost with them, never the file.
    connection.pragma_update(None, "synchronous", "NORMAL")?;
    connection.pragma_update(None, "cache_size", -512)?;
    connection.pragma_update(None, "journal_size_limit", 4 * 1024 * 1024)?;
    connection.set_prepared_statement_cache_capacity(32);
    let form: i64 = connection.pragma_query_value(None, "user_version", |row| row.get(0))?;
    if form != FORM {
        let transaction = connection.transaction()?;
        reset(&transaction)?;
        transaction.commit()?;
    }
    Ok(())
}

fn with_suffix(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    PathBuf::from(name)
}
