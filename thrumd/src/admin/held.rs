//! A socket that the service manager holds: while thrumd is restarted, calls wait in its queue.

use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};

use listenfd::ListenFd;

use super::socket::{LocalSocket, SocketError};

/// A listening socket that was handed over by systemd. Its file is systemd's, also at the end.
#[derive(Debug)]
pub struct HeldSocket {
    listener: UnixListener,
    path: PathBuf,
}

impl LocalSocket {
    /// The socket that systemd handed over (`LISTEN_FDS`), if it did. `path` is where clients look
    /// for it. Must be called before there are threads: it takes the variables away, so that no
    /// child believes that they are meant for it.
    ///
    /// # Errors
    /// When what was handed over is no listening Unix socket, or listens elsewhere.
    pub fn inherited(path: &Path) -> Result<Option<HeldSocket>, SocketError> {
        let failed = |cause| SocketError::System {
            what: "take over from the service manager",
            path: path.to_owned(),
            cause,
        };
        let Some(listener) = ListenFd::from_env().take_unix_listener(0).map_err(failed)? else {
            return Ok(None);
        };
        let address = listener.local_addr().map_err(failed)?;
        if address.as_pathname() != Some(path) {
            let held = address.as_pathname().unwrap_or(Path::new("(unnamed)")).to_owned();
            return Err(SocketError::Elsewhere { held, path: path.to_owned() });
        }
        listener.set_nonblocking(true).map_err(failed)?;
        Ok(Some(HeldSocket { listener, path: path.to_owned() }))
    }
}

impl HeldSocket {
    /// Begins to listen. Needs the runtime.
    ///
    /// # Errors
    /// When the runtime can't take it.
    pub fn open(self) -> Result<LocalSocket, SocketError> {
        let listener = tokio::net::UnixListener::from_std(self.listener)
            .map_err(|cause| SocketError::System { what: "listen on", path: self.path, cause })?;
        Ok(LocalSocket { listener, place: None })
    }
}
