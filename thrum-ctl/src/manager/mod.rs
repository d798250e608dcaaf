//! The service manager that has this machine's daemon: systemd or launchd. Without one the daemon is
//! a plain process that `thrum daemon start` starts.

mod launchd;
mod plan;
mod run;
mod systemd;

use std::path::{Path, PathBuf};

use crate::client::place::Places;

pub use plan::{Plan, WrittenFile};
pub use run::run;

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
pub struct Site {
    /// `/`.
    pub root: PathBuf,
    /// The user's home directory.
    pub home: Option<PathBuf>,
    /// We are root.
    pub is_root: bool,
    /// This is macOS.
    pub macos: bool,
}

impl Site {
    /// This machine and user.
    pub fn here() -> Self {
        Self {
            root: PathBuf::from("/"),
            home: directories::BaseDirs::new().map(|dirs| dirs.home_dir().to_owned()),
            is_root: rustix::process::geteuid().is_root(),
            macos: cfg!(target_os = "macos"),
        }
    }

    fn at(&self, path: &str) -> PathBuf {
        self.root.join(path.trim_start_matches('/'))
    }

    fn in_home(&self, path: &str) -> Option<PathBuf> {
        self.home.as_ref().map(|home| home.join(path))
    }

    /// systemd runs this machine.
    pub fn has_systemd(&self) -> bool {
        self.at("/run/systemd/system").is_dir()
    }

    /// The manager that `thrum daemon install` would use.
    pub fn usable(&self) -> Option<Manager> {
        match (self.macos, self.is_root) {
            (true, true) => Some(Manager::LaunchdSystem),
            (true, false) => Some(Manager::LaunchdUser),
            (false, true) if self.has_systemd() => Some(Manager::SystemdSystem),
            (false, false) if self.has_systemd() => Some(Manager::SystemdUser),
            _ => None,
        }
    }

    /// The manager that has the daemon of these places. None when a person named the socket or the
    /// state directory: then a daemon apart is meant, which is a plain process.
    pub fn manager(&self, places: &Places) -> Option<Manager> {
        if places.socket.is_some() || places.state_dir.is_some() {
            return None;
        }
        if self.macos {
            let all = [Manager::LaunchdUser, Manager::LaunchdSystem];
            return all.into_iter().find(|m| launchd::path(self, *m).is_some_and(|p| p.exists()));
        }
        if !self.has_systemd() {
            return None;
        }
        if !self.is_root && systemd::user_unit_in_use(self) {
            return Some(Manager::SystemdUser);
        }
        // A daemon that this user has started by hand answers before the machine's does.
        if !self.is_root && places.own_socket().exists() {
            return None;
        }
        systemd::system_unit(self).map(|_| Manager::SystemdSystem)
    }
}

impl Manager {
    /// The command that starts, stops or restarts the daemon.
    pub fn command(self, verb: Verb) -> Vec<String> {
        match self {
            Self::SystemdSystem | Self::SystemdUser => systemd::command(self, verb),
            Self::LaunchdUser | Self::LaunchdSystem => launchd::command(self, verb),
        }
    }

    /// The command that shows the last lines of its log, if the manager keeps it.
    pub fn journal(self, lines: usize, follow: bool) -> Option<Vec<String>> {
        let user = match self {
            Self::SystemdSystem => None,
            Self::SystemdUser => Some("--user"),
            Self::LaunchdUser | Self::LaunchdSystem => return None,
        };
        let mut words = vec!["journalctl".to_owned()];
        words.extend(user.map(str::to_owned));
        words.extend(["-u", "thrumd", "--no-pager", "-n"].map(str::to_owned));
        words.push(lines.to_string());
        words.extend(follow.then(|| "-f".to_owned()));
        Some(words)
    }

    /// What `thrum daemon install` does here, for this `thrumd`.
    ///
    /// # Errors
    /// Why it can't be done, and what to do instead.
    pub fn install(self, site: &Site, thrumd: &Path) -> Result<Plan, crate::error::Error> {
        match self {
            Self::SystemdSystem | Self::SystemdUser => systemd::install(self, site, thrumd),
            Self::LaunchdUser | Self::LaunchdSystem => launchd::install(self, site, thrumd),
        }
    }

    /// What `thrum daemon uninstall` does here.
    ///
    /// # Errors
    /// When nothing is installed, or not by `thrum daemon install`.
    pub fn uninstall(self, site: &Site) -> Result<Plan, crate::error::Error> {
        match self {
            Self::SystemdSystem | Self::SystemdUser => systemd::uninstall(self, site),
            Self::LaunchdUser | Self::LaunchdSystem => launchd::uninstall(self, site),
        }
    }
}

/// What the manager is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verb {
    /// Start it.
    Start,
    /// Stop it.
    Stop,
    /// Stop and start it.
    Restart,
}

#[cfg(test)]
mod tests;
