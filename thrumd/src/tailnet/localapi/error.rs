use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use hyper::StatusCode;

/// A question to tailscaled that got no answer, or no good one.
#[derive(Debug, thiserror::Error)]
pub enum ApiError {
    /// No socket: not installed, or not running.
    #[error("no tailscaled at {at}")]
    Absent {
        /// The socket.
        at: String,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// A socket, but nobody listens any more.
    #[error("tailscaled is not running: nobody listens at {at}")]
    Dead {
        /// The socket.
        at: String,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// The file system keeps us from the socket.
    #[error("no permission to open {at}")]
    NoPermission {
        /// The socket.
        at: String,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// Any other failure to connect.
    #[error("connecting to tailscaled at {at}")]
    Connect {
        /// The socket.
        at: String,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// 403: it answers others, not us.
    #[error("tailscaled refuses {what} to this user: {said}")]
    Forbidden {
        /// The question.
        what: String,
        /// Its words.
        said: String,
    },
    /// 404: no such node, or a tailscaled that does not know the question.
    #[error("tailscaled knows nothing for {what}: {said}")]
    Unknown {
        /// The question.
        what: String,
        /// Its words.
        said: String,
    },
    /// Any other status that is no success.
    #[error("tailscaled answered {what} with {status}: {said}")]
    Refused {
        /// The question.
        what: String,
        /// The HTTP status.
        status: StatusCode,
        /// Its words.
        said: String,
    },
    /// The connection broke, or HTTP did.
    #[error("the connection to tailscaled broke during {what}")]
    Broken {
        /// The question.
        what: String,
        /// Why.
        #[source]
        source: hyper::Error,
    },
    /// The body broke or was too large.
    #[error("reading tailscaled's answer to {what}")]
    Body {
        /// The question.
        what: String,
        /// Why.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The body is not what it should be.
    #[error("tailscaled's answer to {what} is not understood")]
    Garbled {
        /// The question.
        what: String,
        /// Why.
        #[source]
        source: serde_json::Error,
    },
    /// No answer in time.
    #[error("tailscaled did not answer {what} within {} s", after.as_secs())]
    Late {
        /// The question.
        what: String,
        /// How long we waited.
        after: Duration,
    },
    /// The ping came back with an error.
    #[error("pinging {to} in the tailnet: {said}")]
    Ping {
        /// Whom.
        to: IpAddr,
        /// Its words.
        said: String,
    },
    /// Asked to dial an address outside the tailnet.
    #[error("{to} is not reached through the tailnet")]
    NotTailnet {
        /// The address.
        to: SocketAddr,
    },
    /// We made a request that is none; a bug.
    #[error("asking tailscaled for {what}")]
    Request {
        /// The question.
        what: String,
        /// Why.
        #[source]
        source: hyper::http::Error,
    },
}

impl ApiError {
    /// As the error of a connection attempt, with the kind that a failing connect would have had.
    pub fn into_io(self) -> std::io::Error {
        use std::io::ErrorKind;
        let kind = match &self {
            Self::Late { .. } => ErrorKind::TimedOut,
            Self::NotTailnet { .. } => ErrorKind::AddrNotAvailable,
            // tailscaled hands its own network stack's words through.
            Self::Refused { said, .. } if said.contains("refused") => ErrorKind::ConnectionRefused,
            Self::Refused { said, .. } if said.contains("unreachable") => {
                ErrorKind::HostUnreachable
            }
            Self::Refused { said, .. }
                if said.contains("timed out") || said.contains("deadline") =>
            {
                ErrorKind::TimedOut
            }
            _ => ErrorKind::Other,
        };
        std::io::Error::new(kind, self)
    }
}
