//! The identity of this daemon, in `identity.json`. A separate file, so that a lost database is noticed.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use thrum_api::DaemonId;

use super::{RegistryError, registry};
use crate::held_files::{ChangedFile, HeldFiles};
use crate::ids;
use crate::statefile::{StateFile, StateFileError};

const FILE: &str = "identity.json";

/// An error of the identity file.
#[derive(Debug, thiserror::Error)]
pub enum IdentityError {
    /// Never answered by a new identity: peers know this daemon by the old one.
    #[error(
        "{} is damaged, so this daemon does not know who it is; restore it from a backup, or start \
         as a new daemon with `thrum daemon reset-identity` and pair again",
        path.display()
    )]
    Damaged {
        path: PathBuf,
        /// What is wrong with it.
        #[source]
        cause: StateFileError,
    },
    /// The file can't be read or written.
    #[error("could not keep this daemon's identity")]
    File(#[source] StateFileError),
    /// The peers could not be forgotten; the identity is still the old one.
    #[error("could not forget the peers of the old identity")]
    Peers(#[source] RegistryError),
    /// The machine's own id can't be read.
    #[error(
        "could not read the machine's id from {}; set THRUM_MACHINE_ID_FILE to a readable file",
        path.display()
    )]
    Machine {
        /// The file that identifies the machine.
        path: PathBuf,
        #[source]
        cause: io::Error,
    },
}

/// The identity of this daemon.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    /// What the file holds.
    stored: Stored,
    pub daemon_id: DaemonId,
    /// Its ids before each reset: the log still has events that were written here under them.
    pub former: Vec<DaemonId>,
    /// This daemon had a database before.
    pub had_database: bool,
    /// The state directory was copied from another machine: it must not sync until
    /// `thrum daemon reset-identity`.
    pub foreign: bool,
}

/// The file. `machine_id` is stored in plain text: the file is as private as the peers' tokens.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Stored {
    daemon_id: DaemonId,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    machine_id: Option<String>,
    #[serde(default)]
    had_database: bool,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    former: Vec<DaemonId>,
    /// Members of later versions.
    #[serde(flatten)]
    more: BTreeMap<String, serde_json::Value>,
}

impl Identity {
    /// Reads `identity.json`, or makes it. `machine_id_file` is `/etc/machine-id` or what the
    /// configuration says; where there is none, a copied directory can't be noticed.
    ///
    /// # Errors
    /// When the file is damaged (never a silent new identity), and when it or the machine's id
    /// can't be read or written.
    pub fn load(state_dir: &Path, machine_id_file: &Path) -> Result<Self, IdentityError> {
        let file = StateFile::new(state_dir, FILE);
        let machine_id = read_machine_id(machine_id_file)?;
        let Some(mut stored) = read(&file)? else {
            let stored = Stored {
                daemon_id: ids::daemon(),
                machine_id,
                had_database: false,
                former: Vec::new(),
                more: BTreeMap::new(),
            };
            file.write(&stored).map_err(IdentityError::File)?;
            return Ok(stored.identity(false));
        };
        let foreign = stored.is_foreign(machine_id.as_deref());
        if stored.machine_id.is_none() && machine_id.is_some() {
            stored.machine_id = machine_id;
            file.write(&stored).map_err(IdentityError::File)?;
        }
        Ok(stored.identity(foreign))
    }

    /// Records that there is a database now. Called once, after the log was created.
    ///
    /// # Errors
    /// When the file can't be read or written.
    pub fn note_database(&mut self, state_dir: &Path) -> Result<(), IdentityError> {
        if self.had_database {
            return Ok(());
        }
        let file = StateFile::new(state_dir, FILE);
        let mut stored = read(&file)?.unwrap_or(Stored {
            daemon_id: self.daemon_id,
            machine_id: None,
            had_database: true,
            former: self.former.clone(),
            more: BTreeMap::new(),
        });
        stored.had_database = true;
        file.write(&stored).map_err(IdentityError::File)?;
        self.had_database = true;
        self.stored = stored;
        Ok(())
    }

    /// Holds `identity.json` from now on, so that another one in its place is noticed.
    ///
    /// # Errors
    /// When it can't be read, or another one came since it was loaded.
    pub fn hold(&self, state_dir: &Path, files: &HeldFiles) -> Result<(), IdentityError> {
        let file = StateFile::new(state_dir, FILE);
        if read(&file)?.is_none_or(|now| now != self.stored) {
            let changed = ChangedFile::replaced(file.path());
            return Err(IdentityError::File(StateFileError::Changed(changed)));
        }
        file.hold(files).map_err(IdentityError::File)
    }

    /// The contents of `identity.json`, for a backup: the file itself may have been removed.
    pub fn contents(&self) -> serde_json::Result<Vec<u8>> {
        serde_json::to_vec_pretty(&self.stored)
    }

    /// The identity in the contents of a file, seen from this machine.
    ///
    /// # Errors
    /// When they are no identity, or the machine's id can't be read.
    pub fn parse(contents: &[u8], machine_id_file: &Path) -> Result<Self, IdentityError> {
        let stored: Stored = serde_json::from_slice(contents).map_err(|cause| {
            let path = PathBuf::from(FILE);
            let cause = StateFileError::Damaged { path: path.clone(), cause };
            IdentityError::Damaged { path, cause }
        })?;
        let foreign = stored.is_foreign(read_machine_id(machine_id_file)?.as_deref());
        Ok(stored.identity(foreign))
    }

    /// The identity in this state directory, if there is one. Changes nothing.
    ///
    /// # Errors
    /// When the file can't be read or is damaged.
    pub fn look(state_dir: &Path) -> Result<Option<Self>, IdentityError> {
        Ok(read(&StateFile::new(state_dir, FILE))?.map(|stored| stored.identity(false)))
    }

    /// The file in this state directory.
    pub fn file(state_dir: &Path) -> StateFile {
        StateFile::new(state_dir, FILE)
    }

    /// Starts as a new daemon on this machine (`thrum daemon reset-identity`): new id, this
    /// machine's id, no peers. The log keeps its events; what is written from now on has another
    /// origin. The daemon must be restarted afterwards, and the caller holds the directory's lock.
    ///
    /// # Errors
    /// When a file can't be written. The identity is then still the old one.
    pub fn reset(state_dir: &Path, machine_id_file: &Path) -> Result<Self, IdentityError> {
        let file = StateFile::new(state_dir, FILE);
        let machine_id = read_machine_id(machine_id_file)?;
        let (had_database, former, more) = match read(&file) {
            Ok(Some(mut old)) => {
                old.former.push(old.daemon_id);
                (old.had_database, old.former, old.more)
            }
            Ok(None) => (false, Vec::new(), BTreeMap::new()),
            // Claiming a database that was never there costs a warning; hiding a loss costs events.
            Err(IdentityError::Damaged { .. }) => {
                file.move_aside("damaged").map_err(IdentityError::File)?;
                (true, Vec::new(), BTreeMap::new())
            }
            Err(error) => return Err(error),
        };
        // In this order: a crash between the two leaves a copy that still refuses to sync.
        registry::forget_all(state_dir).map_err(IdentityError::Peers)?;
        let stored = Stored { daemon_id: ids::daemon(), machine_id, had_database, former, more };
        file.write(&stored).map_err(IdentityError::File)?;
        Ok(stored.identity(false))
    }
}

/// What to do if a state directory seems to come from another machine and does not.
pub const SAME_MACHINE: &str = "if it is the same machine with another machine id, such as a \
    container with a rebuilt image, set THRUM_MACHINE_ID_FILE (docs/operations.md, \"Containers\")";

/// The command that gives this state directory a new identity.
pub fn how_to_reset(state_dir: &Path) -> &'static str {
    if state_dir.starts_with("/var/lib") {
        "sudo thrum daemon reset-identity"
    } else {
        "thrum daemon reset-identity"
    }
}

/// Whether a daemon has used this state directory.
pub fn is_kept_in(state_dir: &Path) -> bool {
    state_dir.join(FILE).exists()
}

impl Stored {
    fn is_foreign(&self, machine_id: Option<&str>) -> bool {
        match (self.machine_id.as_deref(), machine_id) {
            (Some(then), Some(now)) => then != now,
            // A copy can't be detected without an id on either side.
            _ => false,
        }
    }

    fn identity(&self, foreign: bool) -> Identity {
        Identity {
            stored: self.clone(),
            daemon_id: self.daemon_id,
            former: self.former.clone(),
            had_database: self.had_database,
            foreign,
        }
    }
}

fn read(file: &StateFile) -> Result<Option<Stored>, IdentityError> {
    file.read().map_err(|error| match error {
        cause @ StateFileError::Damaged { .. } => {
            IdentityError::Damaged { path: file.path().to_owned(), cause }
        }
        other => IdentityError::File(other),
    })
}

fn read_machine_id(path: &Path) -> Result<Option<String>, IdentityError> {
    let text = match std::fs::read(path) {
        Ok(bytes) => String::from_utf8_lossy(&bytes).trim().to_owned(),
        Err(cause) if cause.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(cause) => return Err(IdentityError::Machine { path: path.to_owned(), cause }),
    };
    // systemd writes this word into images that are to be copied.
    Ok(Some(text).filter(|text| !text.is_empty() && text != "uninitialized"))
}
