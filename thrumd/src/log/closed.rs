//! Whether a database is the one that was closed last. Any other one is checked as a whole at start: what a copy
//! during writes, a restore by hand or a crash left may be malformed in pages that nobody reads for a long time.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::check::check;
use super::error::LogError;
use super::schema::{SCHEMA_VERSION, open_reader};
use super::types::LogHead;
use crate::clock;
use crate::held_files::Stamp;
use crate::report::Chain;
use crate::statefile::StateFile;

/// In the state directory.
const FILE: &str = "log.closed";

/// What is known of the log that was closed last.
#[derive(Serialize, Deserialize)]
struct Closed {
    /// The database then; None if it may have changed since it was checked.
    file: Option<Stamp>,
    head: LogHead,
}

/// Notes where the log ended when it was closed, and if `whole`, that this database has all of it.
pub(super) fn note(database: &Path, head: LogHead, whole: bool) {
    let closed = Closed { file: if whole { stamp(database) } else { None }, head };
    if let Err(error) = file(database).write(&closed) {
        tracing::warn!("the log is checked at the next start: {}", Chain(&error));
    }
}

/// Checks this database, unless it is as it was when it was closed in order. Answers where the log ended that was
/// closed last: a database that ends before is an older one.
///
/// # Errors
/// When it is malformed. Nothing was changed then.
pub(super) fn check_unless_closed(database: &Path) -> Result<Option<LogHead>, LogError> {
    let noted: Option<Closed> = file(database).read().ok().flatten();
    let head = noted.as_ref().map(|closed| closed.head);
    let unchanged =
        noted.and_then(|closed| closed.file).is_some_and(|closed| stamp(database) == Some(closed));
    if unchanged || std::fs::metadata(database).is_ok_and(|file| file.len() == 0) {
        return Ok(head);
    }
    tracing::info!("the log is checked: it was replaced, or thrumd did not end in order");
    let checked = open_reader(database).and_then(|conn| {
        let version = conn.query_row("PRAGMA user_version", [], |row| row.get(0))?;
        // One of a later version is refused anyway, and without one it is no log yet.
        if (1..=SCHEMA_VERSION).contains(&version) {
            check(&conn)?;
        }
        Ok(head)
    });
    checked.map_err(|source| LogError::storage("check the log", database, source))
}

/// Moves a WAL aside that does not belong to the database there, or whose database is gone: SQLite would mix them,
/// or delete it, and it may hold events that are nowhere else. Answers where it is; None if there is none.
///
/// # Errors
/// When it can't be renamed.
pub(crate) fn keep_wal(database: &Path) -> Result<Option<PathBuf>, LogError> {
    let named = |suffix: &str| {
        let mut name = database.as_os_str().to_owned();
        name.push(suffix);
        PathBuf::from(name)
    };
    let wal = named("-wal");
    if std::fs::metadata(&wal).map_or(0, |wal| wal.len()) == 0 {
        return Ok(None);
    }
    let aside = named(&format!(".held-{}-wal", clock::now().as_millis()));
    match std::fs::rename(&wal, &aside) {
        Ok(()) => Ok(Some(aside)),
        Err(source) => Err(LogError::File { action: "move aside", path: wal, source }),
    }
}

/// The database as it is now. None while a WAL holds more of it.
fn stamp(database: &Path) -> Option<Stamp> {
    let mut wal = database.as_os_str().to_owned();
    wal.push("-wal");
    if std::fs::metadata(wal).is_ok_and(|wal| wal.len() > 0) {
        return None;
    }
    Stamp::at(database).ok().flatten()
}

fn file(database: &Path) -> StateFile {
    StateFile::new(database.parent().unwrap_or(Path::new(".")), FILE)
}
