//! The key of this daemon, in `key.json`. Not in `identity.json`: people look into that one, and this is a secret.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::sync::Arc;

use data_encoding::BASE64URL_NOPAD;
use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use thrum_api::DaemonId;
use zeroize::Zeroizing;

use super::identity_error::{IdentityError, KeyFault};
use crate::held_files::{ChangedFile, HeldFiles};
use crate::keys::SecretKey;
use crate::statefile::{self, StateFile, StateFileError};

pub(super) const FILE: &str = "key.json";
/// What lets others read or write a file.
const FOR_OTHERS: u32 = 0o066;

/// The key file of a state directory.
#[derive(Debug)]
pub(super) struct KeyFile(StateFile);

/// What is in it. The id shows damage of the seed, and whose key it is.
#[derive(Serialize, Deserialize)]
struct Stored {
    daemon_id: DaemonId,
    #[serde(rename = "seed", serialize_with = "write_seed", deserialize_with = "read_seed")]
    key: Arc<SecretKey>,
}

impl KeyFile {
    /// The file in this state directory. Touches nothing.
    pub(super) fn new(state_dir: &Path) -> Self {
        Self(StateFile::new(state_dir, FILE))
    }

    /// The key; None if there is no such file. One that others may read is closed to them, which the log tells.
    ///
    /// # Errors
    /// When it is damaged or can't be read.
    pub(super) fn read(&self) -> Result<Option<Arc<SecretKey>>, IdentityError> {
        let mode = fs::symlink_metadata(self.0.path()).map_or(0, |file| file.permissions().mode());
        let stored = match self.0.read::<Stored>() {
            Ok(stored) => stored,
            // Its cause may quote the seed.
            Err(StateFileError::Damaged { .. }) => return Err(self.unusable(KeyFault::Damaged)),
            Err(error) => return Err(IdentityError::File(error)),
        };
        let Some(stored) = stored else { return Ok(None) };
        if mode & FOR_OTHERS != 0 {
            tracing::warn!(
                "others on this machine could read {} (mode {:04o}), which is the secret key of this daemon; they \
                 can't any more. If somebody may have read it, make a new one: `thrum daemon reset-identity`, and \
                 pair again",
                self.0.path().display(),
                mode & 0o7777
            );
        }
        stored.key().map(Some).map_err(|fault| self.unusable(fault))
    }

    /// The key of this daemon.
    ///
    /// # Errors
    /// When it is missing, damaged, of another daemon, or can't be read.
    pub(super) fn read_of(&self, identity: DaemonId) -> Result<Arc<SecretKey>, IdentityError> {
        let key = self.read()?.ok_or_else(|| self.unusable(KeyFault::Missing))?;
        check_is_of(&key, identity).map_err(|fault| self.unusable(fault))?;
        Ok(key)
    }

    /// Makes a key and writes it in the place of any other one.
    ///
    /// # Errors
    /// When the system has no random bytes, or the file can't be written.
    pub(super) fn make(&self) -> Result<Arc<SecretKey>, IdentityError> {
        let key = Arc::new(SecretKey::generate()?);
        self.0.write(&Stored::of(&key)).map_err(IdentityError::File)?;
        Ok(key)
    }

    /// Holds the file from now on, so that another one in its place is noticed.
    ///
    /// # Errors
    /// When it can't be read, or does not hold this key any more.
    pub(super) fn hold(&self, key: &SecretKey, files: &HeldFiles) -> Result<(), IdentityError> {
        if self.read()?.is_none_or(|now| now.id() != key.id()) {
            let changed = ChangedFile::replaced(self.0.path());
            return Err(IdentityError::File(StateFileError::Changed(changed)));
        }
        self.0.hold(files).map_err(IdentityError::File)
    }

    /// Moves the file aside.
    ///
    /// # Errors
    /// When it can't be renamed.
    pub(super) fn move_aside(&self, why: &str) -> Result<(), IdentityError> {
        self.0.move_aside(why).map(drop).map_err(IdentityError::File)
    }

    /// The file itself.
    pub(super) fn into_state_file(self) -> StateFile {
        self.0
    }

    fn unusable(&self, fault: KeyFault) -> IdentityError {
        IdentityError::Key { path: self.0.path().to_owned(), fault }
    }
}

impl Stored {
    fn of(key: &Arc<SecretKey>) -> Self {
        Self { daemon_id: key.id(), key: Arc::clone(key) }
    }

    fn key(self) -> Result<Arc<SecretKey>, KeyFault> {
        if self.key.id() == self.daemon_id { Ok(self.key) } else { Err(KeyFault::Damaged) }
    }
}

/// Whether a daemon has left a key in this state directory.
pub(super) fn is_in(state_dir: &Path) -> bool {
    state_dir.join(FILE).exists()
}

/// The contents of a key file with this key, for a backup: the file itself may have been removed.
pub(super) fn contents(key: &Arc<SecretKey>) -> serde_json::Result<Zeroizing<Vec<u8>>> {
    statefile::to_bytes(&Stored::of(key))
}

/// The key in the contents of such a file, if it is that of this daemon.
///
/// # Errors
/// When it is not.
pub(super) fn parse(contents: &[u8], identity: DaemonId) -> Result<Arc<SecretKey>, KeyFault> {
    let stored: Stored = serde_json::from_slice(contents).map_err(|_| KeyFault::Damaged)?;
    let key = stored.key()?;
    check_is_of(&key, identity)?;
    Ok(key)
}

fn check_is_of(key: &SecretKey, identity: DaemonId) -> Result<(), KeyFault> {
    let id = key.id();
    if id == identity { Ok(()) } else { Err(KeyFault::OtherDaemon { key: id, identity }) }
}

fn write_seed<S: Serializer>(key: &Arc<SecretKey>, to: S) -> Result<S::Ok, S::Error> {
    to.serialize_str(&Zeroizing::new(BASE64URL_NOPAD.encode(&*key.seed())))
}

fn read_seed<'de, D: Deserializer<'de>>(from: D) -> Result<Arc<SecretKey>, D::Error> {
    let text = Zeroizing::new(String::deserialize(from)?);
    let mut seed = Zeroizing::new([0; 32]);
    // Checked first: the decoder needs to know how long its output is.
    let is_seed = BASE64URL_NOPAD.decode_len(text.len()) == Ok(seed.len())
        && BASE64URL_NOPAD.decode_mut(text.as_bytes(), seed.as_mut()).is_ok();
    if !is_seed {
        return Err(D::Error::custom("a seed has 43 characters of base64url"));
    }
    Ok(Arc::new(SecretKey::from_seed(&seed)))
}
