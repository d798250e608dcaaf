//! Whether a database is the one that was closed last. Any other one is checked as a whole at start: what a copy
//! during writes, a restore by hand or a crash left may be malformed in pages that nobody reads for a long time.

use std::path::{Path, PathBuf};

use super::check::check;
use super::error::LogError;
use super::schema::{SCHEMA_VERSION, open_reader};
use crate::clock;
use crate::held_files::Stamp;
use crate::report::Chain;
use crate::statefile::StateFile;

/// In the state directory.
const FILE: &str = "log.closed";

/// Notes that this database was closed in order.
pub(super) fn note(database: &Path) {
    let Some(closed) = stamp(database) else { return };
    if let Err(error) = file(database).write(&closed) {
        tracing::warn!("the log is checked at the next start: {}", Chain(&error));
    }
}

/// Checks this database, unless it is as it was when it was closed in order.
///
/// # Errors
/// When it is malformed. Nothing was changed then.
pub(super) fn check_unless_closed(database: &Path) -> Result<(), LogError> {
    let noted = file(database).read().ok().flatten();
    if noted.is_some() && noted == stamp(database)
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

/// Keeps a WAL whose database is gone: SQLite would delete it for the new one, and it may hold events that are
/// nowhere else.
pub(super) fn keep_orphaned_wal(database: &Path) -> Result<(), LogError> {
    let named = |suffix: &str| {
        let mut name = database.as_os_str().to_owned();
        name.push(suffix);
        PathBuf::from(name)
    };
    let wal = named("-wal");
    if std::fs::metadata(&wal).map_or(0, |wal| wal.len()) == 0 {
        return Ok(());
    }
    let aside = named(&format!(".held-{}-wal", clock::now().as_millis()));
    std::fs::rename(&wal, &aside).map_err(|source| LogError::File {
        action: "move aside",
        path: wal.clone(),
        source,
    })?;
    tracing::warn!(
        "{} had no database beside it: it is kept as {}",
        wal.display(),
        aside.display()
    );
    Ok(())
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
