//! The identity of this daemon, in `identity.json`, with its key, in `key.json`. Separate files, so that a lost database
//! is noticed.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use thrum_api::DaemonId;
use ulid::Ulid;
use zeroize::Zeroizing;

use super::identity_error::IdentityError;
use super::key_file::{self, KeyFile};
use super::registry;
use crate::held_files::{ChangedFile, HeldFiles};
use crate::keys::SecretKey;
use crate::statefile::{StateFile, StateFileError};

const FILE: &str = "identity.json";

/// The identity of this daemon.
#[derive(Debug, Clone)]
pub struct Identity {
    /// What the file holds.
    stored: Stored,
    key: Arc<SecretKey>,
    /// The public key.
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
    /// Reads `identity.json` and `key.json`, or makes them. `machine_id_file` is `/etc/machine-id` or what the
    /// configuration says; where there is none, a copied directory can't be noticed.
    ///
    /// # Errors
    /// When a file is damaged, or the key lost or another one (never a silent new identity), and when a file or the
    /// machine's id can't be read or written.
    pub fn load(state_dir: &Path, machine_id_file: &Path) -> Result<Self, IdentityError> {
        let file = StateFile::new(state_dir, FILE);
        let key_file = KeyFile::new(state_dir);
        let machine_id = read_machine_id(machine_id_file)?;
        let Some(mut stored) = read(&file)? else {
            // The key is written first: without it, its id is worth nothing.
            let key = match key_file.read()? {
                Some(key) => {
                    tracing::warn!(
                        "{} was missing: made anew, for the daemon {} whose key is here",
                        file.path().display(),
                        key.id()
                    );
                    key
                }
                None => key_file.make()?,
            };
            let stored = Stored {
                daemon_id: key.id(),
                machine_id,
                had_database: false,
                former: Vec::new(),
                more: BTreeMap::new(),
            };
            file.write(&stored).map_err(IdentityError::File)?;
            return Ok(stored.identity(key, false));
        };
        let key = key_file.read_of(stored.daemon_id)?;
        let foreign = stored.is_foreign(machine_id.as_deref());
        if stored.machine_id.is_none() && machine_id.is_some() {
            stored.machine_id = machine_id;
            file.write(&stored).map_err(IdentityError::File)?;
        }
        Ok(stored.identity(key, foreign))
    }

    /// The key, whose public half is the id.
    pub fn key(&self) -> Arc<SecretKey> {
        Arc::clone(&self.key)
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

    /// Holds `identity.json` and `key.json` from now on, so that others in their place are noticed.
    ///
    /// # Errors
    /// When one can't be read, or another one came since it was loaded.
    pub fn hold(&self, state_dir: &Path, files: &HeldFiles) -> Result<(), IdentityError> {
        let file = StateFile::new(state_dir, FILE);
        if read(&file)?.is_none_or(|now| now != self.stored) {
            let changed = ChangedFile::replaced(file.path());
            return Err(IdentityError::File(StateFileError::Changed(changed)));
        }
        file.hold(files).map_err(IdentityError::File)?;
        KeyFile::new(state_dir).hold(&self.key, files)
    }

    /// The contents of `identity.json`, for a backup: the file itself may have been removed.
    pub fn contents(&self) -> serde_json::Result<Vec<u8>> {
        serde_json::to_vec_pretty(&self.stored)
    }

    /// The contents of `key.json`, for a backup.
    pub fn key_contents(&self) -> serde_json::Result<Zeroizing<Vec<u8>>> {
        key_file::contents(&self.key())
    }

    /// The identity in the contents of both files, seen from this machine.
    ///
    /// # Errors
    /// When they are no identity, the key is not its key, or the machine's id can't be read.
    pub fn parse(
        contents: &[u8],
        key: &[u8],
        machine_id_file: &Path,
    ) -> Result<Self, IdentityError> {
        let stored: Stored = serde_json::from_slice(contents).map_err(|cause| {
            let path = PathBuf::from(FILE);
            let cause = StateFileError::Damaged { path: path.clone(), cause };
            IdentityError::Damaged { path, cause }
        })?;
        let key = key_file::parse(key, stored.daemon_id)
            .map_err(|fault| IdentityError::Key { path: PathBuf::from(key_file::FILE), fault })?;
        let foreign = stored.is_foreign(read_machine_id(machine_id_file)?.as_deref());
        Ok(stored.identity(key, foreign))
    }

    /// The id in `identity.json` of this state directory, if there is one. Says nothing about its key.
    ///
    /// # Errors
    /// When the file can't be read or is damaged.
    pub fn id_in(state_dir: &Path) -> Result<Option<DaemonId>, IdentityError> {
        Ok(read(&StateFile::new(state_dir, FILE))?.map(|stored| stored.daemon_id))
    }

    /// The key in this state directory, if there is one and it is that of the identity there. Changes nothing.
    pub fn key_in(state_dir: &Path) -> Option<Arc<SecretKey>> {
        let id = Self::id_in(state_dir).ok().flatten()?;
        KeyFile::new(state_dir).read_of(id).ok()
    }

    /// Whether this state directory has the key of this daemon.
    pub fn has_key_of(state_dir: &Path, id: DaemonId) -> bool {
        KeyFile::new(state_dir).read_of(id).is_ok()
    }

    /// The file in this state directory.
    pub fn file(state_dir: &Path) -> StateFile {
        StateFile::new(state_dir, FILE)
    }

    /// The key file in this state directory.
    pub fn key_file(state_dir: &Path) -> StateFile {
        KeyFile::new(state_dir).into_state_file()
    }

    /// Starts as a new daemon on this machine (`thrum daemon reset-identity`): new key and id, this
    /// machine's id, no peers. The log keeps its events; what is written from now on has another
    /// origin. The daemon must be restarted afterwards, and the caller holds the directory's lock.
    ///
    /// # Errors
    /// When a file can't be written. The identity is then still the old one, or the daemon doesn't start until this was
    /// done again.
    pub fn reset(state_dir: &Path, machine_id_file: &Path) -> Result<Self, IdentityError> {
        let (file, key_file) = (StateFile::new(state_dir, FILE), KeyFile::new(state_dir));
        let machine_id = read_machine_id(machine_id_file)?;
        let old = match read(&file) {
            Ok(old) => Ok(old),
            Err(error @ IdentityError::Damaged { .. }) => Err(error),
            Err(error) => return Err(error),
        };
        let former_key = match key_file.read() {
            Ok(key) => key,
            Err(IdentityError::Key { .. }) => {
                key_file.move_aside("damaged")?;
                None
            }
            Err(error) => return Err(error),
        };
        // In this order: a crash in between leaves a copy that still refuses to sync, then a daemon that doesn't start
        // because key and identity don't fit.
        registry::forget_all(state_dir).map_err(IdentityError::Peers)?;
        let key = key_file.make()?;
        let of_key = former_key.map(|key| key.id()).into_iter().collect::<Vec<_>>();
        let (had_database, former, more) = match old {
            Ok(Some(mut old)) => {
                old.former.push(old.daemon_id);
                (old.had_database, old.former, old.more)
            }
            Ok(None) => (!of_key.is_empty(), of_key, BTreeMap::new()),
            // Claiming a database that was never there costs a warning; hiding a loss costs events.
            Err(_) => {
                file.move_aside("damaged").map_err(IdentityError::File)?;
                (true, of_key, BTreeMap::new())
            }
        };
        let stored = Stored { daemon_id: key.id(), machine_id, had_database, former, more };
        file.write(&stored).map_err(IdentityError::File)?;
        Ok(stored.identity(key, false))
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
    state_dir.join(FILE).exists() || key_file::is_in(state_dir)
}

impl Stored {
    fn is_foreign(&self, machine_id: Option<&str>) -> bool {
        match (self.machine_id.as_deref(), machine_id) {
            (Some(then), Some(now)) => then != now,
            // A copy can't be detected without an id on either side.
            _ => false,
        }
    }

    fn identity(&self, key: Arc<SecretKey>, foreign: bool) -> Identity {
        Identity {
            stored: self.clone(),
            key,
            daemon_id: self.daemon_id,
            former: self.former.clone(),
            had_database: self.had_database,
            foreign,
        }
    }
}

fn read(file: &StateFile) -> Result<Option<Stored>, IdentityError> {
    let path = file.path().to_owned();
    file.read().map_err(|error| match error {
        cause @ StateFileError::Damaged { .. } => match file.read::<BeforeKeys>() {
            Ok(Some(old)) if old.is_one() => IdentityError::BeforeKeys { path },
            _ => IdentityError::Damaged { path, cause },
        },
        other => IdentityError::File(other),
    })
}

/// The file of a version from before daemons had keys, whose ids were ULIDs.
#[derive(Deserialize)]
struct BeforeKeys {
    daemon_id: String,
}

impl BeforeKeys {
    fn is_one(&self) -> bool {
        self.daemon_id.strip_prefix("d_").is_some_and(|id| Ulid::from_string(id).is_ok())
    }
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
