//! Keeps the log of a daemon that stops after a person removed or replaced its file: nobody else has it.

use std::fs::{self, File};
use std::path::{Path, PathBuf};

use super::create::empty;
use super::{BackupError, KEEPING, failed, remove, with_suffix};
use crate::clock;
use crate::log::{self, Log};

/// The copy of a log whose file is gone, until the log is closed.
pub struct Kept {
    staged: PathBuf,
    path: PathBuf,
}

/// Copies the log if its path no longer names the file that the daemon holds. None if there is nothing to do.
///
/// # Errors
/// When the copy can't be written, for example because the whole directory was removed.
pub async fn copy_lost_log(state_dir: &Path, log: &Log) -> Result<Option<Kept>, BackupError> {
    let path = state_dir.join(log::DATABASE);
    if !log.files().is_lost(&path) {
        return Ok(None);
    }
    let staged = state_dir.join(KEEPING);
    remove(&staged);
    let copy = log.copy(empty(&staged)?).await?;
    let sqlite =
        |source| BackupError::Sqlite { action: "copy the log to", path: staged.clone(), source };
    // One file, without a WAL beside it.
    copy.pragma_update(None, "journal_mode", "DELETE").map_err(sqlite)?;
    copy.close().map_err(|(_, error)| sqlite(error))?;
    File::open(&staged).and_then(|file| file.sync_all()).map_err(failed("sync", &staged))?;
    Ok(Some(Kept { staged, path }))
}

impl Kept {
    /// Puts the copy where the log was, or beside the file that is there now. Call it when the log is closed.
    ///
    /// # Errors
    /// When the directory can't be written.
    pub fn put_in_place(self) -> Result<PathBuf, BackupError> {
        let Self { staged, path } = self;
        let to = if path.exists() {
            with_suffix(&path, &format!(".held-{}", clock::now().as_millis()))
        } else {
            // Those of the removed file don't belong to the copy.
            remove(&path);
            path
        };
        let renamed = fs::rename(&staged, &to).map_err(failed("rename", &staged));
        renamed.map(|()| to)
    }
}
