//! Errors of the files that say who this daemon is.

use std::io;
use std::path::PathBuf;

use thrum_api::DaemonId;
use thrum_api::label::short_id;

use super::RegistryError;
use crate::ids::NoRandomness;
use crate::statefile::StateFileError;

/// An error of `identity.json` or `key.json`.
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
    /// The identity was made before daemons had keys, by a version that was never released.
    #[error(
        "{} was made by a version from before daemons had keys, and can't be used any more: move the state \
         directory {} away, start again, and pair again",
        path.display(), path.parent().unwrap_or(path).display()
    )]
    BeforeKeys { path: PathBuf },
    /// Never answered by a new key: peers know this daemon by the old one.
    #[error(
        "{} {fault}, so this daemon can't prove who it is; restore it from a backup with `thrum restore FILE`, or \
         start as a new daemon with `thrum daemon reset-identity` and pair again",
        path.display()
    )]
    Key { path: PathBuf, fault: KeyFault },
    /// No key can be made.
    #[error("could not make a key for this daemon")]
    NoKey(#[from] NoRandomness),
    /// A file can't be read or written.
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

/// Why the key of an identity can't be used, as the end of a sentence that begins with the file. It has no cause: that
/// could quote the file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum KeyFault {
    /// There is no such file.
    #[error("is missing")]
    Missing,
    /// It is no key, or not the one of the id beside it.
    #[error("is damaged")]
    Damaged,
    /// It is the key of another identity.
    #[error(
        "is the key of the daemon {}, but identity.json is of {}",
        short_id(*key), short_id(*identity)
    )]
    OtherDaemon {
        /// The daemon with this key.
        key: DaemonId,
        /// The daemon of the identity.
        identity: DaemonId,
    },
}
