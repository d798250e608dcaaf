//! Where the socket of `thrumd` is: flag, `THRUM_SOCKET`, `THRUM_STATE_DIR`, the user's, the
//! system's, Homebrew's, in that order.

use std::path::{Path, PathBuf};

/// The name of the socket in a state directory.
const SOCKET: &str = "thrumd.sock";
const SYSTEM_STATE_DIR: &str = "/var/lib/thrum";
const SYSTEM_SOCKET: &str = "/run/thrum/thrumd.sock";
const HOMEBREW: [&str; 2] = ["/opt/homebrew/var/thrum", "/usr/local/var/thrum"];

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

/// One place to look for a socket.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// The socket.
    pub path: PathBuf,
    /// Whose it is.
    pub owner: Owner,
}

/// What was said about the place, and by whom the command was started.
#[derive(Debug, Clone, Default)]
pub struct Places {
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
    pub of_usual_file: bool,
}

impl Places {
    /// Of this process. Paths are made absolute: a daemon that is started here works elsewhere.
    pub fn of_this_machine(socket: Option<PathBuf>) -> Self {
        let whole = |path: PathBuf| std::path::absolute(&path).unwrap_or(path);
        let named = |name| std::env::var_os(name).filter(|v| !v.is_empty()).map(PathBuf::from);
        let user = directories::ProjectDirs::from("", "", "thrum")
            .map(|dirs| dirs.state_dir().unwrap_or_else(|| dirs.data_local_dir()).to_owned());
        let places = Self {
            socket: socket.map(whole),
            state_dir: named("THRUM_STATE_DIR").map(whole),
            user_state_dir: user,
            root: rustix::process::geteuid().is_root(),
            managed: cfg!(target_os = "macos") || super::unit_installed(),
            of_usual_file: false,
        };
        if let Some(file) = named("THRUM_CONFIG") {
            return places.or_of_file(&file);
        }
        // The system's daemon has its places from its unit, whatever its file says.
        let usual = directories::BaseDirs::new().filter(|_| !places.root).map(|dirs| {
            let base = named("XDG_CONFIG_HOME").unwrap_or_else(|| dirs.home_dir().join(".config"));
            base.join("thrum/thrumd.toml")
        });
        match usual.filter(|_| !places.said()) {
            Some(file) => Self { of_usual_file: true, ..places.or_of_file(&file) },
            None => places,
        }
    }

    /// Whether a socket or a state directory was said.
    pub fn said(&self) -> bool {
        self.socket.is_some() || self.state_dir.is_some()
    }

    /// Whether a person named a daemon apart from the usual ones.
    pub fn apart(&self) -> bool {
        self.said() && !self.of_usual_file
    }

    /// What `thrumd.toml` says where nothing else was said. A file that can't be read is thrumd's to
    /// complain of.
    fn or_of_file(mut self, file: &Path) -> Self {
        if self.said() {
            return self;
        }
        let text = std::fs::read_to_string(file).unwrap_or_default();
        let Ok(table) = text.parse::<toml::Table>() else { return self };
        let path = |key| table.get(key).and_then(toml::Value::as_str).map(PathBuf::from);
        (self.socket, self.state_dir) = (path("socket"), path("state_dir"));
        self
    }

    /// Where to look, in this order. One place only if one was named: falling back to another daemon
    /// would answer for the wrong one.
    pub fn in_order(&self) -> Vec<Place> {
        let system = if self.root && !self.managed { Owner::User } else { Owner::System };
        let place = |path: &Path, owner| Place { path: path.to_owned(), owner };
        if let Some(socket) = &self.socket {
            let owner = if socket.starts_with("/run") || socket.starts_with(SYSTEM_STATE_DIR) {
                system
            } else {
                Owner::User
            };
            return vec![place(socket, owner)];
        }
        if let Some(state_dir) = &self.state_dir {
            return vec![place(&state_dir.join(SOCKET), Owner::User)];
        }
        let mut places = Vec::new();
        if let Some(state_dir) = self.user_state_dir.as_ref().filter(|_| !self.root) {
            places.push(place(&state_dir.join(SOCKET), Owner::User));
        }
        places.push(place(Path::new(SYSTEM_SOCKET), system));
        places.push(place(&Path::new(SYSTEM_STATE_DIR).join(SOCKET), system));
        places.extend(
            HOMEBREW.iter().map(|dir| place(&Path::new(dir).join(SOCKET), Owner::Homebrew)),
        );
        places
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
    pub fn how_to_be_let_in(self) -> String {
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

/// The name of the user that we run as.
fn user_name() -> Option<String> {
    let id = rustix::process::getuid().as_raw().to_string();
    let users = std::fs::read_to_string("/etc/passwd").ok()?;
    let listed = users.lines().find_map(|line| {
        let mut fields = line.split(':');
        let name = fields.next()?;
        (fields.nth(1)? == id).then(|| name.to_owned())
    });
    listed.or_else(|| std::env::var("USER").ok().filter(|name| !name.is_empty()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn paths(places: &Places) -> Vec<String> {
        places.in_order().iter().map(|place| place.path.display().to_string()).collect()
    }

    fn of_user() -> Places {
        Places { user_state_dir: Some("/home/u/.local/state/thrum".into()), ..Places::default() }
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
        let by_state_dir = Places { state_dir: Some("/tmp/a".into()), ..of_user() };
        assert_eq!(paths(&by_state_dir), ["/tmp/a/thrumd.sock"]);
        let by_socket = Places { socket: Some("/tmp/s".into()), ..by_state_dir };
        assert_eq!(paths(&by_socket), ["/tmp/s"]);
        assert_eq!(by_socket.own_state_dir(), Path::new("/tmp/a"));
    }

    #[test]
    fn roots_daemon_is_the_systems() {
        let root = Places { root: true, managed: true, ..of_user() };
        assert_eq!(root.in_order()[0].owner, Owner::System);
        assert_eq!(root.own_state_dir(), Path::new("/var/lib/thrum"));
        // In a container nobody but root starts it.
        let container = Places { managed: false, ..root };
        assert_eq!(container.in_order()[0].owner, Owner::User);
    }

    #[test]
    fn the_settings_file_names_the_places_where_nothing_else_does() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("thrumd.toml");
        std::fs::write(&file, "state_dir = \"/data/thrum\"\nport = 9200\n").unwrap();
        assert_eq!(paths(&of_user().or_of_file(&file)), ["/data/thrum/thrumd.sock"]);
        std::fs::write(&file, "state_dir = \"/data/thrum\"\nsocket = \"/data/s\"\n").unwrap();
        let both = of_user().or_of_file(&file);
        assert_eq!(paths(&both), ["/data/s"]);
        assert_eq!(both.own_state_dir(), Path::new("/data/thrum"));
        let named = Places { state_dir: Some("/tmp/a".into()), ..of_user() }.or_of_file(&file);
        assert_eq!(paths(&named), ["/tmp/a/thrumd.sock"]);
        for text in ["", "state_dir = 1", "not toml"] {
            std::fs::write(&file, text).unwrap();
            assert_eq!(of_user().or_of_file(&file).in_order(), of_user().in_order(), "{text}");
        }
        assert_eq!(of_user().or_of_file(Path::new("/nowhere")).in_order(), of_user().in_order());
    }
}
