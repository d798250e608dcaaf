//! Errors of the start.

use std::io;
use std::path::{Path, PathBuf};

use super::state_dir::UnsafeDirectory;
use crate::admin::SocketError;
use crate::agents::{AgentsError, SearchError};
use crate::backup::BackupError;
use crate::log::LogError;
use crate::peer::{IdentityError, RegistryError};
use crate::statefile::StateFileError;
use crate::storage::StorageFault;
use crate::tailnet::TailnetError;
use crate::tailnet::private::ChildError;

const ELSEWHERE: &str =
    "move the state directory to where all folders above it belong to root or to its owner alone";

/// Why the daemon could not start.
#[derive(Debug, thiserror::Error)]
pub enum ServiceError {
    /// Times outside these years can't be written.
    #[error("this machine's clock is not set to a time between the years 1970 and 9999")]
    Clock,
    /// The system gives no threads or no event queue.
    #[error("can't start the runtime")]
    Runtime(#[source] io::Error),
    /// Signals can't be handled.
    #[error("can't handle signals")]
    Signals(#[source] io::Error),
    /// The state directory can't be created.
    #[error("can't create the state directory {path}")]
    StateDir {
        path: PathBuf,
        #[source]
        cause: io::Error,
    },
    /// The state directory is not safe to use.
    #[error(transparent)]
    Unsafe(UnsafeDirectory),
    /// It can't be seen whose the state directory is.
    #[error("can't see whose the state directory {path} is")]
    Owner {
        path: PathBuf,
        #[source]
        cause: io::Error,
    },
    /// Another user than the owner of the state directory may exchange a part of the path to it.
    #[error(
        "the way to the state directory {path} leads through {part}, which belongs to the user with id {user}, \
         while {last} belongs to the one with id {owner}: root follows no way that another user may change"
    )]
    MixedOwners {
        path: PathBuf,
        /// The folder or link on the way.
        part: PathBuf,
        user: u32,
        /// The directory itself, or the last part of the way that exists.
        last: PathBuf,
        owner: u32,
    },
    /// Others may exchange what is in a folder of root's.
    #[error(
        "the way to the state directory {path} leads through {folder}, where others may write (mode {mode:04o}): \
         root follows no way that others may change"
    )]
    OpenFolder {
        path: PathBuf,
        /// The folder on the way.
        folder: PathBuf,
        mode: u32,
    },
    /// Root can't become the user of the state directory, and opens no files of others.
    #[error(
        "can't work as the user with id {user}, who may exchange the files of the state directory {path}"
    )]
    BecomeOwner {
        path: PathBuf,
        user: u32,
        #[source]
        cause: io::Error,
    },
    /// The state directory has no daemon to reset.
    #[error(
        "there is no daemon in {}; nothing was changed. `thrum daemon status` shows the state \
         directory of another one; set THRUM_STATE_DIR to it", path.display()
    )]
    NoDaemon { path: PathBuf },
    /// The identity can't be loaded.
    #[error("can't load this daemon's identity")]
    Identity(#[source] Box<IdentityError>),
    /// The log can't be opened.
    #[error("can't open the log")]
    Log(#[source] Box<LogError>),
    /// The paired machines can't be read.
    #[error("can't read the paired machines")]
    Registry(#[source] Box<RegistryError>),
    /// Messages and agents can't be opened.
    #[error("can't open messages and agents")]
    Agents(#[source] Box<AgentsError>),
    /// The search could not be started.
    #[error("could not start the search")]
    Search(#[source] Box<SearchError>),
    /// The settings demand sync, and there is no tailnet.
    #[error("sync = true, but the tailnet can't be used")]
    Tailnet(#[source] Box<TailnetError>),
    /// The tailnet node of a copied state directory can't be moved aside.
    #[error("can't move the tailnet node of the copied machine aside")]
    Node(#[source] Box<ChildError>),
    /// The backup can't be restored.
    #[error("can't restore the backup")]
    Backup(#[source] Box<BackupError>),
    /// The narrow sockets can't be read.
    #[error("can't read the narrow sockets")]
    NarrowSockets(#[source] Box<StateFileError>),
    /// Where sessions are not woken can't be read.
    #[error("can't read where sessions are not woken")]
    WakeSwitch(#[source] Box<StateFileError>),
    /// The local socket can't be bound.
    #[error("can't serve programs on this machine")]
    Socket(#[source] Box<SocketError>),
}

macro_rules! boxed {
    ($($variant:ident($error:ty)),*) => {
        $(impl From<$error> for ServiceError {
            fn from(error: $error) -> Self {
                Self::$variant(Box::new(error))
            }
        })*
    };
}

boxed! {
    Identity(IdentityError), Log(LogError), Registry(RegistryError), Agents(AgentsError), Search(SearchError),
    Tailnet(TailnetError), Node(ChildError), Backup(BackupError), Socket(SocketError),
    NarrowSockets(StateFileError)
}

impl ServiceError {
    /// What a person can do about it, if it is a fault of the storage under this state directory.
    pub fn next(&self, state_dir: &Path) -> Option<String> {
        let known = match self {
            Self::Clock => Some("sudo timedatectl set-ntp true".to_owned()),
            Self::Log(error) => error.next(),
            Self::Agents(error) => error.next(),
            Self::Backup(error) => error.next(),
            Self::Unsafe(error) => Some(error.next()),
            Self::BecomeOwner { user, .. } => {
                Some(format!("run it as that user: sudo -u '#{user}' ..."))
            }
            Self::MixedOwners { owner: 0, .. } => {
                Some(format!("{ELSEWHERE}, and set THRUM_STATE_DIR"))
            }
            Self::MixedOwners { owner, .. } => Some(format!(
                "run it as the owner of the directory: sudo -u '#{owner}' ...; or {ELSEWHERE}, and set \
                 THRUM_STATE_DIR"
            )),
            Self::OpenFolder { folder, .. } => Some(format!(
                "if nobody else has to write there: sudo chmod go-w {}; or run it as the owner of the state \
                 directory (sudo -u); or {ELSEWHERE}, and set THRUM_STATE_DIR",
                folder.display()
            )),
            _ => None,
        };
        let of_system = || Some(StorageFault::of_chain(self)?.next(state_dir));
        known.or_else(of_system)
    }

    /// The exit code. A service manager must not retry after 64 (`EX_USAGE` of sysexits.h), the
    /// settings must be changed, and 65 (`EX_DATAERR`), the database belongs to a newer thrumd or is damaged.
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::Tailnet(_) => 64,
            Self::Log(error)
                if matches!(
                    **error,
                    LogError::NewerSchema { .. } | LogError::WithoutProofs { .. }
                ) =>
            {
                65
            }
            Self::Log(error) if error.fault() == Some(StorageFault::Damaged) => 65,
            _ => 1,
        }
    }
}
