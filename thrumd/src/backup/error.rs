//! Errors of backups.

use std::io;
use std::path::PathBuf;

use crate::agents::AgentsError;
use crate::log::LogError;
use crate::peer::{IdentityError, KeyFault};
use crate::statefile::StateFileError;
use crate::storage::StorageFault;

/// Why a backup can't be made or restored.
#[derive(Debug, thiserror::Error)]
pub enum BackupError {
    /// The log can't be opened, copied or locked.
    #[error("can't work on the log")]
    Log(#[from] LogError),
    /// The read marks can't be copied.
    #[error("can't copy which messages were read")]
    Agents(#[from] AgentsError),
    /// The identity can't be read or written.
    #[error("can't work on this daemon's identity")]
    Identity(#[from] IdentityError),
    /// A state file can't be written.
    #[error("can't put a file of the backup in place")]
    State(#[from] StateFileError),
    /// The identity or the peers can't be written as JSON.
    #[error("can't write the identity and the peers as JSON")]
    Encode(#[from] serde_json::Error),
    /// A file can't be written, read or moved.
    #[error("can't {action} {}", path.display())]
    File {
        /// What was tried.
        action: &'static str,
        /// The file.
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    /// SQLite failed on a file.
    #[error("can't {action} {}", path.display())]
    Sqlite {
        /// What was tried.
        action: &'static str,
        /// The file.
        path: PathBuf,
        #[source]
        source: rusqlite::Error,
    },
    /// A copy of the log would fill the disk.
    #[error(
        "the disk with {} is too full: a backup needs {wanted} meanwhile, and {free} are left",
        path.display()
    )]
    NoSpace {
        /// The copy.
        path: PathBuf,
        /// Free space for it.
        wanted: String,
        /// Free space that there is.
        free: String,
    },
    /// The log is malformed, so a copy of it is worth nothing.
    #[error("the log is malformed, so no backup of it was made")]
    LogMalformed(#[source] rusqlite::Error),
    /// The backup is malformed.
    #[error("the backup {} is malformed; nothing was changed", path.display())]
    Malformed {
        /// The backup.
        path: PathBuf,
        #[source]
        source: rusqlite::Error,
    },
    /// The backup was made before daemons had keys, by a version that was never released.
    #[error(
        "the backup {} was made by a version from before daemons had keys, and can't be used any more; nothing was \
         changed",
        path.display()
    )]
    BeforeKeys {
        /// The backup.
        path: PathBuf,
    },
    /// The key in the backup is not that of its identity.
    #[error("the key in the backup {} {fault}; nothing was changed", path.display())]
    Key {
        /// The backup.
        path: PathBuf,
        /// What is wrong with it.
        fault: KeyFault,
    },
    /// The file is something else.
    #[error("{} is not a backup that `thrum backup` made; nothing was changed", path.display())]
    NotABackup {
        /// The file.
        path: PathBuf,
    },
    /// A later thrumd made the backup.
    #[error(
        "the backup {} has schema version {found}, this thrumd knows versions up to {known}; nothing was changed",
        path.display()
    )]
    Newer {
        /// The backup.
        path: PathBuf,
        /// Its version.
        found: i64,
        /// The latest version known here.
        known: i64,
    },
}

impl BackupError {
    /// What a person can do about it, if known.
    pub fn next(&self) -> Option<String> {
        let next = match self {
            Self::Log(LogError::InUse { .. }) => {
                "stop it first: thrum daemon stop (a system service: sudo systemctl stop thrumd.service thrumd.socket)"
            }
            Self::LogMalformed(_) => {
                "restore the last good backup: thrum restore FILE; or stop thrumd, move log.db, log.db-wal and log.db-shm away, and start it: the peers send the events again"
            }
            Self::File { path, source, .. } if source.kind() == io::ErrorKind::NotFound => {
                return Some(format!("is that its name? ls -l {}", path.display()));
            }
            Self::File { path, source, .. } if source.kind() == io::ErrorKind::IsADirectory => {
                return Some(format!("name the backup in it: ls -l {}", path.display()));
            }
            Self::Malformed { .. } | Self::Key { .. } => "take an earlier backup",
            Self::BeforeKeys { .. } => {
                "take a later backup, or start without one and pair again: the peers send the events"
            }
            Self::NotABackup { .. } => {
                "a state directory that was copied as a whole is unpacked in place of the present one: see \"Back up and restore\" in docs/operations.md"
            }
            Self::Newer { .. } => "install the newer thrumd first",
            Self::NoSpace { path, .. } => return Some(StorageFault::Full.next(path)),
            Self::File { path, source, .. } => {
                return Some(StorageFault::of_io(source).next(path));
            }
            Self::Sqlite { path, source, .. } => {
                return Some(StorageFault::of_sqlite(source, path).next(path));
            }
            _ => return None,
        };
        Some(next.to_owned())
    }
}
