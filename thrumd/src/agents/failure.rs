//! Why an event was not digested.

use thrum_api::names::NameError;

use crate::report::brief;

pub(super) enum Failure {
    /// The event can't be digested. It stays in the log and is still relayed.
    Undigestible(String),
    /// Its row in the log is damaged.
    Damaged,
    Sqlite(rusqlite::Error),
}

impl Failure {
    pub(super) fn undigestible(reason: impl ToString) -> Self {
        Self::Undigestible(brief(&reason.to_string()))
    }
}

impl From<NameError> for Failure {
    fn from(error: NameError) -> Self {
        Self::undigestible(error)
    }
}

impl From<rusqlite::Error> for Failure {
    fn from(error: rusqlite::Error) -> Self {
        Self::Sqlite(error)
    }
}
