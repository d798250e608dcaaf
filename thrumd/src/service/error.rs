use std::io;
use std::path::PathBuf;

use crate::admin::SocketError;
use crate::agents::AgentsError;
use crate::log::LogError;
use crate::peer::{IdentityError, RegistryError};
use crate::tailnet::TailnetError;
use crate::tailnet::private::ChildError;

/// Why the daemon could not start.
#[derive(Debug, thiserror::Error)]
pub enum ServiceError {
    /// No threads or no event queue to be had.
    #[error("can't start the runtime")]
    Runtime(#[source] io::Error),
    /// Signals can't be listened to.
    #[error("can't listen to signals")]
    Signals(#[source] io::Error),
    /// The state directory can't be made.
    #[error("can't make the state directory {path}")]
    StateDir {
        /// The directory.
        path: PathBuf,
        /// Why.
        #[source]
        cause: io::Error,
    },
    /// There is no daemon to make another one of.
    #[error(
        "there is no daemon in {}; nothing was changed. Where another one has its state: `thrum \
         daemon status`, or set THRUM_STATE_DIR", path.display()
    )]
    NoDaemon {
        /// The directory.
        path: PathBuf,
    },
    /// Who we are can't be found out.
    #[error("can't take up this daemon's identity")]
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
    /// Sync is demanded by the configuration, and there is no tailnet for it.
    #[error("sync = true, but there is no way to peers")]
    Tailnet(#[source] Box<TailnetError>),
    /// The node of a copied state directory can't be set aside.
    #[error("can't give up the copied machine's place in the tailnet")]
    Node(#[source] Box<ChildError>),
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
    Identity(IdentityError), Log(LogError), Registry(RegistryError), Agents(AgentsError),
    Tailnet(TailnetError), Socket(SocketError)
}

impl ServiceError {
    /// What the process ends with. A service manager needn't try again after these two: 64
    /// (`EX_USAGE` of sysexits.h), the configuration has to be changed; 65 (`EX_DATAERR`), the database
    /// is one of a newer thrumd.
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::Tailnet(_) => 64,
            Self::Log(error) if matches!(**error, LogError::NewerSchema { .. }) => 65,
            _ => 1,
        }
    }
}
