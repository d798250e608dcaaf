//! What happened to a file, and the way out.

use std::borrow::Cow;
use std::fmt;
use std::path::{Path, PathBuf};

/// What happened to a file that is held.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FileChange {
    /// It is not there.
    Removed,
    /// Another file is there, or other contents.
    Replaced,
    /// Another program wrote to it.
    Overwritten,
    /// The path can't be looked at.
    Hidden,
}

/// A file, or the whole directory, that is not what this daemon holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChangedFile {
    pub(super) path: PathBuf,
    pub(super) change: FileChange,
}

impl std::error::Error for ChangedFile {}

impl ChangedFile {
    pub(super) fn new(path: PathBuf, change: FileChange) -> Self {
        Self { path, change }
    }

    /// Another file is at this path than the one that was read.
    pub fn replaced(path: &Path) -> Self {
        Self::new(path.to_owned(), FileChange::Replaced)
    }

    /// Whether it is about a file with this name.
    fn is(&self, name: &str) -> bool {
        self.name() == name
    }

    fn name(&self) -> Cow<'_, str> {
        self.path.file_name().unwrap_or_default().to_string_lossy()
    }

    /// What a person can do.
    pub fn next(&self) -> String {
        let path = self.path.display();
        if self.is("thrumd.lock") {
            return "run thrum daemon restart: until then another thrumd could use the same files"
                .to_owned();
        }
        let database =
            self.is("log.db") || (self.is("log.db-wal") && self.change == FileChange::Overwritten);
        let small = ["identity.json", "key.json", "peers.json"].iter().any(|name| self.is(name));
        match self.change {
            FileChange::Removed if small || database => {
                "put it back, or run thrum daemon restart: thrumd writes it again when it stops".to_owned()
            }
            FileChange::Replaced if small => format!(
                "put the old one back, or run thrum daemon restart to use the new one: the old one is then kept \
                 beside it, as {}.held-...",
                self.name()
            ),
            FileChange::Replaced if database => {
                "put the old one back, or run thrum daemon restart to use the new one: what thrumd holds is then \
                 kept beside it, as log.db.held-..."
                    .to_owned()
            }
            FileChange::Overwritten if database => {
                "run thrum daemon restart: if thrumd still has all events that it acknowledged, they stay the log, \
                 and what is there now is kept beside it, as log.db.replaced-...; if not, that is used, and what is \
                 left of the log is kept as log.db.held-..."
                    .to_owned()
            }
            FileChange::Hidden => format!("see whose it is: ls -ld {path}"),
            FileChange::Removed | FileChange::Replaced | FileChange::Overwritten => {
                "put it back; or save what thrumd still holds (thrum backup FILE), then run thrum daemon \
                 restart to use what is there now"
                    .to_owned()
            }
        }
    }
}

impl fmt::Display for ChangedFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let path = self.path.display();
        match self.change {
            FileChange::Removed => write!(f, "{path} was removed while thrumd uses it"),
            FileChange::Replaced => write!(f, "{path} was replaced while thrumd uses it"),
            FileChange::Overwritten => {
                write!(f, "another program wrote to {path} while thrumd uses it")
            }
            FileChange::Hidden => write!(f, "thrumd may no longer look at {path}"),
        }
    }
}
