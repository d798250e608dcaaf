//! States of tailscaled, each with its description and its remedy.

use std::net::IpAddr;

/// Whose instance of tailscaled it is. The remedies depend on it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Instance {
    /// The system's; an administrator runs `tailscale`.
    System,
    /// A child of thrumd, which only thrumd controls.
    Child,
}

/// State of tailscaled and of our login.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum State {
    /// Up: listen on these addresses.
    Up {
        /// Our tailnet addresses; 127.0.0.1 in userspace mode.
        addresses: Vec<IpAddr>,
        /// Our short name.
        hostname: String,
    },
    /// No socket, and no program either.
    NotInstalled,
    /// The program exists, but no socket or nothing that listens on it.
    NotRunning { socket: String },
    /// We may not use the socket.
    NoPermission {
        /// The socket, or what was refused.
        what: String,
    },
    /// It runs and does not answer properly.
    NoAnswer {
        /// The error with its causes.
        error: String,
    },
    /// It is starting; no more is known yet.
    Starting,
    /// No user is logged in.
    LoggedOut {
        /// Page to log in, if a login is pending.
        url: Option<String>,
    },
    /// A login failed: the key was refused, or the control server doesn't answer.
    LoginFailed {
        /// tailscaled's text.
        message: String,
    },
    /// The node's key has expired.
    KeyExpired {
        /// Page to log in, if a login is pending.
        url: Option<String>,
    },
    /// An administrator of the tailnet has to approve this machine.
    NeedsApproval,
    /// `tailscale down`.
    Stopped,
    /// In use by another user of the machine.
    InUse,
    /// Up, but this machine's interfaces have none of the addresses.
    NoAddress { addresses: Vec<IpAddr> },
    /// A state of a newer version.
    Unknown(String),
}

impl State {
    /// What is wrong, without the remedy.
    pub fn problem(&self, instance: Instance) -> String {
        let who = match instance {
            Instance::System => "tailscaled",
            Instance::Child => "our own tailscaled",
        };
        match self {
            Self::Up { .. } => "up".to_owned(),
            Self::NotInstalled => "Tailscale is not installed on this machine".to_owned(),
            Self::NotRunning { socket } => format!("{who} is not running (nothing at {socket})"),
            Self::NoPermission { what } => format!("{who} refuses us: {what}"),
            Self::NoAnswer { error } => format!("{who} does not answer properly: {error}"),
            Self::Starting => format!("{who} is starting"),
            Self::LoginFailed { message } => format!("{who} can't log in: {message}"),
            Self::LoggedOut { .. } => format!("{who} is logged out"),
            Self::KeyExpired { .. } => "this machine's key in the tailnet has expired".to_owned(),
            Self::NeedsApproval => {
                "this machine waits for the approval of an administrator of the tailnet".to_owned()
            }
            Self::Stopped => format!("{who} is stopped"),
            Self::InUse => format!("{who} is in use by another user of this machine"),
            Self::NoAddress { addresses } => {
                let list: Vec<_> = addresses.iter().map(ToString::to_string).collect();
                format!(
                    "no network interface of this machine has our tailnet address {}",
                    list.join(" or ")
                )
            }
            Self::Unknown(word) => format!("{who} is in the unknown state {word:?}"),
        }
    }

    /// What to do about it. None when one can only wait.
    pub fn remedy(&self, instance: Instance) -> Option<String> {
        let open = |url: &str| format!("open {url}");
        let sudo = if cfg!(target_os = "macos") { "" } else { "sudo " };
        let start = if cfg!(target_os = "macos") {
            "start the Tailscale app, or run `sudo brew services start tailscale`"
        } else {
            "run `sudo systemctl enable --now tailscaled`"
        };
        let ours = instance == Instance::Child;
        Some(match self {
            Self::Up { .. } | Self::Starting => return None,
            Self::NotRunning { .. } | Self::NoAnswer { .. } if ours => return None,
            Self::NotInstalled => "install it from https://tailscale.com/download, or set \
                THRUM_TAILNET=loopback to use this machine alone"
                .to_owned(),
            Self::NotRunning { .. } => start.to_owned(),
            Self::NoPermission { .. } => {
                "let the user that thrumd runs as open that socket (by default every user may)"
                    .to_owned()
            }
            Self::NoAnswer { .. } => "run `tailscale status` to see more".to_owned(),
            Self::LoginFailed { .. } if ours => {
                "check THRUM_TS_AUTH_KEY and THRUM_TS_CONTROL_URL, \
                and that this machine reaches the control server"
                    .to_owned()
            }
            Self::LoginFailed { .. } => format!("run `{sudo}tailscale up`"),
            Self::LoggedOut { url: Some(url) } | Self::KeyExpired { url: Some(url) } => open(url),
            Self::LoggedOut { .. } | Self::KeyExpired { .. } if ours => {
                "set THRUM_TS_AUTH_KEY to a new key and restart thrumd".to_owned()
            }
            Self::LoggedOut { .. } => format!("run `{sudo}tailscale up`"),
            Self::KeyExpired { .. } => format!("run `{sudo}tailscale up --force-reauth`"),
            Self::NeedsApproval => {
                "approve it among the machines of the tailnet's admin console".to_owned()
            }
            Self::Stopped if ours => return None,
            Self::Stopped => format!("run `{sudo}tailscale up`"),
            Self::InUse => "log that user out, or use the tailnet as that user".to_owned(),
            Self::NoAddress { .. } => {
                "run thrumd in the network namespace of tailscaled, with `ip address` showing it"
                    .to_owned()
            }
            Self::Unknown(_) => "run `tailscale status`, and update thrumd".to_owned(),
        })
    }

    /// Problem and remedy in one line.
    pub fn describe(&self, instance: Instance) -> String {
        match self.remedy(instance) {
            Some(remedy) => format!("{}; {remedy}", self.problem(instance)),
            None => self.problem(instance),
        }
    }
}
