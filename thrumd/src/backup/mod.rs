//! Backups: one file with the log, the identity and its key, the paired machines and the read marks.
//!
//! A backup is a copy of `log.db` with two more tables. `application_id` tells it from any other database.

mod create;
mod error;
mod inspect;
mod keep;
mod restore;

use std::fs::DirBuilder;
use std::io;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};

use crate::database_files;

pub use create::{Backup, Sources, create};
pub use error::BackupError;
pub use inspect::BackupFile;
pub use keep::{copy_lost_log, keep_without_copy};
pub use restore::Restore;

/// "thrm", in the header of the file.
const APPLICATION_ID: i32 = 0x7468_726d;

/// What a backup holds beside the log and the read marks.
const TABLE: &str = "CREATE TABLE backup (
    one INTEGER PRIMARY KEY CHECK (one = 1),
    made_at INTEGER NOT NULL,
    identity BLOB NOT NULL, -- identity.json
    key BLOB NOT NULL,      -- key.json, with the seed
    peers BLOB NOT NULL     -- peers.json, with the tokens
) STRICT;";

/// Takes away what makes a log a backup. The key and the tokens are overwritten: nobody expects them in `log.db`.
const NO_BACKUP: &str =
    "PRAGMA secure_delete = ON; DROP TABLE backup; DROP TABLE backup_read_marks;
    PRAGMA application_id = 0;";

/// Where a backup is made, in the state directory.
const FOLDER: &str = "backup.tmp";

/// The copy of a log that is kept, before it gets its name.
const KEEPING: &str = "log.db.keeping";

/// The log of a backup, before it gets its name.
const RESTORING: &str = "log.db.restoring";

/// A folder for unfinished files, removed with what is in it.
struct Folder(PathBuf);

impl Folder {
    /// A new folder, for this user alone. What an earlier one left is removed.
    fn new(path: PathBuf) -> io::Result<Self> {
        match std::fs::remove_dir_all(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        DirBuilder::new().mode(0o700).create(&path)?;
        Ok(Self(path))
    }

    fn join(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        if let Err(error) = std::fs::remove_dir_all(&self.0) {
            tracing::warn!(path = %self.0.display(), %error, "a temporary folder stays");
        }
    }
}

/// Removes what a process that was killed left of a backup, or of a log that it kept.
pub fn remove_leftovers(state_dir: &Path) {
    drop(std::fs::remove_dir_all(state_dir.join(FOLDER)));
    remove(&state_dir.join(KEEPING));
    remove(&state_dir.join(RESTORING));
}

/// Removes a database with what is beside it.
fn remove(database: &Path) {
    for file in database_files::all(database) {
        drop(std::fs::remove_file(file));
    }
}

fn failed(action: &'static str, path: &Path) -> impl Fn(io::Error) -> BackupError {
    let path = path.to_owned();
    move |source| BackupError::File { action, path: path.clone(), source }
}
