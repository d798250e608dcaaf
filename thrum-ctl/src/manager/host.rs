//! The machine, its service managers and their actions.

use std::path::PathBuf;

use crate::error::Error;

/// The first line of every file that `thrum daemon install` writes. Only such files are removed.
pub const MARKER: &str = "Written by `thrum daemon install`; `thrum daemon uninstall` removes it.";

/// A service manager.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Manager {
    /// systemd, for the whole machine.
    SystemdSystem,
    /// systemd, for this user.
    SystemdUser,
    /// launchd, for this user.
    LaunchdUser,
    /// launchd, for the whole machine.
    LaunchdSystem,
}

/// The machine as the service managers see it. Tests use another root.
#[derive(Debug, Clone)]
pub struct Host {
    /// `/`.
    pub root: PathBuf,
    /// The user's home directory.
    pub home: Option<PathBuf>,
    /// Whether this user is root.
    pub is_root: bool,
    /// Whether this is macOS.
    pub macos: bool,
}

impl Host {
    /// This machine and user.
    pub fn here() -> Self {
        Self {
            root: PathBuf::from("/"),
            home: directories::BaseDirs::new().map(|dirs| dirs.home_dir().to_owned()),
            is_root: rustix::process::geteuid().is_root(),
            macos: cfg!(target_os = "macos"),
        }
    }

    /// A path of this machine.
    pub fn at(&self, path: &str) -> PathBuf {
        self.root.join(path.trim_start_matches('/'))
    }

    /// A path in the user's home directory.
    ///
    /// # Errors
    /// When that is unknown.
    pub fn in_home(&self, path: &str) -> Result<PathBuf, Error> {
        let home = self.home.as_ref();
        let home =
            home.ok_or_else(|| Error::failed("the home directory is unknown", "set HOME"))?;
        Ok(home.join(path))
    }

    /// Whether systemd runs this machine.
    pub fn has_systemd(&self) -> bool {
        self.at("/run/systemd/system").is_dir()
    }
}

/// An action of a service manager.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    /// Start the daemon.
    Start,
    /// Stop the daemon.
    Stop,
    /// Stop and start the daemon.
    Restart,
    /// Show the state of the daemon.
    Status,
}
