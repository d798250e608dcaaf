//! The service manager that has this machine's daemon: systemd or launchd. Without one the daemon is
//! a plain process that `thrum daemon start` starts.

mod changes;
mod host;
mod launchd;
mod run;
mod systemd;

use std::path::Path;

use crate::endpoint::{Endpoints, Owner, system_unit};

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
            Manager::SystemdSystem => systemd && system_unit(&self.root).is_some(),
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

#[cfg(test)]
mod tests;
