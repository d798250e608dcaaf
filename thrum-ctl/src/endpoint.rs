//! The endpoints of `thrumd`: flag, `THRUM_SOCKET`, `THRUM_STATE_DIR`, the user's, the system's and
//! Homebrew's, in this order.

use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};

use nix::unistd::User;

/// The name of the socket in a state directory.
const SOCKET: &str = "thrumd.sock";
const SYSTEM_STATE_DIR: &str = "/var/lib/thrum";
const SYSTEM_SOCKET: &str = "/run/thrum/thrumd.sock";
const HOMEBREW: [&str; 2] = ["/opt/homebrew/var/thrum", "/usr/local/var/thrum"];

/// The folders of systemd units below the root: the administrator's, then those of packages.
const SYSTEM_UNIT_FOLDERS: [&str; 3] =
    ["etc/systemd/system", "usr/lib/systemd/system", "lib/systemd/system"];

/// The owner of a daemon. It decides what a person can do when the daemon doesn't answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Owner {
    /// The user at the terminal.
    User,
    /// The system: systemd or launchd.
    System,
    /// `brew services`.
    Homebrew,
}

/// A place where the daemon's socket may be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Endpoint {
    /// The socket.
    pub path: PathBuf,
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

    /// Whether the daemon of this state directory answers, but not on the socket that was named.
    pub fn listens_elsewhere(&self, state_dir: &Path) -> bool {
        let system =
            (state_dir == Path::new(SYSTEM_STATE_DIR)).then(|| PathBuf::from(SYSTEM_SOCKET));
        let usual = [Some(state_dir.join(SOCKET)), system];
        usual.into_iter().flatten().any(|socket| {
            self.socket.as_deref().is_some_and(|named| named != socket)
                && UnixStream::connect(socket).is_ok()
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
    /// The state directory of the machine's daemon, if this user has none: then that one is meant.
    pub fn chosen_state_dir(&self) -> Result<PathBuf, PathBuf> {
        let own = self.own_state_dir();
        if self.is_named() || self.root || own.exists() {
            return Ok(own);
        }
        let others = [SYSTEM_STATE_DIR].into_iter().chain(HOMEBREW).map(PathBuf::from);
        match others.into_iter().find(|dir| dir.exists()) {
            Some(other) => Err(other),
            None => Ok(own),
        }
    }

    /// The socket of a daemon that this user starts.
    pub fn own_socket(&self) -> PathBuf {
        self.socket.clone().unwrap_or_else(|| self.own_state_dir().join(SOCKET))
    }
}

impl Owner {
    /// How to start a daemon that isn't running.
    pub fn how_to_start(self) -> &'static str {
        match self {
            Self::User => "start it: thrum daemon start",
            Self::Homebrew => "start it: brew services start thrum",
            Self::System if cfg!(target_os = "macos") => "start it: brew services start thrum",
            Self::System => {
                "start it: sudo systemctl start thrumd; why it stopped: journalctl -u thrumd -n 50"
            }
        }
    }

    /// How to see why a daemon died.
    pub fn how_to_see_why(self) -> &'static str {
        match self {
            Self::User => "see why: thrum daemon logs -n 50; start it again: thrum daemon start",
            Self::Homebrew => "see why: thrum daemon logs -n 50; then: brew services restart thrum",
            Self::System => "see why: journalctl -u thrumd -n 50",
        }
    }

    /// How to restart a daemon whose socket is gone.
    pub fn how_to_restart(self) -> &'static str {
        match self {
            Self::User => "thrum daemon restart",
            Self::System if cfg!(target_os = "linux") => {
                "sudo systemctl restart thrumd.socket thrumd.service"
            }
            Self::Homebrew | Self::System => "brew services restart thrum",
        }
    }

    /// How to get the permission to use the daemon.
    pub fn how_to_get_access(self) -> String {
        match self {
            Self::System => {
                // With the user's name, so that root can run the line as well.
                let user = user_name().unwrap_or_else(|| "$USER".to_owned());
                format!("sudo usermod -aG thrum {user}, then log in again")
            }
            Self::User | Self::Homebrew => {
                "it belongs to another user: unset THRUM_SOCKET and THRUM_STATE_DIR to use your own"
                    .to_owned()
            }
        }
    }
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

/// The name of the current user.
fn user_name() -> Option<String> {
    let user = User::from_uid(nix::unistd::getuid()).ok().flatten().map(|user| user.name);
    user.or_else(|| std::env::var("USER").ok().filter(|name| !name.is_empty()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn paths(endpoints: &Endpoints) -> Vec<String> {
        endpoints.candidates().iter().map(|endpoint| endpoint.path.display().to_string()).collect()
    }

    fn of_user() -> Endpoints {
        Endpoints {
            user_state_dir: Some("/home/u/.local/state/thrum".into()),
            ..Endpoints::default()
        }
    }

    #[test]
    fn the_users_own_daemon_takes_precedence() {
        assert_eq!(
            paths(&of_user()),
            [
                "/home/u/.local/state/thrum/thrumd.sock",
                "/run/thrum/thrumd.sock",
                "/var/lib/thrum/thrumd.sock",
                "/opt/homebrew/var/thrum/thrumd.sock",
                "/usr/local/var/thrum/thrumd.sock",
            ]
        );
    }

    #[test]
    fn a_named_endpoint_is_the_only_one() {
        let by_state_dir = Endpoints { state_dir: Some("/tmp/a".into()), ..of_user() };
        assert_eq!(paths(&by_state_dir), ["/tmp/a/thrumd.sock"]);
        let by_socket = Endpoints { socket: Some("/tmp/s".into()), ..by_state_dir };
        assert_eq!(paths(&by_socket), ["/tmp/s"]);
        assert_eq!(by_socket.own_state_dir(), Path::new("/tmp/a"));
    }

    #[test]
    fn roots_daemon_is_the_systems() {
        let root = Endpoints { root: true, managed: true, ..of_user() };
        assert_eq!(root.candidates()[0].owner, Owner::System);
        assert_eq!(root.own_state_dir(), Path::new("/var/lib/thrum"));
        // In a container, root starts it.
        let container = Endpoints { managed: false, ..root };
        assert_eq!(container.candidates()[0].owner, Owner::User);
    }

    #[test]
    fn the_configuration_file_names_the_endpoint_if_nothing_else_does() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("thrumd.toml");
        std::fs::write(&file, "state_dir = \"/data/thrum\"\nport = 9200\n").unwrap();
        assert_eq!(paths(&of_user().or_from_file(&file)), ["/data/thrum/thrumd.sock"]);
        std::fs::write(&file, "state_dir = \"/data/thrum\"\nsocket = \"/data/s\"\n").unwrap();
        let both = of_user().or_from_file(&file);
        assert_eq!(paths(&both), ["/data/s"]);
        assert_eq!(both.own_state_dir(), Path::new("/data/thrum"));
        let named = Endpoints { state_dir: Some("/tmp/a".into()), ..of_user() }.or_from_file(&file);
        assert_eq!(paths(&named), ["/tmp/a/thrumd.sock"]);
        for text in ["", "state_dir = 1", "not toml"] {
            std::fs::write(&file, text).unwrap();
            assert_eq!(
                of_user().or_from_file(&file).candidates(),
                of_user().candidates(),
                "{text}"
            );
        }
        assert_eq!(
            of_user().or_from_file(Path::new("/nowhere")).candidates(),
            of_user().candidates()
        );
    }
}
