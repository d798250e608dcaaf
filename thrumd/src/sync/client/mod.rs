//! The HTTP client for other daemons: one request, one bounded answer, and errors for the hub.

mod connector;
mod dial;
mod error;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};
use std::error::Error as _;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http_body_util::{BodyExt, Full};
use hyper::body::{Body as _, Incoming};
use hyper::header::{AUTHORIZATION, CONTENT_TYPE, HOST};
use hyper::{Request, Response, StatusCode};
use hyper_util::client::legacy::connect::capture_connection;
use parking_lot::Mutex;
use thrum_api::envelope::{self, AnswerError};
use thrum_api::limits::{ANONYMOUS_BODY_MAX_BYTES, PULL_ANSWER_MAX_BYTES};
use thrum_api::{DaemonId, ErrorCode, Method, RpcError};
use tokio::time::{Instant, sleep, timeout};

use connector::{ConnectionsClosed, HttpClient, PeerConnection, UNWATCHED_IDLE, new_client, uri};
pub(super) use dial::{DialError, dial};
use error::{BoxError, sanitize};
pub use error::{ClientError, known_reason};

use crate::peer::Peer;
use crate::tailnet::Tailnet;

/// Limits on the time and size of an answer.
#[derive(Debug, Clone, Copy)]
pub struct Bounds {
    /// Between two chunks.
    pub idle: Duration,
    /// For the whole answer.
    pub whole: Duration,
    /// Size in bytes.
    pub answer_max: usize,
}

impl Bounds {
    /// For a page of events. `idle` ends a stalled one; a slow connection may take longer.
    pub const PULL: Self = Self {
        idle: Duration::from_secs(15),
        whole: Duration::from_secs(180),
        answer_max: PULL_ANSWER_MAX_BYTES,
    };
    /// For a notification and other small answers.
    pub const SMALL: Self = Self {
        idle: Duration::from_secs(10),
        whole: Duration::from_secs(10),
        answer_max: ANONYMOUS_BODY_MAX_BYTES,
    };
}

/// An answer with its address and round trip.
#[derive(Debug)]
pub struct Answer<R> {
    pub result: R,
    /// The address that answered.
    pub address: SocketAddr,
    /// From the request's first byte to the answer's last.
    pub round_trip: Duration,
}

/// Whom a request goes to.
#[derive(Clone, Copy)]
pub enum Callee<'a> {
    /// A peer: the request carries its token, and the connection is watched.
    Peer(&'a Peer),
    /// A machine by this name, without a token, over a new connection that is not kept.
    Stranger(&'a str),
}

impl Callee<'_> {
    fn name(&self) -> &str {
        match self {
            Self::Peer(peer) => &peer.name,
            Self::Stranger(name) => name,
        }
    }
}

/// The client. Clones share its connections.
#[derive(Clone)]
pub struct Client {
    tailnet: Tailnet,
    closed: ConnectionsClosed,
    /// One for each peer, with its connections.
    http: Arc<Mutex<BTreeMap<DaemonId, HttpClient>>>,
    unwatched_idle: Duration,
}

/// An answer before parsing.
struct Exchange {
    connection: PeerConnection,
    status: StatusCode,
    bytes: Bytes,
}

/// Why there was no answer, and the connection that broke, if one did.
struct Failed {
    error: ClientError,
    connection: Option<PeerConnection>,
}

impl From<ClientError> for Failed {
    fn from(error: ClientError) -> Self {
        Self { error, connection: None }
    }
}

impl Client {
    /// Creates a client that dials through this tailnet.
    pub fn new(tailnet: Tailnet) -> Self {
        let (closed, http) = (ConnectionsClosed::default(), Arc::default());
        Self { tailnet, closed, http, unwatched_idle: UNWATCHED_IDLE }
    }

    /// Waits until connections to peers ended without our doing, whether or not requests were under way. Returns
    /// the peers. For one caller.
    pub async fn connections_closed(&self) -> BTreeSet<DaemonId> {
        // No error: the sender is ours.
        drop(self.closed.subscribe().wait_for(|peers| !peers.is_empty()).await);
        let mut taken = BTreeSet::new();
        self.closed.send_if_modified(|peers| {
            taken = std::mem::take(peers);
            false
        });
        taken
    }

    /// Keeps the connections to these peers only. Closes others now, and those in use after their request.
    pub fn keep_connections(&self, to: impl Fn(&DaemonId) -> bool) {
        self.http.lock().retain(|peer, _| to(peer));
    }

    fn http(&self, to: Callee<'_>) -> HttpClient {
        let new = |peer| new_client(&self.tailnet, peer, &self.closed, self.unwatched_idle);
        match to {
            Callee::Stranger(_) => new(None),
            Callee::Peer(Peer { daemon_id: id, .. }) => {
                self.http.lock().entry(*id).or_insert_with(|| new(Some(*id))).clone()
            }
        }
    }

    /// Calls `M` at the first of these addresses that accepts a connection.
    ///
    /// # Errors
    /// See [`ClientError`]. The first address's error if none could be connected to.
    pub async fn call<M: Method>(
        &self,
        to: Callee<'_>,
        addresses: &[SocketAddr],
        params: &M::Params,
        bounds: Bounds,
    ) -> Result<Answer<M::Result>, ClientError> {
        let body = envelope::request::<M>(1, params)
            .map_err(|source| ClientError::Params { method: M::NAME, source })?;
        let body = Bytes::from(body);
        let Some(&first) = addresses.first() else {
            return Err(ClientError::NotThere { peer: to.name().to_owned() });
        };
        let begun = Instant::now();
        let asking = async {
            loop {
                match self.exchange::<M>(to, addresses, first, &body, bounds).await {
                    // The other side closed the kept connection at the same time. Every method may be
                    // called twice.
                    Err(Failed { connection: Some(kept), .. }) if kept.was_kept_since(begun) => {}
                    ended => return ended.map_err(|failed| failed.error),
                }
            }
        };
        let Exchange { connection, status, bytes } =
            timeout(bounds.whole, asking).await.map_err(|_| ClientError::Timeout {
                address: first,
                method: M::NAME,
                after: bounds.whole,
            })??;
        let address = connection.address;
        let result = read::<M>(address, status, &bytes)?;
        Ok(Answer { result, address, round_trip: begun.elapsed() })
    }

    async fn exchange<M: Method>(
        &self,
        to: Callee<'_>,
        addresses: &[SocketAddr],
        first: SocketAddr,
        body: &Bytes,
        bounds: Bounds,
    ) -> Result<Exchange, Failed> {
        let mut request = Request::post(uri(addresses))
            .header(HOST, first.to_string())
            .header(CONTENT_TYPE, "application/json");
        if let Callee::Peer(peer) = to {
            request = request.header(AUTHORIZATION, format!("Bearer {}", peer.token.expose()));
        }
        let mut request = request
            .body(Full::new(body.clone()))
            .map_err(|source| ClientError::Compose { address: first, source })?;
        let captured = capture_connection(&mut request);
        let http = self.http(to);
        let mut connecting = captured.clone();
        let response = tokio::select! {
            response = http.request(request) => response,
            // Dialling has its own limits.
            () = async {
                drop(connecting.wait_for_connection_metadata().await);
                sleep(bounds.idle).await;
            } => {
                let address = PeerConnection::of(&captured).map_or(first, |it| it.address);
                let error = ClientError::Timeout { address, method: M::NAME, after: bounds.idle };
                return Err(error.into());
            }
        };
        let connection = PeerConnection::of(&captured);
        let broken = |source: BoxError| {
            let address = connection.as_ref().map_or(first, |it| it.address);
            let connection = connection.clone();
            Failed { error: ClientError::Broken { address, method: M::NAME, source }, connection }
        };
        let response = response.map_err(|error| match dial_error(&error) {
            Some(error) => error.of(to.name()).into(),
            None => broken(error.into()),
        })?;
        let Some(connection) = &connection else {
            return Err(broken("it arrived over an unknown connection".into()));
        };
        connection.end_head();
        let address = connection.address;
        let late = || ClientError::Timeout { address, method: M::NAME, after: bounds.idle };
        let status = response.status();
        if let Some(what) = foreign(&response) {
            return Err(ClientError::NotAThrumd { address, what }.into());
        }
        let mut body = response.into_body();
        let declared = usize::try_from(body.size_hint().lower()).unwrap_or(usize::MAX);
        let mut bytes = BytesMut::with_capacity(declared.min(bounds.answer_max));
        while let Some(frame) = timeout(bounds.idle, body.frame()).await.map_err(|_| late())? {
            if let Ok(data) = frame.map_err(|error| broken(error.into()))?.into_data() {
                if bytes.len() + data.len() > bounds.answer_max {
                    let limit = bounds.answer_max;
                    return Err(ClientError::TooLarge { address, method: M::NAME, limit }.into());
                }
                bytes.extend_from_slice(&data);
            }
        }
        Ok(Exchange { connection: connection.clone(), status, bytes: bytes.freeze() })
    }
}

/// The error of the dial, if that is the cause.
fn dial_error(error: &hyper_util::client::legacy::Error) -> Option<DialError> {
    error.source()?.downcast_ref::<DialError>().cloned()
}

/// Describes an answer that is not JSON.
fn foreign(response: &Response<Incoming>) -> Option<String> {
    let kind = response.headers().get(CONTENT_TYPE).and_then(|value| value.to_str().ok());
    match kind {
        Some(kind) if kind.starts_with("application/json") => None,
        Some(kind) => {
            let kind: String = kind.chars().filter(|c| !c.is_control()).take(64).collect();
            Some(format!("HTTP {} with {kind}", response.status()))
        }
        None => Some(format!("HTTP {} without a content type", response.status())),
    }
}

fn read<M: Method>(
    address: SocketAddr,
    status: StatusCode,
    bytes: &[u8],
) -> Result<M::Result, ClientError> {
    match envelope::answer::<M::Result>(bytes) {
        Ok(result) => Ok(result),
        Err(AnswerError::Refused(error)) => {
            let error = RpcError { message: sanitize(&error.message), ..error };
            Err(match error.code {
                ErrorCode::NOT_AUTHENTICATED => ClientError::Refused { address, error },
                _ => ClientError::Rpc { address, method: M::NAME, source: error },
            })
        }
        Err(_) if !status.is_success() => {
            Err(ClientError::NotAThrumd { address, what: format!("HTTP {status}") })
        }
        Err(source) => Err(ClientError::Malformed { address, method: M::NAME, source }),
    }
}
