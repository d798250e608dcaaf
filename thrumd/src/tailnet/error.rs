use std::net::SocketAddr;

use super::localapi::ApiError;
use super::private::ChildError;

/// A failure of the tailnet.
#[derive(Debug, thiserror::Error)]
pub enum TailnetError {
    /// The typed text is not a name or address of a machine.
    #[error("{typed:?} is not a machine: {reason}")]
    Address {
        typed: String,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// A name that can't be resolved.
    #[error("could not look up {host:?}")]
    Lookup {
        host: String,
        #[source]
        cause: std::io::Error,
    },
    /// The loopback kind reaches no other machine.
    #[error("the loopback tailnet only reaches this machine, and {host} is another one")]
    NotLoopback { host: String },
    /// We are not in the tailnet now.
    #[error("the tailnet is not ready: {reason}")]
    Waiting {
        /// What is wrong and what to do about it.
        reason: String,
    },
    /// No node has this address.
    #[error("{host} is not a machine of the tailnet")]
    NotInTailnet { host: String },
    /// No node has this name.
    #[error("no machine of the tailnet {tailnet} is called {name:?}")]
    NoSuchName {
        name: String,
        /// Suffix of its full names.
        tailnet: String,
        similar: Vec<String>,
    },
    /// Several nodes have this short name.
    #[error("several machines are called {name:?}")]
    Ambiguous { name: String, matches: Vec<String> },
    /// tailscaled does not identify a caller.
    #[error("tailscaled does not identify {remote}")]
    Whois {
        /// Where the connection came from.
        remote: SocketAddr,
        #[source]
        source: ApiError,
    },
    /// Our own tailscaled can't be run.
    #[error("our own tailscaled can't be run")]
    Child(#[source] ChildError),
    /// A caller that the tailnet does not know.
    #[error("{remote} is not in the tailnet")]
    UnknownCaller {
        /// Where the connection came from.
        remote: SocketAddr,
    },
}

impl TailnetError {
    /// What the person can do about it, where that is known.
    pub fn hint(&self) -> Option<String> {
        const LIST: &str = "`tailscale status` lists the machines of the tailnet";
        let hint = match self {
            Self::Address { .. } => "type NAME, NAME:PORT, an IP address or [IPv6]:PORT",
            Self::Lookup { .. } => "check the spelling, or type its address",
            Self::NotLoopback { .. } => {
                "use 127.0.0.1, or set THRUM_TAILNET=tailscaled on both machines"
            }
            Self::NotInTailnet { .. } => LIST,
            Self::NoSuchName { similar, .. } => match &similar[..] {
                [] => LIST,
                [one] => return Some(format!("did you mean {one}?")),
                several => return Some(format!("did you mean one of {}?", several.join(", "))),
            },
            Self::Ambiguous { matches, .. } => {
                return Some(format!("type the full name: {}", matches.join(", ")));
            }
            Self::Waiting { .. }
            | Self::Whois { .. }
            | Self::Child(_)
            | Self::UnknownCaller { .. } => {
                return None;
            }
        };
        Some(hint.to_owned())
    }
}
