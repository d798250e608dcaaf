//! Where the socket of `thrumd` is: flag, `THRUM_SOCKET`, `THRUM_STATE_DIR`, the user's, the
//! system's, Homebrew's, in that order.

use std::path::{Path, PathBuf};

use nix::unistd::User;

/// The name of the socket in a state directory.
const SOCKET: &str = "thrumd.sock";
const SYSTEM_STATE_DIR: &str = "/var/lib/thrum";
const SYSTEM_SOCKET: &str = "/run/thrum/thrumd.sock";
const HOMEBREW: [&str; 2] = ["/opt/homebrew/var/thrum", "/usr/local/var/thrum"];

/// Where systemd's units are, below the root: the administrator's, then those of packages.
const SYSTEM_UNIT_FOLDERS: [&str; 3] =
    ["etc/systemd/system", "usr/lib/systemd/system", "lib/systemd/system"];

/// Whose daemon a socket belongs to. Decides what a person can do when it doesn't answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Owner {
    /// The person at the terminal started it.
    User,
    /// systemd or launchd starts it.
    System,
    /// `brew services` starts it.
    Homebrew,
}

/// One endpoint to look for a socket.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Endpoint {
    /// The socket.
    pub path: PathBuf,
    /// Whose it is.
    pub owner: Owner,
}

/// What was said about the endpoint, and by whom the command was started.
#[derive(Debug, Clone, Default)]
pub struct Endpoints {
    /// `--socket` or `THRUM_SOCKET`.
    pub socket: Option<PathBuf>,
    /// `THRUM_STATE_DIR`.
    pub state_dir: Option<PathBuf>,
    /// Where a daemon of this user keeps its state unless told otherwise.
    pub user_state_dir: Option<PathBuf>,
    /// Root's daemon is the system's.
    pub root: bool,
    /// A service manager may have the system's daemon. Without one, root's is root's own.
    pub managed: bool,
    /// What is said above was said by the file that this user's daemon reads unasked, so it is that
    /// daemon's, not one's apart.
    pub from_default_file: bool,
}

impl Endpoints {
    /// Of this process. Paths are made absolute: a daemon that is started here works elsewhere.
    pub fn from_environment(socket: Option<PathBuf>) -> Self {
        let whole = |path: PathBuf| std::path::absolute(&path).unwrap_or(path);
        let named = |name| std::env::var_os(name).filter(|v| !v.is_empty()).map(PathBuf::from);
        let user = directories::ProjectDirs::from("", "", "thrum")
            .map(|dirs| dirs.state_dir().unwrap_or_else(|| dirs.data_local_dir()).to_owned());
        let endpoints = Self {
            socket: socket.map(whole),
            state_dir: named("THRUM_STATE_DIR").map(whole),
            user_state_dir: user,
            root: rustix::process::geteuid().is_root(),
            managed: cfg!(target_os = "macos") || unit_installed(),
            from_default_file: false,
        };
        if let Some(file) = named("THRUM_CONFIG") {
            return endpoints.or_from_file(&file);
        }
        // The system's daemon has its endpoints from its unit, whatever its file says.
        let usual = directories::BaseDirs::new().filter(|_| !endpoints.root).map(|dirs| {
            let base = named("XDG_CONFIG_HOME").unwrap_or_else(|| dirs.home_dir().join(".config"));
            base.join("thrum/thrumd.toml")
        });
        match usual.filter(|_| !endpoints.said()) {
            Some(file) => Self { from_default_file: true, ..endpoints.or_from_file(&file) },
            None => endpoints,
        }
    }

    /// Whether a socket or a state directory was said.
    pub fn said(&self) -> bool {
        self.socket.is_some() || self.state_dir.is_some()
    }

    /// Whether a person named a daemon apart from the usual ones.
    pub fn apart(&self) -> bool {
        self.said() && !self.from_default_file
    }

    /// What `thrumd.toml` says where nothing else was said. A file that can't be read is thrumd's to
    /// complain of.
    fn or_from_file(mut self, file: &Path) -> Self {
        if self.said() {
            return self;
        }
        let text = std::fs::read_to_string(file).unwrap_or_default();
        let Ok(table) = text.parse::<toml::Table>() else { return self };
        let path = |key| table.get(key).and_then(toml::Value::as_str).map(PathBuf::from);
        (self.socket, self.state_dir) = (path("socket"), path("state_dir"));
        self
    }

    /// Where to look, in this order. One endpoint only if one was named: falling back to another daemon
    /// would answer for the wrong one.
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

    /// Where a daemon that this user starts keeps its state.
    pub fn own_state_dir(&self) -> PathBuf {
        let user = if self.root { None } else { self.user_state_dir.as_deref() };
        self.state_dir.as_deref().or(user).unwrap_or(Path::new(SYSTEM_STATE_DIR)).to_owned()
    }

    /// The socket of a daemon that this user starts.
    pub fn own_socket(&self) -> PathBuf {
        self.socket.clone().unwrap_or_else(|| self.own_state_dir().join(SOCKET))
    }
}

impl Owner {
    /// How a daemon that isn't running is started.
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

    /// How to learn why it died.
    pub fn how_to_see_why(self) -> &'static str {
        match self {
            Self::User => "see why: thrum daemon logs -n 50; start it again: thrum daemon start",
            Self::Homebrew => "see why: thrum daemon logs -n 50; then: brew services restart thrum",
            Self::System => "see why: journalctl -u thrumd -n 50",
        }
    }

    /// What gives the permission to use it.
    pub fn how_to_get_access(self) -> String {
        match self {
            Self::System => {
                // The line can be copied as it is, also into a terminal of root's.
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

/// The name of the user that we run as.
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
    fn the_users_own_daemon_goes_before_the_systems() {
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
    fn a_named_place_is_the_only_one() {
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
        // In a container nobody but root starts it.
        let container = Endpoints { managed: false, ..root };
        assert_eq!(container.candidates()[0].owner, Owner::User);
    }

    #[test]
    fn the_settings_file_names_the_places_where_nothing_else_does() {
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
