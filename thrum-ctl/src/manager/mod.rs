//! The service manager that has this machine's daemon: systemd or launchd. Without one the daemon is
//! a plain process that `thrum daemon start` starts.

mod changes;
mod launchd;
mod run;
mod systemd;

use std::path::{Path, PathBuf};

use crate::endpoint::{Endpoints, Owner};

pub use changes::{Changes, FileToWrite};
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

    /// The manager that has the daemon of these endpoints. None when a person named the socket or the
    /// state directory: then a daemon apart is meant, which is a plain process.
    pub fn manager(&self, endpoints: &Endpoints) -> Option<Manager> {
        if endpoints.apart() {
            return None;
        }
        let (own, machines) = match self.macos {
            true => (Manager::LaunchdUser, Manager::LaunchdSystem),
            false => (Manager::SystemdUser, Manager::SystemdSystem),
        };
        if !self.is_root && self.has(own) {
            return Some(own);
        }
        // The machine's is not where this user's file says, and a daemon that this user has started
        // by hand answers before it does.
        if !self.is_root && (endpoints.said() || endpoints.own_socket().exists()) {
            return None;
        }
        Some(machines).filter(|manager| self.has(*manager))
    }

    /// The command that tells why the daemon behind this socket, found in these endpoints, does not
    /// answer, if one is known. It does not need that daemon.
    pub fn how_to_see_why(&self, endpoints: &Endpoints, socket: &Path) -> Option<String> {
        let found = endpoints.candidates().into_iter().find(|place| place.path == socket);
        let owner = found.map_or(Owner::User, |place| place.owner);
        let named = endpoints.apart();
        let managers: &[Manager] = match owner {
            Owner::System => &[Manager::SystemdSystem, Manager::LaunchdSystem],
            Owner::User if !named => &[Manager::SystemdUser, Manager::LaunchdUser],
            Owner::User => &[],
            Owner::Homebrew => return Some("brew services info thrum".to_owned()),
        };
        if let Some(manager) = managers.iter().find(|manager| self.has(**manager)) {
            return Some(manager.command(Action::Status).join(" "));
        }
        let log = socket.with_file_name("thrumd.log");
        log.exists().then(|| format!("tail -n 50 {}", log.display()))
    }

    /// This manager is here and has a thrumd.
    fn has(&self, manager: Manager) -> bool {
        let systemd = !self.macos && self.has_systemd();
        match manager {
            Manager::SystemdSystem => systemd && systemd::system_unit(self).is_some(),
            Manager::SystemdUser => systemd && systemd::user_unit_in_use(self),
            Manager::LaunchdUser | Manager::LaunchdSystem => {
                self.macos && launchd::path(self, manager).is_some_and(|path| path.exists())
            }
        }
    }
}

impl Manager {
    /// The command for this.
    pub fn command(self, action: Action) -> Vec<String> {
        match self {
            Self::SystemdSystem | Self::SystemdUser => systemd::command(self, action),
            Self::LaunchdUser | Self::LaunchdSystem => launchd::command(self, action),
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
    pub fn install(self, host: &Host, thrumd: &Path) -> Result<Changes, crate::error::Error> {
        match self {
            Self::SystemdSystem | Self::SystemdUser => systemd::install(self, host, thrumd),
            Self::LaunchdUser | Self::LaunchdSystem => launchd::install(self, host, thrumd),
        }
    }

    /// What `thrum daemon uninstall` does here.
    ///
    /// # Errors
    /// When nothing is installed, or not by `thrum daemon install`.
    pub fn uninstall(self, host: &Host) -> Result<Changes, crate::error::Error> {
        match self {
            Self::SystemdSystem | Self::SystemdUser => systemd::uninstall(self, host),
            Self::LaunchdUser | Self::LaunchdSystem => launchd::uninstall(self, host),
        }
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

#[cfg(test)]
mod tests;
