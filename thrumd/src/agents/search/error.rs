//! Errors of the search.

use std::path::{Path, PathBuf};

use thrum_api::{ErrorCode, RpcError};

use super::super::error::AgentsError;
use crate::log::LogError;
use crate::storage::{SqliteError, StorageFault};

/// Words and phrases of one search.
pub(super) const WORDS_MAX: usize = 64;
/// Bytes of one search.
pub(super) const WORDS_MAX_BYTES: usize = 4096;

/// What went wrong with a search.
#[derive(Debug, thiserror::Error)]
pub enum SearchError {
    /// There is no word in what is looked for.
    #[error("there is no word to look for")]
    NoWords,
    /// Too much is looked for at once.
    #[error("at most {WORDS_MAX} words with {WORDS_MAX_BYTES} bytes can be looked for at once")]
    TooManyWords,
    /// `search.db` can't be created, or its old file not be removed.
    #[error("could not open search.db: {}", StorageFault::of_io(source).text(path))]
    File {
        path: PathBuf,
        #[source]
        source: std::io::Error,
    },
    /// A query or change in `search.db` failed.
    #[error("could not {doing}: {}", StorageFault::of_code(&source.0).text(Path::new("search.db")))]
    Index {
        doing: &'static str,
        #[source]
        source: SqliteError,
    },
    /// `search.db` was made anew while a page was to be added to the old one.
    #[error("search.db was made anew meanwhile")]
    MadeAnew,
    /// The thread of the index can't be started.
    #[error("could not start the thread of the search")]
    Thread(#[source] std::io::Error),
    /// The log can't be read.
    #[error(transparent)]
    Log(AgentsError),
    /// The daemon is stopping.
    #[error("the search is stopping")]
    Stopping,
}

impl SearchError {
    /// Whether the file itself is damaged: then it is made anew.
    pub(super) fn is_damage(&self) -> bool {
        matches!(self, Self::Index { source, .. }
            if StorageFault::of_code(&source.0) == StorageFault::Damaged)
    }

    /// The answer to a caller on this machine.
    pub fn to_rpc(&self) -> RpcError {
        let error = |code| RpcError::new(code, self.to_string());
        match self {
            Self::NoWords => {
                error(ErrorCode::INVALID_PARAMS).hint("give a word with a letter or a digit")
            }
            Self::TooManyWords => error(ErrorCode::INVALID_PARAMS).hint("look for fewer words"),
            Self::File { path, source } => {
                error(ErrorCode::STORAGE).hint(StorageFault::of_io(source).next(path))
            }
            Self::Index { source, .. } => match StorageFault::of_code(&source.0) {
                StorageFault::Damaged => error(ErrorCode::STORAGE)
                    .hint("try again: thrumd makes a new file from the log by itself"),
                fault => error(ErrorCode::STORAGE).hint(fault.next(Path::new("search.db"))),
            },
            Self::MadeAnew => {
                error(ErrorCode::STORAGE).hint("try again: thrumd fills it from the log")
            }
            Self::Thread(_) => error(ErrorCode::STORAGE),
            Self::Log(cause) => cause.to_rpc(),
            Self::Stopping => error(ErrorCode::STOPPING),
        }
    }
}

/// Shortens `map_err`: `.map_err(index("look for words"))`.
pub(super) fn index(doing: &'static str) -> impl Fn(rusqlite::Error) -> SearchError {
    move |source| SearchError::Index { doing, source: source.into() }
}

/// The log could not be read.
pub(super) fn log_unread(source: LogError) -> SearchError {
    match source {
        LogError::Stopping => SearchError::Stopping,
        source => SearchError::Log(super::super::error::log_unread(source)),
    }
}
