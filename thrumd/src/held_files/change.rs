//! What happened to a file, and the way out.

use std::fmt;
use std::path::PathBuf;

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

    /// Whether it is about a file with this name.
    fn is(&self, name: &str) -> bool {
        self.path.file_name().is_some_and(|found| found == name)
    }

    /// What a person can do.
    pub fn next(&self) -> String {
        let path = self.path.display();
        if self.is("thrumd.lock") {
            return "run thrum daemon restart: until then another thrumd could use the same files"
                .to_owned();
        }
        let database = self.is("log.db");
        let small = self.is("identity.json") || self.is("peers.json");
        match self.change {
            FileChange::Removed if small || database => {
                "put it back, or run thrum daemon restart: thrumd writes it again when it stops".to_owned()
            }
            FileChange::Replaced if small => {
                "put the old one back, or run thrum daemon restart to use the new one".to_owned()
            }
            FileChange::Replaced if database => {
                "put the old one back, or run thrum daemon restart to use the new one: what thrumd holds is then \
                 kept beside it, as log.db.held-..."
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
