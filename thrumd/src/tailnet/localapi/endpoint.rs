//! Address of the LocalAPI.

use std::fmt;
use std::path::PathBuf;

/// Default path of tailscaled's socket on this platform.
#[cfg(target_os = "macos")]
pub const DEFAULT_SOCKET: &str = "/var/run/tailscaled.socket";
/// Default path of tailscaled's socket on this platform.
#[cfg(not(target_os = "macos"))]
pub const DEFAULT_SOCKET: &str = "/var/run/tailscale/tailscaled.sock";

/// Address of the LocalAPI. Debug output does not contain the password.
#[derive(Clone, PartialEq, Eq)]
pub enum Endpoint {
    /// A Unix socket: Linux, and tailscaled built from source anywhere.
    Unix(PathBuf),
    /// A port on 127.0.0.1 with a password: the macOS apps.
    Tcp {
        port: u16,
        /// The password; the user name is empty.
        password: String,
    },
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unix(path) => path.display().fmt(f),
            Self::Tcp { port, .. } => write!(f, "127.0.0.1:{port}"),
        }
    }
}

impl fmt::Debug for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}
