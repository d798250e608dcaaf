//! Whether a database is the one that was open last, and as it was closed. Any other one is checked as a whole at start:
//! what a copy during writes, a restore by hand or a crash left may be malformed in pages that nobody reads for a long
//! time. An older one begins a new epoch.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::check::check;
use super::error::LogError;
use super::schema::{SCHEMA_VERSION, open_reader};
use super::types::LogHead;
use crate::clock;
use crate::database_files::with_suffix;
use crate::held_files::Stamp;
use crate::report::Chain;
use crate::statefile::StateFile;

/// In the state directory.
const FILE: &str = "log.closed";

/// The log that was opened or closed last.
#[derive(Serialize, Deserialize)]
struct Closed {
    /// It was not closed yet.
    open: bool,
    /// The database when it was closed; None if it may have changed since it was checked.
    file: Option<Stamp>,
    /// Where the log ended then.
    head: LogHead,
}

/// Notes where the log ends that is closed, and if `whole`, that this database has all of it.
pub(crate) fn note(database: &Path, head: LogHead, whole: bool) {
    let file_now = if whole { stamp(database) } else { None };
    let closed = Closed { open: false, file: file_now, head };
    if let Err(error) = file(database).write(&closed) {
        tracing::warn!("the log is checked at the next start: {}", Chain(&error));
    }
}

/// Notes where the log ends that is open now.
pub(super) fn note_open(database: &Path, head: LogHead) {
    let file = file(database);
    if let Err(error) = file.write(&Closed { open: true, file: None, head }) {
        tracing::debug!("the log is not noted as open: {}", Chain(&error));
        // An older note would say that this log was closed.
        drop(std::fs::remove_file(file.path()));
    }
}

/// What there was before a log is opened.
pub(super) struct Before {
    closed: Option<Closed>,
    /// A log that is open has one, however it ends; one that was closed has none.
    has_wal: bool,
}

impl Before {
    /// Looks. Later SQLite makes a WAL.
    pub(super) fn look(database: &Path) -> Self {
        let closed = file(database).read().ok().flatten();
        Self { closed, has_wal: wal(database).exists() }
    }

    /// Checks this database, unless it is as it was when it was closed in order.
    ///
    /// # Errors
    /// When it is malformed. Nothing was changed then.
    pub(super) fn check(&self, database: &Path) -> Result<(), LogError> {
        let closed = self.closed.as_ref().and_then(|closed| closed.file);
        if closed.is_some() && closed == stamp(database)
            || std::fs::metadata(database).is_ok_and(|file| file.len() == 0)
        {
            return Ok(());
        }
        tracing::info!("the log is checked: it was replaced, or thrumd did not end in order");
        let checked = open_reader(database).and_then(|conn| {
            let version = conn.query_row("PRAGMA user_version", [], |row| row.get(0))?;
            // One of a later version is refused anyway, and without one it is no log yet.
            if (1..=SCHEMA_VERSION).contains(&version) {
                check(&conn)?;
            }
            Ok(())
        });
        checked.map_err(|source| LogError::storage("check the log", database, source))
    }

    /// Whether the log that ends there is not the one that was open last: an older copy, or one without the WAL of
    /// a thrumd that was killed. Positions in it were given already.
    pub(super) fn is_another(&self, head: LogHead) -> bool {
        match &self.closed {
            // A thrumd of before the hash of the log noted none.
            Some(closed)
                if !closed.open
                    && closed.head.epoch == head.epoch
                    && closed.head.position.agrees_with(head.position) =>
            {
                false
            }
            // It was killed; or a power cut has brought back an older note.
            Some(closed) => !(self.has_wal && head.continues(closed.head)),
            None => !self.has_wal,
        }
    }
}

/// Moves a WAL aside that does not belong to the database there, or whose database is gone: SQLite would mix them,
/// or delete it, and it may hold events that are nowhere else. Answers where it is; None if there is none.
///
/// # Errors
/// When it can't be renamed.
pub(crate) fn keep_wal(database: &Path) -> Result<Option<PathBuf>, LogError> {
    let wal = wal(database);
    if std::fs::metadata(&wal).map_or(0, |wal| wal.len()) == 0 {
        return Ok(None);
    }
    let aside = with_suffix(database, &format!(".held-{}-wal", clock::now().as_millis()));
    match std::fs::rename(&wal, &aside) {
        Ok(()) => Ok(Some(aside)),
        Err(source) => Err(LogError::File { action: "move aside", path: wal, source }),
    }
}

/// The database as it is now. None while a WAL holds more of it.
fn stamp(database: &Path) -> Option<Stamp> {
    if std::fs::metadata(wal(database)).is_ok_and(|wal| wal.len() > 0) {
        return None;
    }
    Stamp::at(database).ok().flatten()
}

fn file(database: &Path) -> StateFile {
    StateFile::new(database.parent().unwrap_or(Path::new(".")), FILE)
}

pub(super) fn wal(database: &Path) -> PathBuf {
    with_suffix(database, "-wal")
}
