//! A client of the LocalAPI, the HTTP interface of tailscaled for programs on its machine.
//!
//! Only what Thrum asks. Every field of an answer may be missing or null and every enum is open,
//! because the interface has no version. One connection a request: there are few, and none at all
//! while nothing happens but the open [`Bus`].

mod bus;
mod error;
mod http;
mod types;

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};
use std::time::Duration;

use hyper::header::{CONNECTION, UPGRADE};
use hyper::{Method, Request, StatusCode};
use serde::de::DeserializeOwned;

pub use bus::{Bus, News};
pub use error::ApiError;
pub use types::{BackendState, Profile, Status, StatusNode, Whois, WhoisNode};

use http::Body;

/// The socket of tailscaled where the platform puts it.
#[cfg(target_os = "macos")]
pub const DEFAULT_SOCKET: &str = "/var/run/tailscaled.socket";
/// The socket of tailscaled where the platform puts it.
#[cfg(not(target_os = "macos"))]
pub const DEFAULT_SOCKET: &str = "/var/run/tailscale/tailscaled.sock";

/// An answer that takes longer is an error. tailscaled answers from memory.
const TIMEOUT: Duration = Duration::from_secs(10);
/// tailscaled gives up a ping on its own after five seconds or so.
const PING_TIMEOUT: Duration = Duration::from_secs(6);
/// Dialling waits for the other machine.
const DIAL_TIMEOUT: Duration = Duration::from_secs(15);

/// Largest `status`: ten thousand peers of 3 KiB.
const STATUS_LIMIT: usize = 32 * 1024 * 1024;
/// Largest of any other answer.
const ANSWER_LIMIT: usize = 1024 * 1024;

/// Where the LocalAPI is.
#[derive(Clone, PartialEq, Eq)]
pub enum Endpoint {
    /// A Unix socket: Linux, and tailscaled from source anywhere.
    Unix(PathBuf),
    /// A port on 127.0.0.1 behind a password: the macOS apps.
    Tcp {
        /// The port.
        port: u16,
        /// The password of the empty user.
        password: String,
    },
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unix(path) => path.display().fmt(f),
            Self::Tcp { port, .. } => write!(f, "127.0.0.1:{port}"),
        }
    }
}

impl fmt::Debug for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// How a packet gets to a node, from a ping below the tunnel.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NodePath {
    /// Straight, or through which relay.
    pub via: Via,
    /// Round trip of that one ping.
    pub round_trip: Duration,
}

/// Straight, or through a relay.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Via {
    /// From endpoint to endpoint, `ip:port`.
    Direct(String),
    /// Through the relay of this name.
    Relay(String),
}

/// The client. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Client {
    endpoint: Endpoint,
}

impl Client {
    /// A client of what listens at `endpoint`. Nothing is opened yet.
    pub fn new(endpoint: Endpoint) -> Self {
        Self { endpoint }
    }

    /// Where it asks.
    pub fn endpoint(&self) -> &Endpoint {
        &self.endpoint
    }

    /// The socket's path, if it is one.
    pub fn socket(&self) -> Option<&Path> {
        match &self.endpoint {
            Endpoint::Unix(path) => Some(path),
            Endpoint::Tcp { .. } => None,
        }
    }

    /// This node and, with `peers`, all others that it may know of.
    pub async fn status(&self, peers: bool) -> Result<Status, ApiError> {
        let query = if peers { "status" } else { "status?peers=false" };
        self.json(Method::GET, query, None, STATUS_LIMIT, TIMEOUT).await
    }

    /// Who is at `address`. [`ApiError::Unknown`] if no node is.
    pub async fn whois(&self, address: SocketAddr) -> Result<Whois, ApiError> {
        let query = format!("whois?proto=tcp&addr={}", escape(&address.to_string()));
        self.json(Method::GET, &query, None, ANSWER_LIMIT, TIMEOUT).await
    }

    /// Opens the stream of news. Ends with tailscaled, or when we fall behind.
    pub async fn watch(&self) -> Result<Bus, ApiError> {
        Bus::open(self).await
    }

    /// Asks for a login by a person: `Status::auth_url` is where. Needs the right to write.
    pub async fn login_interactive(&self) -> Result<(), ApiError> {
        self.send(Method::POST, "login-interactive", None, ANSWER_LIMIT, TIMEOUT).await.map(drop)
    }

    /// How a packet gets to `address`, which must be in the tailnet. It goes below the tunnel, so
    /// that a policy that blocks our port does not show here.
    pub async fn ping(&self, address: IpAddr) -> Result<NodePath, ApiError> {
        let query = format!("ping?type=disco&ip={}", escape(&address.to_string()));
        let answer: types::Ping =
            self.json(Method::POST, &query, None, ANSWER_LIMIT, PING_TIMEOUT).await?;
        answer.path().map_err(|said| ApiError::Ping { to: address, said })
    }

    /// Dials a tailnet address as the node: the way out of a tailscaled without an interface.
    pub async fn dial(&self, to: SocketAddr) -> Result<super::Connection, ApiError> {
        let what = "dial";
        let request = Request::post(http::uri(what))
            .header(CONNECTION, "upgrade")
            .header(UPGRADE, "ts-dial")
            .header("Dial-Host", to.ip().to_string())
            .header("Dial-Port", to.port())
            .header("Dial-Network", "tcp");
        http::within(what, DIAL_TIMEOUT, async {
            let (response, driver) =
                http::call(&self.endpoint, what, request, Body::default()).await?;
            match response.status() {
                StatusCode::SWITCHING_PROTOCOLS => {
                    let upgraded = hyper::upgrade::on(response)
                        .await
                        .map_err(|source| ApiError::Broken { what: what.to_owned(), source })?;
                    drop(driver);
                    Ok(Box::new(hyper_util::rt::TokioIo::new(upgraded)) as super::Connection)
                }
                // "Dial it yourself": the address is not routed through the tailnet.
                StatusCode::OK => Err(ApiError::NotTailnet { to }),
                _ => Err(http::refusal(what, response).await),
            }
        })
        .await
    }

    async fn json<T: DeserializeOwned>(
        &self,
        method: Method,
        query: &str,
        body: Option<Body>,
        limit: usize,
        timeout: Duration,
    ) -> Result<T, ApiError> {
        let answer = self.send(method, query, body, limit, timeout).await?;
        serde_json::from_reader(answer)
            .map_err(|source| ApiError::Garbled { what: name_of(query).to_owned(), source })
    }

    async fn send(
        &self,
        method: Method,
        query: &str,
        body: Option<Body>,
        limit: usize,
        timeout: Duration,
    ) -> Result<impl std::io::Read + use<>, ApiError> {
        let what = name_of(query);
        let request = Request::builder().method(method).uri(http::uri(query));
        http::within(what, timeout, async {
            let (response, _driver) =
                http::call(&self.endpoint, what, request, body.unwrap_or_default()).await?;
            if !response.status().is_success() {
                return Err(http::refusal(what, response).await);
            }
            http::collect(what, response, limit).await
        })
        .await
    }
}

/// The endpoint's name without its query, for messages.
fn name_of(query: &str) -> &str {
    query.split_once('?').map_or(query, |(name, _)| name)
}

/// Percent-encodes what addresses have that queries can't.
fn escape(text: &str) -> String {
    text.replace('%', "%25").replace('[', "%5B").replace(']', "%5D").replace(':', "%3A")
}

#[cfg(test)]
pub(crate) mod fake;
#[cfg(test)]
mod tests;
