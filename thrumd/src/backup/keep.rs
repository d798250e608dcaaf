//! Keeps the log of a daemon that stops after a person removed or replaced its file: nobody else has it.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::create::empty;
use super::{BackupError, KEEPING, failed, remove, with_suffix};
use crate::clock;
use crate::held_files::FileChange;
use crate::log::{self, Lock, Log};

/// The copy of a log whose file is gone, or another program's.
pub struct Kept {
    /// Beside the log's own name, until the log is closed.
    held: PathBuf,
    path: PathBuf,
    change: FileChange,
    /// It is the log. A malformed one would keep the daemon from starting.
    whole: bool,
    /// No other thrumd starts until the copy has its name.
    _lock: Option<Arc<Lock>>,
}

/// Copies the log if its path no longer names the file that the daemon holds, or if that was overwritten. None
/// if there is nothing to do.
///
/// # Errors
/// When the copy can't be written, for example because the whole directory was removed.
pub async fn copy_lost_log(log: &Log) -> Result<Option<Kept>, BackupError> {
    let path = log.directory().join(log::DATABASE);
    let Some(change) = log.files().change_of(&path).filter(|change| *change != FileChange::Hidden)
    else {
        return Ok(None);
    };
    let staged = log.directory().join(KEEPING);
    remove(&staged);
    let copy = log.copy(empty(&staged)?).await?;
    let sqlite =
        |source| BackupError::Sqlite { action: "copy the log to", path: staged.clone(), source };
    // One file, without a WAL beside it.
    copy.pragma_update(None, "journal_mode", "DELETE").map_err(sqlite)?;
    // In part it may be what another program wrote, also if it is sound, and if the file is gone since.
    let whole = log::holds_all(&copy, log.head()).unwrap_or(false);
    copy.close().map_err(|(_, error)| sqlite(error))?;
    File::open(&staged).and_then(|file| file.sync_all()).map_err(failed("sync", &staged))?;
    // A name that stays if the process dies now.
    let held = with_suffix(&path, &format!(".held-{}", clock::now().as_millis()));
    rename(&staged, &held)?;
    Ok(Some(Kept { held, path, change, whole, _lock: log.lock() }))
}

/// Keeps what is left of a log that another program wrote to, when it could not be copied and is closed: its WAL,
/// which would be mixed with that program's file. Answers where it is.
///
/// # Errors
/// When it can't be renamed.
pub fn keep_without_copy(path: &Path) -> Result<String, BackupError> {
    let log = path.display();
    Ok(match keep_wal(path)?.as_deref().map(Path::display) {
        Some(wal) => format!(
            "{log} is what another program wrote; what thrumd had written last is kept in {wal}"
        ),
        None => format!("{log} is what another program wrote; nothing of thrumd's is left"),
    })
}

impl Kept {
    /// Gives the copy the log's name, if it is the log and the name is free, or another program wrote to the file
    /// there. Answers where it is. Call it when the log is closed.
    ///
    /// # Errors
    /// When the directory can't be written. The copy keeps its name then.
    pub fn put_in_place(self) -> Result<String, BackupError> {
        let Self { held, path, change, whole, .. } = &self;
        let (log, copy) = (path.display(), held.display());
        match change {
            FileChange::Overwritten if *whole => {
                let replaced =
                    with_suffix(path, &format!(".replaced-{}", clock::now().as_millis()));
                // Both names, then the exchange: there is a log at each moment, where the file system has links.
                // The WAL has the same as the copy.
                fs::hard_link(path, &replaced)
                    .or_else(|_| fs::rename(path, &replaced))
                    .map_err(failed("rename", path))?;
                rename(held, path)?;
                remove_beside(path);
                let replaced = replaced.display();
                Ok(format!(
                    "{log} has all events again; what another program wrote there is kept in {replaced}"
                ))
            }
            FileChange::Overwritten => {
                let wal = keep_wal(path)?;
                let wal = wal.map_or_else(String::new, |wal| format!(" and {}", wal.display()));
                Ok(format!(
                    "{log} is what another program wrote; what thrumd had is kept in {copy}{wal}"
                ))
            }
            _ if !whole || path.exists() => {
                Ok(format!("the log is kept in {copy}: its file had gone"))
            }
            _ => {
                // Those of the removed file don't belong to the copy.
                remove(path);
                rename(held, path)?;
                Ok(format!("the log is kept in {log}: its file had gone"))
            }
        }
    }
}

/// Keeps the WAL that is beside another program's database.
fn keep_wal(database: &Path) -> Result<Option<PathBuf>, BackupError> {
    let kept = log::keep_wal(database)?;
    remove_beside(database);
    Ok(kept)
}

/// Removes what SQLite keeps beside a database.
fn remove_beside(database: &Path) {
    for suffix in ["-wal", "-shm"] {
        drop(fs::remove_file(with_suffix(database, suffix)));
    }
}

/// Renames a file; the new name is on the disk afterwards.
fn rename(from: &Path, to: &Path) -> Result<(), BackupError> {
    fs::rename(from, to).map_err(failed("rename", from))?;
    let directory = to.parent().unwrap_or(Path::new("."));
    File::open(directory).and_then(|dir| dir.sync_all()).map_err(failed("sync", directory))
}
