use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::path::Path;
use std::time::Duration;

use rustix::net;
use thrum_api::envelope::{self, AnswerError};
use thrum_api::{ErrorCode, Method, RpcError, Token};

use super::connect_unix;
use super::http::{self, Response};

/// Why a call brought no result.
#[derive(Debug)]
pub enum CallError {
    /// The daemon answered with an error.
    Refused(RpcError),
    /// Nothing that is an answer came.
    Broken(String),
}

impl CallError {
    /// The error code, if the daemon answered.
    pub fn code(&self) -> Option<ErrorCode> {
        match self {
            Self::Refused(error) => Some(error.code),
            Self::Broken(_) => None,
        }
    }
}

impl std::fmt::Display for CallError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Refused(error) => write!(f, "refused with {}: {error}", error.code.0),
            Self::Broken(reason) => write!(f, "no answer: {reason}"),
        }
    }
}

fn outcome<M: Method>(answer: io::Result<Response>) -> Result<M::Result, CallError> {
    let response = answer.map_err(|error| CallError::Broken(error.to_string()))?;
    envelope::answer(&response.body).map_err(|error| match error {
        AnswerError::Refused(error) => CallError::Refused(error),
        other => CallError::Broken(format!("{other}: {}", response.text())),
    })
}

/// Calls a method of the local surface.
pub(super) fn call_local<M: Method>(
    socket: &Path,
    params: &M::Params,
    limit: Duration,
) -> Result<M::Result, CallError> {
    let body = envelope::request::<M>(1, params).unwrap();
    outcome::<M>(post_local(socket, &body, limit))
}

/// Posts any bytes to the local surface.
pub(super) fn post_local(socket: &Path, body: &[u8], limit: Duration) -> io::Result<Response> {
    let mut stream = connect_unix(socket)?;
    stream.set_read_timeout(Some(limit))?;
    let headers = [("content-type", "application/json")];
    http::exchange(&mut stream, &http::request("POST", "/rpc", &headers, body))
}

/// Someone who talks to the peer port of a daemon.
#[derive(Debug, Clone)]
pub struct PeerCaller {
    to: SocketAddr,
    from: Option<Ipv4Addr>,
    token: Option<Token>,
}

impl PeerCaller {
    /// A stranger.
    pub fn new(to: SocketAddr) -> Self {
        Self { to, from: None, token: None }
    }

    /// The same with a token.
    #[must_use]
    pub fn with_token(mut self, token: Token) -> Self {
        self.token = Some(token);
        self
    }

    /// The same at this address in 127.0.0.0/8: another caller.
    #[must_use]
    pub fn at(mut self, address: Ipv4Addr) -> Self {
        self.from = Some(address);
        self
    }

    /// A fresh connection.
    ///
    /// # Errors
    /// When nobody listens.
    pub fn connect(&self) -> io::Result<TcpStream> {
        let stream = match self.from {
            None => TcpStream::connect_timeout(&self.to, Duration::from_secs(5))?,
            Some(from) => {
                let socket = net::socket(net::AddressFamily::INET, net::SocketType::STREAM, None)?;
                net::bind(&socket, &SocketAddr::from((from, 0)))?;
                net::connect(&socket, &self.to)?;
                TcpStream::from(socket)
            }
        };
        stream.set_read_timeout(Some(Duration::from_secs(40)))?;
        stream.set_write_timeout(Some(Duration::from_secs(40)))?;
        stream.set_nodelay(true)?;
        Ok(stream)
    }

    /// Calls a method.
    ///
    /// # Errors
    /// When it is refused or nothing comes.
    pub fn call<M: Method>(&self, params: &M::Params) -> Result<M::Result, CallError> {
        outcome::<M>(self.post(&envelope::request::<M>(1, params).unwrap()))
    }

    /// Posts any bytes to `/rpc`.
    ///
    /// # Errors
    /// When nothing comes.
    pub fn post(&self, body: &[u8]) -> io::Result<Response> {
        self.send("POST", "/rpc", &[("content-type", "application/json")], body)
    }

    /// Sends any request, with the token if there is one.
    ///
    /// # Errors
    /// When nothing comes.
    pub fn send(
        &self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: &[u8],
    ) -> io::Result<Response> {
        let bearer = self.token.as_ref().map(|token| format!("Bearer {}", token.expose()));
        let mut headers = headers.to_vec();
        if let Some(bearer) = &bearer {
            headers.push(("authorization", bearer));
        }
        http::exchange(&mut self.connect()?, &http::request(method, path, &headers, body))
    }
}
