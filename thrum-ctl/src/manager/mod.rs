//! The service manager of the daemon: systemd or launchd. Without one, the daemon is a plain process
//! that `thrum daemon start` starts.

mod changes;
mod host;
mod launchd;
mod run;
mod systemd;

use std::path::Path;

use crate::endpoint::{Endpoints, Owner, system_unit};
use crate::error::Error;
use crate::process;

pub use changes::Changes;
pub use host::{Action, Host, Manager};
pub use run::run;

impl Host {
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

    /// The manager of the daemon of these endpoints. None if a person named a socket or state directory,
    /// because that means a separate daemon, which is a plain process.
    pub fn manager(&self, endpoints: &Endpoints) -> Option<Manager> {
        if endpoints.is_separate() {
            return None;
        }
        let (own, system) = match self.macos {
            true => (Manager::LaunchdUser, Manager::LaunchdSystem),
            false => (Manager::SystemdUser, Manager::SystemdSystem),
        };
        if !self.is_root && self.has(own) {
            return Some(own);
        }
        // The system's daemon is not at the endpoint that this user's file names, and a daemon that this
        // user started by hand takes precedence, even if its socket is gone.
        let own = || {
            endpoints.own_socket().exists() || process::holder(&endpoints.own_state_dir()).is_some()
        };
        if !self.is_root && (endpoints.is_named() || own()) {
            return None;
        }
        Some(system).filter(|manager| self.has(*manager))
    }

    /// The command that shows why the daemon behind this socket does not answer, if one is known. It
    /// works without the daemon.
    pub fn how_to_see_why(&self, endpoints: &Endpoints, socket: &Path) -> Option<String> {
        let found = endpoints.candidates().into_iter().find(|endpoint| endpoint.path == socket);
        let owner = found.map_or(Owner::User, |endpoint| endpoint.owner);
        let managers: &[Manager] = match owner {
            Owner::System => &[Manager::SystemdSystem, Manager::LaunchdSystem],
            Owner::User if !endpoints.is_separate() => {
                &[Manager::SystemdUser, Manager::LaunchdUser]
            }
            Owner::User => &[],
            Owner::Homebrew => return Some("brew services info thrum".to_owned()),
        };
        if let Some(manager) = managers.iter().find(|manager| self.has(**manager)) {
            return Some(manager.command(Action::Status).join(" "));
        }
        let log = socket.with_file_name("thrumd.log");
        log.exists().then(|| format!("tail -n 50 {}", log.display()))
    }

    /// Whether this manager exists here and manages a thrumd.
    fn has(&self, manager: Manager) -> bool {
        let systemd = !self.macos && self.has_systemd();
        match manager {
            Manager::SystemdSystem => systemd && system_unit(&self.root).is_some(),
            Manager::SystemdUser => systemd && systemd::user_unit_in_use(self),
            Manager::LaunchdUser | Manager::LaunchdSystem => {
                self.macos && launchd::path(self, manager).is_ok_and(|path| path.exists())
            }
        }
    }
}

impl Manager {
    /// The command for an action.
    pub fn command(self, action: Action) -> Vec<String> {
        match self {
            Self::SystemdSystem | Self::SystemdUser => systemd::command(self, action),
            Self::LaunchdUser | Self::LaunchdSystem => launchd::command(self, action),
        }
    }

    /// The command that shows the last lines of the daemon's log, if the manager keeps it.
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

    /// The changes that `thrum daemon install` makes for this `thrumd`.
    ///
    /// # Errors
    /// When it can't be installed here, with what to do instead.
    pub fn install(self, host: &Host, thrumd: &Path) -> Result<Changes, Error> {
        match self {
            Self::SystemdSystem | Self::SystemdUser => systemd::install(self, host, thrumd),
            Self::LaunchdUser | Self::LaunchdSystem => launchd::install(self, host, thrumd),
        }
    }

    /// The changes that `thrum daemon uninstall` makes.
    ///
    /// # Errors
    /// When `thrum daemon install` has installed nothing.
    pub fn uninstall(self, host: &Host) -> Result<Changes, Error> {
        match self {
            Self::SystemdSystem | Self::SystemdUser => systemd::uninstall(self, host),
            Self::LaunchdUser | Self::LaunchdSystem => launchd::uninstall(self, host),
        }
    }
}

#[cfg(test)]
mod tests;
