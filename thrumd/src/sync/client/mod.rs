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
use hyper_util::client::legacy::connect::{CaptureConnection, capture_connection};
use parking_lot::Mutex;
use thrum_api::envelope::{self, AnswerError};
use thrum_api::limits::{ANONYMOUS_BODY_MAX_BYTES, PEER_BODY_MAX_BYTES, PULL_ANSWER_MAX_BYTES};
use thrum_api::{DaemonId, ErrorCode, Method, RpcError};
use tokio::time::{Instant, sleep_until, timeout_at};

use connector::{ConnectionsClosed, HttpClient, PeerConnection, UNWATCHED_IDLE, new_client, uri};
pub(super) use dial::{DialError, dial};
use error::{BoxError, sanitize};
pub use error::{ClientError, known_reason};

use crate::large;
use crate::peer::Peer;
use crate::tailnet::Tailnet;

/// Limits on the time of a request and on the time and size of its answer.
#[derive(Debug, Clone, Copy)]
pub struct Bounds {
    /// For the whole request, while its bytes keep moving.
    pub sending: Duration,
    /// Between two pieces of the request or of the answer, and between the two.
    pub idle: Duration,
    /// For the rest of the answer, once its head arrived.
    pub whole: Duration,
    /// Size in bytes.
    pub answer_max: usize,
}

impl Bounds {
    /// For a page of events. `idle` ends a stalled one; a slow connection may take longer.
    pub const PULL: Self = Self {
        sending: Duration::from_secs(180),
        idle: Duration::from_secs(15),
        whole: Duration::from_secs(180),
        answer_max: PULL_ANSWER_MAX_BYTES,
    };
    /// For a notification and other small answers.
    pub const SMALL: Self = Self {
        sending: Duration::from_secs(180),
        idle: Duration::from_secs(10),
        whole: Duration::from_secs(10),
        answer_max: ANONYMOUS_BODY_MAX_BYTES,
    };

    /// How long nothing may move after a request of this size: what the buffers on its way hold of it has to get out.
    fn idle_after(&self, request_bytes: usize) -> Duration {
        let buffered = u32::try_from(request_bytes).unwrap_or(u32::MAX).min(BUFFERED_MAX_BYTES);
        self.idle + Duration::from_secs(1) * buffered / SLOW_UPLINK_BYTES_PER_SECOND
    }
}

/// What the buffers on the way of a request hold at most: no peer takes a larger one.
const BUFFERED_MAX_BYTES: u32 = 1024 * 1024;
const _: () = assert!(BUFFERED_MAX_BYTES as usize >= PEER_BODY_MAX_BYTES);
/// How fast a slow uplink empties them.
const SLOW_UPLINK_BYTES_PER_SECOND: u32 = 16 * 1024;

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
        let Exchange { connection, status, bytes } = loop {
            match self.exchange::<M>(to, addresses, first, &body, bounds).await {
                // The other side closed the kept connection at the same time. Every method may be
                // called twice.
                Err(Failed { connection: Some(kept), .. }) if kept.was_kept_since(begun) => {}
                ended => break ended.map_err(|failed| failed.error)?,
            }
        };
        let address = connection.address;
        let result = large::by_size(bytes.len(), || read::<M>(address, status, &bytes))?;
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
        let idle = bounds.idle_after(body.len());
        let timed_out = |after| {
            let address = PeerConnection::of(&captured).map_or(first, |it| it.address);
            ClientError::Timeout { address, method: M::NAME, after }
        };
        let response = tokio::select! {
            response = http.request(request) => response,
            // Dialling has its own limits.
            () = nothing_moves(captured.clone(), idle, bounds.sending) => {
                return Err(timed_out(idle).into());
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
        let status = response.status();
        if let Some(what) = foreign(&response) {
            return Err(ClientError::NotAThrumd { address, what }.into());
        }
        let mut body = response.into_body();
        let declared = usize::try_from(body.size_hint().lower()).unwrap_or(usize::MAX);
        let mut bytes = BytesMut::with_capacity(declared.min(bounds.answer_max));
        let end = Instant::now() + bounds.whole;
        loop {
            let pause = Instant::now() + bounds.idle;
            let frame = timeout_at(pause.min(end), body.frame())
                .await
                .map_err(|_| timed_out(if pause < end { bounds.idle } else { bounds.whole }))?;
            let Some(frame) = frame else { break };
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

/// Returns when a connection took no bytes of its request for `idle`, and no answer came. At the latest that long after
/// `sending`.
async fn nothing_moves(mut connecting: CaptureConnection, idle: Duration, sending: Duration) {
    drop(connecting.wait_for_connection_metadata().await);
    let begun = Instant::now();
    let written = || PeerConnection::of(&connecting).map_or(begun, |it| it.written_at());
    loop {
        let end = written().clamp(begun, begun + sending) + idle;
        if end <= Instant::now() {
            return;
        }
        sleep_until(end).await;
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
