//! The machine, its service managers, and what they are told.

use std::path::PathBuf;

/// The first line of every file that `thrum daemon install` writes; it removes no other.
pub const MARKER: &str = "Written by `thrum daemon install`; `thrum daemon uninstall` removes it.";

/// Who starts and stops the daemon.
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

/// Where on this machine things are; another root in tests.
#[derive(Debug, Clone)]
pub struct Host {
    /// `/`.
    pub root: PathBuf,
    /// The user's home directory.
    pub home: Option<PathBuf>,
    /// We are root.
    pub is_root: bool,
    /// This is macOS.
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
    pub fn in_home(&self, path: &str) -> Option<PathBuf> {
        self.home.as_ref().map(|home| home.join(path))
    }

    /// systemd runs this machine.
    pub fn has_systemd(&self) -> bool {
        self.at("/run/systemd/system").is_dir()
    }
}

/// What the manager is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    /// Start it.
    Start,
    /// Stop it.
    Stop,
    /// Stop and start it.
    Restart,
    /// Nothing; tell how it stands.
    Status,
}
