use std::error::Error as _;
use std::io;
use std::net::{IpAddr, SocketAddr};

use reqwest::StatusCode;

use super::endpoint::Endpoint;

/// A LocalAPI request that failed.
#[derive(Debug, thiserror::Error)]
pub enum ApiError {
    /// There is no socket: tailscaled is not installed, or not running.
    #[error("no tailscaled at {at}")]
    NoSocket {
        at: String,
        #[source]
        source: io::Error,
    },
    /// There is a socket, but no process listens on it.
    #[error("tailscaled is not running: nothing listens at {at}")]
    NotListening {
        at: String,
        #[source]
        source: io::Error,
    },
    /// The file system denies access to the socket.
    #[error("no permission to open {at}")]
    NoPermission {
        at: String,
        #[source]
        source: io::Error,
    },
    /// Any other failure to connect.
    #[error("connecting to tailscaled at {at}")]
    Connect {
        at: String,
        #[source]
        source: io::Error,
    },
    /// 403: tailscaled does not answer this user.
    #[error("tailscaled refuses {request} to this user: {message}")]
    Forbidden { request: &'static str, message: String },
    /// 404: no such node, or a tailscaled that does not know the request.
    #[error("tailscaled finds nothing for {request}: {message}")]
    NotFound { request: &'static str, message: String },
    /// Any other status that is not a success.
    #[error("tailscaled answered {request} with {status}: {message}")]
    Refused { request: &'static str, status: StatusCode, message: String },
    /// The connection broke, or the answer was not HTTP.
    #[error("the request {request} to tailscaled failed")]
    Failed {
        request: &'static str,
        #[source]
        source: reqwest::Error,
    },
    /// The answer is larger than any that is expected.
    #[error("tailscaled's answer to {request} is larger than {limit} bytes")]
    TooLarge { request: &'static str, limit: usize },
    /// The answer is not the expected JSON.
    #[error("tailscaled's answer to {request} is not understood")]
    InvalidJson {
        request: &'static str,
        #[source]
        source: serde_json::Error,
    },
    /// No answer in time.
    #[error("tailscaled did not answer {request} in time")]
    TimedOut { request: &'static str },
    /// The ping failed.
    #[error("pinging {to} in the tailnet: {message}")]
    Ping { to: IpAddr, message: String },
    /// The address to dial is outside the tailnet.
    #[error("{to} is not reached through the tailnet")]
    NotTailnet { to: SocketAddr },
}

impl ApiError {
    /// The error of a request that could not be sent. Connection errors are told apart by their
    /// cause, since each needs another remedy.
    pub(super) fn not_sent(
        request: &'static str,
        endpoint: &Endpoint,
        error: reqwest::Error,
    ) -> Self {
        let Some(source) = connect_error(&error) else { return Self::failed(request, error) };
        let at = endpoint.to_string();
        match source.kind() {
            io::ErrorKind::NotFound => Self::NoSocket { at, source },
            io::ErrorKind::ConnectionRefused => Self::NotListening { at, source },
            io::ErrorKind::PermissionDenied => Self::NoPermission { at, source },
            _ => Self::Connect { at, source },
        }
    }

    /// The error of a request that was sent, or an answer that could not be read.
    pub(super) fn failed(request: &'static str, error: reqwest::Error) -> Self {
        match error.is_timeout() {
            true => Self::TimedOut { request },
            // The URL is the same for each request, and long.
            false => Self::Failed { request, source: error.without_url() },
        }
    }

    /// The same as an error of a connection attempt, with the kind that a failed connect would have.
    pub fn into_io(self) -> io::Error {
        use io::ErrorKind;
        let kind = match &self {
            Self::TimedOut { .. } => ErrorKind::TimedOut,
            Self::NotTailnet { .. } => ErrorKind::AddrNotAvailable,
            // tailscaled returns the texts of its own network stack.
            Self::Refused { message, .. } if message.contains("refused") => {
                ErrorKind::ConnectionRefused
            }
            Self::Refused { message, .. } if message.contains("unreachable") => {
                ErrorKind::HostUnreachable
            }
            Self::Refused { message, .. }
                if message.contains("timed out") || message.contains("deadline") =>
            {
                ErrorKind::TimedOut
            }
            _ => ErrorKind::Other,
        };
        io::Error::new(kind, self)
    }
}

/// The system's error if the connection could not be opened.
fn connect_error(error: &reqwest::Error) -> Option<io::Error> {
    if !error.is_connect() || error.is_timeout() {
        return None;
    }
    let causes = std::iter::successors(error.source(), |&cause| cause.source());
    let io = causes.filter_map(|cause| cause.downcast_ref::<io::Error>()).last()?;
    Some(io.raw_os_error().map_or_else(|| io.kind().into(), io::Error::from_raw_os_error))
}
