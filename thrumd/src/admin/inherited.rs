//! Socket activation: the service manager holds the socket, so calls wait in its queue while thrumd
//! restarts.

use std::os::unix::net::UnixListener;
use std::path::Path;

use listenfd::ListenFd;

use super::socket::{LocalSocket, SocketError, SocketFile, SocketPlace};

/// A listening socket that systemd handed over. Its file belongs to systemd and is never removed.
#[derive(Debug)]
pub struct InheritedSocket {
    listener: UnixListener,
    place: SocketPlace,
}

impl LocalSocket {
    /// The socket that systemd handed over (`LISTEN_FDS`), if any. `path` is where clients look for
    /// it. Must be called before there are threads: it removes the variables, so that no child
    /// process takes them for its own.
    ///
    /// # Errors
    /// When it is not a listening Unix socket, or has another path.
    pub fn inherited(path: &Path) -> Result<Option<InheritedSocket>, SocketError> {
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
            return Err(SocketError::PathMismatch { held, path: path.to_owned() });
        }
        listener.set_nonblocking(true).map_err(failed)?;
        Ok(Some(InheritedSocket { listener, place: SocketPlace::of(path) }))
    }
}

impl InheritedSocket {
    /// Starts listening. Needs the runtime.
    ///
    /// # Errors
    /// When the runtime can't take it.
    pub fn listen(self) -> Result<LocalSocket, SocketError> {
        let Self { listener, place } = self;
        let listener = tokio::net::UnixListener::from_std(listener).map_err(|cause| {
            SocketError::System { what: "listen on", path: place.path.clone(), cause }
        })?;
        Ok(LocalSocket { listener, file: SocketFile { place, inherited: true } })
    }
}
