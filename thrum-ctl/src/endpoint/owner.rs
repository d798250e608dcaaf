//! The owner of a daemon, and what a person can do about it.

use nix::unistd::User;

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

impl Owner {
    /// The command that starts a daemon.
    pub fn start_command(self) -> &'static str {
        match self {
            Self::User => "thrum daemon start",
            Self::System if cfg!(target_os = "linux") => "sudo systemctl start thrumd",
            Self::Homebrew | Self::System => "brew services start thrum",
        }
    }

    /// How to start a daemon that isn't running.
    pub fn how_to_start(self) -> String {
        let why = match self {
            Self::System if cfg!(target_os = "linux") => {
                "; why it stopped: journalctl -u thrumd -n 50"
            }
            _ => "",
        };
        format!("start it: {}{why}", self.start_command())
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
                "sudo systemctl restart thrumd.service thrumd.socket"
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

/// The name of the current user.
fn user_name() -> Option<String> {
    let user = User::from_uid(nix::unistd::getuid()).ok().flatten().map(|user| user.name);
    user.or_else(|| std::env::var("USER").ok().filter(|name| !name.is_empty()))
}
