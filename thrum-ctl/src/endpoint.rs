//! The endpoints of `thrumd`: flag, `THRUM_SOCKET`, `THRUM_STATE_DIR`, the user's, the system's and
//! Homebrew's, in this order.

mod owner;

use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};

pub use owner::Owner;

/// The name of the socket in a state directory.
const SOCKET: &str = "thrumd.sock";
const SYSTEM_STATE_DIR: &str = "/var/lib/thrum";
const SYSTEM_SOCKET: &str = "/run/thrum/thrumd.sock";
const HOMEBREW: [&str; 2] = ["/opt/homebrew/var/thrum", "/usr/local/var/thrum"];

/// Files of which a state directory has one as soon as it was used.
const USED_FILES: [&str; 3] = ["identity.json", "key.json", "log.db"];

/// The folders of systemd units below the root: the administrator's, then those of packages.
const SYSTEM_UNIT_FOLDERS: [&str; 3] =
    ["etc/systemd/system", "usr/lib/systemd/system", "lib/systemd/system"];

/// A place where the daemon's socket may be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Endpoint {
    /// The socket.
    pub path: PathBuf,
    /// The owner of its daemon.
    pub owner: Owner,
}

/// A state directory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// The directory.
    pub state_dir: PathBuf,
    /// The owner of its daemon.
    pub owner: Owner,
}

/// The settings from which the endpoints follow.
#[derive(Debug, Clone, Default)]
pub struct Endpoints {
    /// `--socket` or `THRUM_SOCKET`.
    pub socket: Option<PathBuf>,
    /// `THRUM_STATE_DIR`.
    pub state_dir: Option<PathBuf>,
    /// The default state directory of a daemon of this user.
    pub user_state_dir: Option<PathBuf>,
    /// Whether this user is root, whose daemon is the system's.
    pub root: bool,
    /// Whether a service manager may run the system's daemon. Otherwise root owns it.
    pub managed: bool,
    /// Whether socket and state directory come from the user's default configuration file. Then they
    /// belong to the user's usual daemon, not to a separate one.
    pub from_default_file: bool,
}

impl Endpoints {
    /// The endpoints of this process. Paths are made absolute, because a daemon runs in another directory.
    pub fn from_environment(socket: Option<PathBuf>) -> Self {
        let absolute = |path: PathBuf| std::path::absolute(&path).unwrap_or(path);
        let named = |name| std::env::var_os(name).filter(|v| !v.is_empty()).map(PathBuf::from);
        let user = directories::ProjectDirs::from("", "", "thrum")
            .map(|dirs| dirs.state_dir().unwrap_or_else(|| dirs.data_local_dir()).to_owned());
        let endpoints = Self {
            socket: socket.map(absolute),
            state_dir: named("THRUM_STATE_DIR").map(absolute),
            user_state_dir: user,
            root: rustix::process::geteuid().is_root(),
            managed: cfg!(target_os = "macos") || unit_installed(),
            from_default_file: false,
        };
        if let Some(file) = named("THRUM_CONFIG") {
            return endpoints.or_from_file(&file);
        }
        // The system's daemon gets its endpoints from its unit, not from a file.
        let default_file = directories::BaseDirs::new().filter(|_| !endpoints.root).map(|dirs| {
            let base = named("XDG_CONFIG_HOME").unwrap_or_else(|| dirs.home_dir().join(".config"));
            base.join("thrum/thrumd.toml")
        });
        match default_file.filter(|_| !endpoints.is_named()) {
            Some(file) => Self { from_default_file: true, ..endpoints.or_from_file(&file) },
            None => endpoints,
        }
    }

    /// Whether a socket or a state directory was named.
    pub fn is_named(&self) -> bool {
        self.socket.is_some() || self.state_dir.is_some()
    }

    /// Whether a person named a daemon other than the usual ones.
    pub fn is_separate(&self) -> bool {
        self.is_named() && !self.from_default_file
    }

    /// The endpoints with those of a `thrumd.toml`, if none was named. A file that can't be read is
    /// ignored, because thrumd reports it.
    fn or_from_file(mut self, file: &Path) -> Self {
        if self.is_named() {
            return self;
        }
        let text = std::fs::read_to_string(file).unwrap_or_default();
        let Ok(table) = text.parse::<toml::Table>() else { return self };
        let path = |key| table.get(key).and_then(toml::Value::as_str).map(PathBuf::from);
        (self.socket, self.state_dir) = (path("socket"), path("state_dir"));
        self
    }

    /// The endpoints to try, in this order. Only one if it was named, because falling back could reach
    /// the wrong daemon.
    pub fn candidates(&self) -> Vec<Endpoint> {
        let system = if self.root && !self.managed { Owner::User } else { Owner::System };
        let endpoint = |path: &Path, owner| Endpoint { path: path.to_owned(), owner };
        if let Some(socket) = &self.socket {
            let owner = if socket.starts_with("/run") || socket.starts_with(SYSTEM_STATE_DIR) {
                system
            } else {
                Owner::User
            };
            return vec![endpoint(socket, owner)];
        }
        if let Some(state_dir) = &self.state_dir {
            return vec![endpoint(&state_dir.join(SOCKET), Owner::User)];
        }
        let mut endpoints = Vec::new();
        if let Some(state_dir) = self.user_state_dir.as_ref().filter(|_| !self.root) {
            endpoints.push(endpoint(&state_dir.join(SOCKET), Owner::User));
        }
        endpoints.push(endpoint(Path::new(SYSTEM_SOCKET), system));
        endpoints.push(endpoint(&Path::new(SYSTEM_STATE_DIR).join(SOCKET), system));
        endpoints.extend(
            HOMEBREW.iter().map(|dir| endpoint(&Path::new(dir).join(SOCKET), Owner::Homebrew)),
        );
        endpoints
    }

    /// Where the daemon of this state directory answers, if that is not the socket that was named.
    pub fn listens_elsewhere(&self, state_dir: &Path) -> Option<PathBuf> {
        let named = self.socket.as_ref()?;
        usual_sockets(state_dir).find(|usual| usual != named && UnixStream::connect(usual).is_ok())
    }

    /// Whether a daemon that doesn't listen is certainly the one that is meant: its state directory was named, or
    /// nothing was. A socket alone, perhaps a mistyped one, doesn't say so unless it is in that directory.
    pub fn mean(&self, state_dir: &Path) -> bool {
        (self.root || state_dir == self.own_state_dir())
            && self.socket.as_ref().is_none_or(|named| {
                self.state_dir.is_some() || usual_sockets(state_dir).any(|usual| usual == *named)
            })
    }

    /// The state directories of the daemons that may be at these endpoints, and their owners.
    pub fn state_dirs(&self) -> Vec<(PathBuf, Owner)> {
        let own = || self.state_dir.is_some() || self.user_state_dir.is_some() || self.root;
        let mut found: Vec<(PathBuf, Owner)> = Vec::new();
        for Endpoint { path, owner } in self.candidates() {
            let folder = path.parent().filter(|folder| !folder.starts_with("/run"));
            found.push((folder.unwrap_or(Path::new(SYSTEM_STATE_DIR)).to_owned(), owner));
            // `thrum daemon start` with this socket uses that one.
            if self.socket.is_some() && own() {
                found.push((self.own_state_dir(), owner));
            }
        }
        // The system's daemon has two endpoints.
        found.dedup();
        found
    }

    /// The state directory of a daemon that this user starts.
    pub fn own_state_dir(&self) -> PathBuf {
        let user = if self.root { None } else { self.user_state_dir.as_deref() };
        self.state_dir.as_deref().or(user).unwrap_or(Path::new(SYSTEM_STATE_DIR)).to_owned()
    }

    /// The state directory for commands that work on its files: one that was named, or that of this user's daemon.
    ///
    /// # Errors
    /// Another daemon of this machine, if this user's was never used: then that one is meant.
    pub fn chosen_state_dir(&self) -> Result<PathBuf, Place> {
        let system =
            Some(SYSTEM_STATE_DIR).filter(|dir| unit_installed() || Path::new(dir).exists());
        let brewed = HOMEBREW.into_iter().filter(|dir| Path::new(dir).exists());
        self.chosen_beside(system.into_iter().chain(brewed).map(Path::new))
    }

    fn chosen_beside<'a>(
        &self,
        mut others: impl Iterator<Item = &'a Path>,
    ) -> Result<PathBuf, Place> {
        let own = self.own_state_dir();
        let used = USED_FILES.iter().any(|file| own.join(file).exists());
        if self.state_dir.is_some() || used {
            return Ok(own);
        }
        match others.find(|dir| *dir != own) {
            Some(other) => Err(self.place(other.to_owned())),
            None => Ok(own),
        }
    }

    /// A state directory and the owner of its daemon.
    pub fn place(&self, state_dir: PathBuf) -> Place {
        let owner = if HOMEBREW.iter().any(|dir| state_dir == Path::new(dir)) {
            Owner::Homebrew
        } else if state_dir == Path::new(SYSTEM_STATE_DIR) && (self.managed || !self.root) {
            Owner::System
        } else {
            Owner::User
        };
        Place { state_dir, owner }
    }

    /// The socket of a daemon that this user starts.
    pub fn own_socket(&self) -> PathBuf {
        self.socket.clone().unwrap_or_else(|| self.own_state_dir().join(SOCKET))
    }
}

/// Where the daemon of a state directory listens unless it was told otherwise.
fn usual_sockets(state_dir: &Path) -> impl Iterator<Item = PathBuf> {
    let system = (state_dir == Path::new(SYSTEM_STATE_DIR)).then(|| PathBuf::from(SYSTEM_SOCKET));
    std::iter::once(state_dir.join(SOCKET)).chain(system)
}

/// Whether systemd has a unit for the system service.
pub fn unit_installed() -> bool {
    system_unit(Path::new("/")).is_some()
}

/// The unit of the system service below this root, if it is installed.
pub fn system_unit(root: &Path) -> Option<PathBuf> {
    let folders = SYSTEM_UNIT_FOLDERS.iter();
    folders.map(|folder| root.join(folder).join("thrumd.service")).find(|unit| unit.exists())
}

#[cfg(test)]
mod tests;
