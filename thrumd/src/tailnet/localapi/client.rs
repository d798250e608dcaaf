//! The client. Each request has its own connection: there are few, and none is sent on a connection to a
//! tailscaled that was restarted meanwhile.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use reqwest::header::{CONNECTION, HOST, UPGRADE};
use reqwest::{Method, RequestBuilder, Response, StatusCode};
use serde::de::DeserializeOwned;

use super::bus::{self, IpnBus};
use super::endpoint::Endpoint;
use super::error::ApiError;
use super::types::{NodePath, Ping, Refusal, Status, Whois};
use crate::large;
use crate::tailnet::types::Connection;

/// tailscaled refuses requests with any other host, and those that look like a browser's.
const LOCAL_HOST: &str = "local-tailscaled.sock";

/// Time limit for an answer. tailscaled answers from memory.
const TIMEOUT: Duration = Duration::from_secs(10);
/// Time limit for a ping. tailscaled gives up after about five seconds itself.
const PING_TIMEOUT: Duration = Duration::from_secs(6);
/// Time limit for a dial, which waits for the other machine.
const DIAL_TIMEOUT: Duration = Duration::from_secs(15);

/// Largest `status` that is read: ten thousand peers of 3 KiB.
const STATUS_LIMIT: usize = 32 * 1024 * 1024;
/// Largest other answer that is read.
pub(super) const ANSWER_LIMIT: usize = 1024 * 1024;
/// Largest refusal that is shown.
const REFUSAL_LIMIT: usize = 1024;

/// Client of the LocalAPI. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Client {
    endpoint: Endpoint,
}

impl Client {
    /// A client of the LocalAPI at `endpoint`. Opens no connection yet.
    pub fn new(endpoint: Endpoint) -> Self {
        Self { endpoint }
    }

    /// This node and, with `peers`, all others that it knows.
    ///
    /// # Errors
    /// When tailscaled can't be asked or its answer is invalid.
    pub async fn status(&self, peers: bool) -> Result<Status, ApiError> {
        let query: &[_] = if peers { &[] } else { &[("peers", "false")] };
        let request = self.request(Method::GET, "status", query)?.timeout(TIMEOUT);
        self.json("status", request, STATUS_LIMIT).await
    }

    /// The node at `address`.
    ///
    /// # Errors
    /// [`ApiError::NotFound`] if there is no such node; others when tailscaled can't be asked.
    pub async fn whois(&self, address: SocketAddr) -> Result<Whois, ApiError> {
        let query = [("proto", "tcp"), ("addr", &address.to_string())];
        let request = self.request(Method::GET, "whois", &query)?.timeout(TIMEOUT);
        self.json("whois", request, ANSWER_LIMIT).await
    }

    /// Opens the stream of changes. It ends with tailscaled, or when we read too slowly.
    ///
    /// # Errors
    /// When tailscaled can't be asked.
    pub async fn watch(&self) -> Result<IpnBus, ApiError> {
        let response = match self.open_bus(bus::MASK).await {
            Err(ApiError::Refused { status: StatusCode::BAD_REQUEST, .. }) => {
                self.open_bus(bus::PLAIN_MASK).await
            }
            response => response,
        }?;
        Ok(IpnBus::new(response))
    }

    async fn open_bus(&self, mask: u64) -> Result<Response, ApiError> {
        let name = "watch-ipn-bus";
        let request = self.request(Method::GET, name, &[("mask", &mask.to_string())])?;
        // Only the headers have a time limit: the body lasts as long as tailscaled.
        match tokio::time::timeout(TIMEOUT, self.send(name, request)).await {
            Ok(response) => response,
            Err(_) => Err(ApiError::TimedOut { request: name }),
        }
    }

    /// Starts a login by a person, for which `Status::auth_url` is the page. Needs write permission.
    ///
    /// # Errors
    /// When tailscaled can't be asked or refuses.
    pub async fn login_interactive(&self) -> Result<(), ApiError> {
        let name = "login-interactive";
        self.send(name, self.request(Method::POST, name, &[])?.timeout(TIMEOUT)).await.map(drop)
    }

    /// Path of packets to `address`, which must be in the tailnet. The ping runs below the tunnel, so
    /// that a policy that blocks our port does not show here.
    ///
    /// # Errors
    /// When tailscaled can't be asked or the node does not answer.
    pub async fn ping(&self, address: IpAddr) -> Result<NodePath, ApiError> {
        let query = [("type", "disco"), ("ip", &address.to_string())];
        let request = self.request(Method::POST, "ping", &query)?.timeout(PING_TIMEOUT);
        let answer: Ping = self.json("ping", request, ANSWER_LIMIT).await?;
        answer.path().map_err(|message| ApiError::Ping { to: address, message })
    }

    /// Dials a tailnet address through tailscaled: the way out where it has no network interface.
    ///
    /// # Errors
    /// When the address is not in the tailnet or does not answer.
    pub async fn dial(&self, to: SocketAddr) -> Result<Connection, ApiError> {
        let name = "dial";
        let request = self
            .request(Method::POST, name, &[])?
            .timeout(DIAL_TIMEOUT)
            .header(CONNECTION, "upgrade")
            .header(UPGRADE, "ts-dial")
            .header("Dial-Host", to.ip().to_string())
            .header("Dial-Port", to.port())
            .header("Dial-Network", "tcp");
        let response = self.send(name, request).await?;
        if response.status() != StatusCode::SWITCHING_PROTOCOLS {
            // "Dial it yourself": the address is not routed through the tailnet.
            return Err(ApiError::NotTailnet { to });
        }
        let stream = response.upgrade().await.map_err(|error| ApiError::failed(name, error))?;
        Ok(Box::new(stream))
    }

    fn request(
        &self,
        method: Method,
        name: &'static str,
        query: &[(&str, &str)],
    ) -> Result<RequestBuilder, ApiError> {
        let builder =
            reqwest::Client::builder().no_proxy().redirect(reqwest::redirect::Policy::none());
        let (builder, authority) = match &self.endpoint {
            Endpoint::Unix(path) => (builder.unix_socket(path.as_path()), LOCAL_HOST.to_owned()),
            Endpoint::Tcp { port, .. } => (builder, format!("127.0.0.1:{port}")),
        };
        let http = builder.build().map_err(|error| ApiError::failed(name, error))?;
        let request = http
            .request(method, format!("http://{authority}/localapi/v0/{name}"))
            .header(HOST, LOCAL_HOST)
            .query(query);
        Ok(match &self.endpoint {
            Endpoint::Unix(_) => request,
            Endpoint::Tcp { password, .. } => request.basic_auth("", Some(password)),
        })
    }

    /// Sends a request. The answer is a success or an upgrade.
    async fn send(
        &self,
        name: &'static str,
        request: RequestBuilder,
    ) -> Result<Response, ApiError> {
        let sent = request.send().await;
        let response = sent.map_err(|error| ApiError::not_sent(name, &self.endpoint, error))?;
        match response.status() {
            StatusCode::SWITCHING_PROTOCOLS => Ok(response),
            status if status.is_success() => Ok(response),
            _ => Err(refusal(name, response).await),
        }
    }

    async fn json<T: DeserializeOwned>(
        &self,
        name: &'static str,
        request: RequestBuilder,
        limit: usize,
    ) -> Result<T, ApiError> {
        let body = read_body(name, self.send(name, request).await?, limit).await?;
        large::by_size(body.len(), || serde_json::from_slice(&body))
            .map_err(|source| ApiError::InvalidJson { request: name, source })
    }
}

/// The whole body, which must not be larger than `limit` bytes.
async fn read_body(
    request: &'static str,
    mut response: Response,
    limit: usize,
) -> Result<Vec<u8>, ApiError> {
    let mut body = Vec::new();
    while let Some(chunk) =
        response.chunk().await.map_err(|error| ApiError::failed(request, error))?
    {
        if body.len() + chunk.len() > limit {
            return Err(ApiError::TooLarge { request, limit });
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body)
}

/// The error for a status other than success.
async fn refusal(request: &'static str, response: Response) -> ApiError {
    let status = response.status();
    let message = match read_body(request, response, REFUSAL_LIMIT).await {
        Ok(body) => String::from_utf8_lossy(&body).trim().to_owned(),
        Err(_) => "(no message)".to_owned(),
    };
    // Newer versions wrap some errors in JSON.
    let message = match serde_json::from_str::<Refusal>(&message) {
        Ok(refusal) if !refusal.error.is_empty() => refusal.error,
        _ => message,
    };
    match status {
        StatusCode::FORBIDDEN | StatusCode::UNAUTHORIZED => {
            ApiError::Forbidden { request, message }
        }
        StatusCode::NOT_FOUND => ApiError::NotFound { request, message },
        _ => ApiError::Refused { request, status, message },
    }
}
