use std::path::PathBuf;

use crate::statefile::StateFileError;

/// A failure of the child. It is reported and the child is restarted; the daemon continues.
#[derive(Debug, thiserror::Error)]
pub enum ChildError {
    /// There is no tailscaled to run.
    #[error(
        "tailscaled is not installed on this machine; install the tailscale package \
         (https://tailscale.com/download) or put tailscaled into PATH"
    )]
    NoProgram,
    /// We are root, and there is no user to run it as.
    #[error(
        "thrumd does not run tailscaled as root, and there is no user \"thrum\" or \"nobody\" for it; \
         create one, or run thrumd as an ordinary user"
    )]
    NoUser,
    /// The path of its socket is too long.
    #[error(
        "{} is too long for the path of a socket ({} bytes at most); set THRUM_TS_STATE_DIR to a \
         shorter one", path.display(), limit
    )]
    LongPath { path: PathBuf, limit: usize },
    /// Another daemon uses the directory.
    #[error(
        "another thrumd runs a tailscaled in {}; end it, or set THRUM_TS_STATE_DIR to another \
         directory", dir.display()
    )]
    InUse { dir: PathBuf },
    /// Its directory can't be used.
    #[error("could not {step} {}", path.display())]
    File {
        /// What was done to it.
        step: &'static str,
        path: PathBuf,
        #[source]
        source: std::io::Error,
    },
    /// A file for it can't be written.
    #[error(transparent)]
    StateFile(#[from] StateFileError),
    /// It could not be started.
    #[error("could not start {}", program.display())]
    Start {
        program: PathBuf,
        #[source]
        source: std::io::Error,
    },
    /// It ended by itself.
    #[error("tailscaled ended ({status}){message}")]
    Ended {
        status: String,
        /// Its last line after a colon, or nothing.
        message: String,
    },
}
