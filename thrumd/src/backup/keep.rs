//! Keeps the log of a daemon that stops after a person removed or replaced its file: nobody else has it.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rusqlite::Connection;

use super::create::empty;
use super::{BackupError, KEEPING, failed, remove};
use crate::clock;
use crate::database_files::with_suffix;
use crate::held_files::FileChange;
use crate::log::{self, Lock, Log, LogHead};

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
    let change = log.files().database_change().filter(|change| *change != FileChange::Hidden);
    let Some(change) = change else { return Ok(None) };
    let (path, head, lock) = (log.directory().join(log::DATABASE), log.head(), log.lock());
    let staged = log.directory().join(KEEPING);
    remove(&staged);
    let copied = match empty(&staged) {
        Ok(to) => log.copy(to).await.map_err(BackupError::from),
        Err(error) => Err(error),
    };
    let keep = move || {
        let done = copied.and_then(|copy| keep(copy, &staged, &path, head));
        // Space that the note of the stop needs.
        remove(&staged);
        let (held, whole) = done?;
        Ok(Some(Kept { held, path, change, whole, _lock: lock }))
    };
    let finished = tokio::task::spawn_blocking(keep).await;
    finished.unwrap_or_else(|error| Err(failed("finish", log.directory())(io::Error::other(error))))
}

/// Gives a copy a name that stays, and checks it. Answers the name, and whether it is the whole log.
fn keep(
    copy: Connection,
    staged: &Path,
    path: &Path,
    head: LogHead,
) -> Result<(PathBuf, bool), BackupError> {
    let sqlite =
        |source| BackupError::Sqlite { action: "copy the log to", path: staged.into(), source };
    // One file, without a WAL beside it.
    copy.pragma_update(None, "journal_mode", "DELETE").map_err(sqlite)?;
    File::open(staged).and_then(|file| file.sync_all()).map_err(failed("sync", staged))?;
    // At once: the check may take long, and the process die meanwhile.
    let held = with_suffix(path, &format!(".held-{}", clock::now().as_millis()));
    rename(staged, &held)?;
    // In part it may be what another program wrote, also if it is sound, and if the file is gone since.
    let whole = log::holds_all(&copy, head).is_ok();
    copy.close().map_err(|(_, error)| sqlite(error))?;
    Ok((held, whole))
}

/// Keeps what is left of a log that could not be copied and is closed: its WAL, which would be mixed with the file
/// that is at its path now. Answers where it is.
///
/// # Errors
/// When it can't be renamed.
pub fn keep_without_copy(path: &Path, wal_is_left: bool) -> Result<String, BackupError> {
    let kept = keep_wal(path, wal_is_left)?;
    let log = path.display();
    Ok(match kept.as_deref().map(Path::display) {
        Some(wal) => {
            format!(
                "what thrumd had written last to {log} is kept in {wal}; nothing else could be kept"
            )
        }
        None => format!("nothing of what thrumd held of {log} could be kept"),
    })
}

fn keep_wal(path: &Path, is_left: bool) -> Result<Option<PathBuf>, BackupError> {
    if is_left { Ok(log::keep_wal(path)?) } else { Ok(None) }
}

impl Kept {
    /// Gives the copy the log's name, if it is the log and the name is free, or another program wrote to the file
    /// there. Answers where it is. Call it when the log is closed, with its answer.
    ///
    /// # Errors
    /// When the directory can't be written. The copy keeps its name then.
    pub fn put_in_place(self, wal_is_left: bool) -> Result<String, BackupError> {
        let Self { held, path, change, whole, .. } = &self;
        let (log, copy) = (path.display(), held.display());
        // Of another program's database, or of none.
        let move_wal_aside = || {
            let wal = keep_wal(path, wal_is_left)?;
            Ok::<_, BackupError>(
                wal.map_or_else(String::new, |wal| format!(" and {}", wal.display())),
            )
        };
        match change {
            FileChange::Overwritten if *whole => {
                let replaced =
                    with_suffix(path, &format!(".replaced-{}", clock::now().as_millis()));
                if !wal_is_left {
                    // Theirs, with their database.
                    drop(fs::rename(with_suffix(path, "-wal"), with_suffix(&replaced, "-wal")));
                }
                // Both names, then the exchange: there is a log at each moment, where the file system has links.
                // The WAL has the same as the copy.
                match fs::hard_link(path, &replaced).or_else(|_| fs::rename(path, &replaced)) {
                    // It was removed since.
                    Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                    done => done.map_err(failed("rename", path))?,
                }
                rename(held, path)?;
                remove_beside(path);
                let replaced = replaced.display();
                Ok(format!(
                    "{log} has all events again; what another program wrote there is kept in {replaced}"
                ))
            }
            FileChange::Overwritten => {
                let wal = move_wal_aside()?;
                Ok(format!(
                    "{log} is what another program wrote; what thrumd had is kept in {copy}{wal}"
                ))
            }
            _ if !whole || path.exists() => {
                let wal = move_wal_aside()?;
                Ok(format!("the log is kept in {copy}{wal}: its file had gone"))
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

/// Removes what SQLite keeps beside a database.
fn remove_beside(database: &Path) {
    for suffix in ["-wal", "-shm"] {
        drop(fs::remove_file(with_suffix(database, suffix)));
    }
}

/// Renames a file.
fn rename(from: &Path, to: &Path) -> Result<(), BackupError> {
    fs::rename(from, to).map_err(failed("rename", from))?;
    let directory = to.parent().unwrap_or(Path::new("."));
    // It has its name, and a power cut alone could take that away.
    if let Err(error) = File::open(directory).and_then(|dir| dir.sync_all()) {
        tracing::warn!(%error, "can't sync {}", directory.display());
    }
    Ok(())
}
