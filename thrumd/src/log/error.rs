//! Errors of the log. Their texts are for the person who has to act.

use std::path::{Path, PathBuf};

use thrum_api::EventId;
use thrum_api::limits::{APPEND_MAX_EVENTS, EVENT_MAX_BYTES};
use thrum_api::names::NameError;

use crate::held_files::ChangedFile;
use crate::metrics::WriteFailureReason;
use crate::storage::{SqliteError, StorageFault};

/// An error of the log.
#[derive(Debug, thiserror::Error)]
pub enum LogError {
    /// A list of the first events before a position.
    #[error("`before` is for the newest events: set `newest`, too")]
    BeforeWithoutNewest,
    /// Another process has locked the state directory.
    #[error(
        "{} is in use by another thrumd ({}); stop that one or give this one another state directory",
        .directory.display(),
        match .holder { Some(pid) => format!("pid {pid}"), None => "pid not known".to_owned() }
    )]
    InUse {
        /// The state directory.
        directory: PathBuf,
        /// The process that has it, if known.
        holder: Option<u32>,
    },
    /// A file or directory of the log can't be opened or read.
    #[error("can't {action} {}", .path.display())]
    File {
        /// What was tried.
        action: &'static str,
        /// The file or directory.
        path: PathBuf,
        /// Why it failed.
        #[source]
        source: std::io::Error,
    },
    /// The SQLite library has a known bug that loses data.
    #[error("SQLite {found} can lose data in WAL mode; thrumd needs 3.51.3 or later")]
    OldSqlite {
        /// The version of the library.
        found: &'static str,
    },
    /// The database was created by a later thrumd. It was not changed.
    #[error(
        "{} has schema version {found}, this thrumd knows versions up to {known}; it was not changed: install the newer thrumd again",
        .path.display()
    )]
    NewerSchema {
        /// The database.
        path: PathBuf,
        /// Its version.
        found: i64,
        /// The latest version known here.
        known: i64,
    },
    /// The database was made before events were proved by keys, by a version that was never released.
    #[error(
        "{} was made by a version from before daemons had keys, and can't be used any more: move the state \
         directory {} away, start again, and pair again",
        .path.display(), .path.parent().unwrap_or(.path).display()
    )]
    WithoutProofs {
        /// The database.
        path: PathBuf,
    },
    /// A database of an earlier version can't be migrated.
    #[error("can't migrate {} to this version's schema", .path.display())]
    Migrate {
        /// The database.
        path: PathBuf,
        /// Why it failed.
        #[source]
        source: Box<rusqlite_migration::Error>,
    },
    /// Too many events in one append.
    #[error("{count} events in one append; at most {max} are allowed", max = APPEND_MAX_EVENTS)]
    TooMany {
        /// How many.
        count: usize,
    },
    /// The type or project of an event is invalid.
    #[error("the event can't be written")]
    Name(#[source] NameError),
    /// An event over the limit.
    #[error("the event has {bytes} bytes; at most {max} are allowed", max = EVENT_MAX_BYTES)]
    TooLarge {
        /// How large it would be.
        bytes: usize,
    },
    /// An event that some programs could not read.
    #[error("the event has a body that not every program can read")]
    NotPortable(#[source] serde_json::Error),
    /// The caller's event id belongs to another event.
    #[error("event id {event_id} already belongs to an event with other content")]
    IdTaken {
        /// The id.
        event_id: EventId,
    },
    /// The database can't be opened, read or written.
    #[error("can't {action}: {}", .fault.text(.path))]
    Storage {
        /// What was tried.
        action: &'static str,
        /// The database.
        path: PathBuf,
        /// What is wrong.
        fault: StorageFault,
        /// SQLite's message.
        #[source]
        source: SqliteError,
    },
    /// Too little space is left for events of peers.
    #[error("too little space: {warning}")]
    Reserve {
        /// The database.
        path: PathBuf,
        /// How much is left.
        warning: String,
    },
    /// A file was removed or replaced under the daemon: nothing is written until that is mended.
    #[error("nothing is written: {0}")]
    FilesChanged(ChangedFile),
    /// Another program wrote to the log: events of it are not read until thrumd was restarted.
    #[error("no events are read: {0}")]
    Unreadable(ChangedFile),
    /// A thread of the log has died.
    #[error("the log's {thread} thread has died; restart thrumd")]
    Died {
        /// Which one.
        thread: &'static str,
    },
    /// The log is being closed, or is closed.
    #[error("the log is stopping")]
    Stopping,
}

/// Kinds of errors, for answers to callers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogErrorKind {
    /// The request is invalid; repeating it fails again.
    Invalid,
    /// An event over its limit.
    TooLarge,
    /// The disk, the database or a thread failed.
    Storage,
    /// A file was removed or replaced under the daemon.
    FilesChanged,
    /// The daemon is stopping.
    Stopping,
}

impl LogError {
    /// The kind of this error.
    pub const fn kind(&self) -> LogErrorKind {
        match self {
            Self::TooMany { .. }
            | Self::Name(_)
            | Self::NotPortable(_)
            | Self::IdTaken { .. }
            | Self::BeforeWithoutNewest => LogErrorKind::Invalid,
            Self::TooLarge { .. } => LogErrorKind::TooLarge,
            Self::InUse { .. }
            | Self::File { .. }
            | Self::OldSqlite { .. }
            | Self::NewerSchema { .. }
            | Self::WithoutProofs { .. }
            | Self::Migrate { .. }
            | Self::Storage { .. }
            | Self::Reserve { .. }
            | Self::Died { .. } => LogErrorKind::Storage,
            Self::FilesChanged(_) | Self::Unreadable(_) => LogErrorKind::FilesChanged,
            Self::Stopping => LogErrorKind::Stopping,
        }
    }

    /// What is wrong with the storage, if that is the error.
    pub fn fault(&self) -> Option<StorageFault> {
        match self {
            Self::Storage { fault, .. } => Some(*fault),
            Self::File { source, .. } => Some(StorageFault::of_io(source)),
            _ => None,
        }
    }

    /// What a failed write is counted as; None if it was not the storage that failed.
    pub(super) fn failure_reason(&self) -> Option<WriteFailureReason> {
        Some(match self {
            Self::FilesChanged(_) => WriteFailureReason::FilesChanged,
            Self::Died { .. } => WriteFailureReason::Other,
            _ => match self.fault()? {
                StorageFault::Full => WriteFailureReason::Full,
                StorageFault::ReadOnly => WriteFailureReason::ReadOnly,
                StorageFault::Denied => WriteFailureReason::Denied,
                StorageFault::Locked => WriteFailureReason::Locked,
                StorageFault::OpenFiles => WriteFailureReason::OpenFiles,
                StorageFault::Damaged => WriteFailureReason::Damaged,
                StorageFault::Disk => WriteFailureReason::Disk,
                StorageFault::Other => WriteFailureReason::Other,
            },
        })
    }

    /// What a person can do about it, if known.
    pub fn next(&self) -> Option<String> {
        match self {
            Self::Storage { path, .. } | Self::File { path, .. } => {
                self.fault().map(|fault| fault.next(path))
            }
            Self::Reserve { path, .. } => Some(StorageFault::Full.next(path)),
            Self::FilesChanged(changed) | Self::Unreadable(changed) => Some(changed.next()),
            _ => None,
        }
    }

    pub(super) fn storage(action: &'static str, path: &Path, source: rusqlite::Error) -> Self {
        let fault = StorageFault::of_sqlite(&source, path);
        Self::Storage { action, path: path.to_owned(), fault, source: source.into() }
    }
}

/// Why work in a transaction failed: refused before it wrote anything, or an error of SQLite.
#[derive(Debug)]
pub enum Failed {
    /// It was refused, and the transaction goes on.
    Refused(LogError),
    /// SQLite failed, and with it the transaction.
    Sqlite(rusqlite::Error),
}

impl Failed {
    /// A refusal becomes the answer: only SQLite fails a transaction.
    pub(super) fn split<T>(done: Result<T, Self>) -> rusqlite::Result<Result<T, LogError>> {
        match done {
            Ok(done) => Ok(Ok(done)),
            Err(Self::Refused(error)) => Ok(Err(error)),
            Err(Self::Sqlite(error)) => Err(error),
        }
    }
}

impl From<ChangedFile> for Failed {
    fn from(changed: ChangedFile) -> Self {
        Self::Refused(LogError::FilesChanged(changed))
    }
}

impl Failed {
    /// The error for the caller; `action` completes "can't ...".
    pub(super) fn into_error(self, action: &'static str, path: &Path) -> LogError {
        match self {
            Self::Refused(error) => error,
            Self::Sqlite(error) => LogError::storage(action, path, error),
        }
    }
}

impl From<rusqlite::Error> for Failed {
    fn from(error: rusqlite::Error) -> Self {
        Self::Sqlite(error)
    }
}
