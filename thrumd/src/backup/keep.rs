//! Keeps the log of a daemon that stops after a person removed or replaced its file: nobody else has it.

use std::fs::{self, File};
use std::path::{Path, PathBuf};

use super::create::empty;
use super::{BackupError, KEEPING, failed, remove, with_suffix};
use crate::clock;
use crate::log::{self, Log};

/// The copy of a log whose file is gone.
pub struct Kept {
    /// Beside the log's own name, until the log is closed.
    held: PathBuf,
    path: PathBuf,
    /// A malformed one would keep the daemon from starting.
    sound: bool,
}

/// Copies the log if its path no longer names the file that the daemon holds. None if there is nothing to do.
///
/// # Errors
/// When the copy can't be written, for example because the whole directory was removed.
pub async fn copy_lost_log(log: &Log) -> Result<Option<Kept>, BackupError> {
    let path = log.directory().join(log::DATABASE);
    if !log.files().is_lost(&path) {
        return Ok(None);
    }
    let staged = log.directory().join(KEEPING);
    remove(&staged);
    let copy = log.copy(empty(&staged)?).await?;
    let sqlite =
        |source| BackupError::Sqlite { action: "copy the log to", path: staged.clone(), source };
    // One file, without a WAL beside it.
    copy.pragma_update(None, "journal_mode", "DELETE").map_err(sqlite)?;
    let sound = log::check(&copy).is_ok();
    copy.close().map_err(|(_, error)| sqlite(error))?;
    File::open(&staged).and_then(|file| file.sync_all()).map_err(failed("sync", &staged))?;
    // A name that stays if the process dies now.
    let held = with_suffix(&path, &format!(".held-{}", clock::now().as_millis()));
    rename(&staged, &held)?;
    Ok(Some(Kept { held, path, sound }))
}

impl Kept {
    /// Gives the copy the log's name if that is free and it is sound. Call it when the log is closed.
    ///
    /// # Errors
    /// When the directory can't be written. The copy keeps its name then.
    pub fn put_in_place(self) -> Result<PathBuf, BackupError> {
        let Self { held, path, sound } = self;
        if !sound || path.exists() {
            return Ok(held);
        }
        // Those of the removed file don't belong to the copy.
        remove(&path);
        rename(&held, &path).map(|()| path)
    }
}

/// Renames a file; the new name is on the disk afterwards.
fn rename(from: &Path, to: &Path) -> Result<(), BackupError> {
    fs::rename(from, to).map_err(failed("rename", from))?;
    let directory = to.parent().unwrap_or(Path::new("."));
    File::open(directory).and_then(|dir| dir.sync_all()).map_err(failed("sync", directory))
}
