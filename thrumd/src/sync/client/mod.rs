//! The HTTP client to other daemons: one request, one bounded answer, and errors that say what
//! follows from them.

mod dial;
mod error;
mod pool;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http_body_util::{BodyExt, Full};
use hyper::body::{Body as _, Incoming};
use hyper::header::{AUTHORIZATION, CONTENT_TYPE, HOST};
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use thrum_api::envelope::{self, AnswerError};
use thrum_api::limits::{ANONYMOUS_BODY_MAX_BYTES, PULL_ANSWER_MAX_BYTES};
use thrum_api::{ErrorCode, Method, RpcError, Token};
use tokio::time::{Instant, timeout};

pub(super) use dial::{DialError, dial};
use error::tame;
pub use error::{ClientError, known_reason};
use pool::{Pool, Sender};

use crate::tailnet::Tailnet;

/// How patient we are with an answer, and how large it may be.
#[derive(Debug, Clone, Copy)]
pub struct Bounds {
    /// Between two pieces of it.
    pub idle: Duration,
    /// For all of it.
    pub whole: Duration,
    /// Bytes.
    pub answer_max: usize,
}

impl Bounds {
    /// For a page of events. One that stalls is seen by `idle`; a slow line may take its time.
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

/// An answer, and how it came.
#[derive(Debug)]
pub struct Answer<R> {
    /// What was answered.
    pub result: R,
    /// The address that answered.
    pub address: SocketAddr,
    /// From the request's first byte to the answer's last.
    pub round_trip: Duration,
}

/// The client. Clones share its connections.
#[derive(Clone)]
pub struct Client {
    tailnet: Tailnet,
    pool: Arc<Pool>,
}

impl Client {
    /// A client that dials through this tailnet.
    pub fn new(tailnet: Tailnet) -> Self {
        Self { tailnet, pool: Arc::default() }
    }

    /// Closes idle connections, and those in use once they are not.
    pub fn forget_connections(&self) {
        self.pool.clear();
    }

    /// Calls `M` at the first of these addresses that accepts a connection.
    ///
    /// # Errors
    /// See [`ClientError`]. The first address's error if none could be connected to.
    pub async fn call<M: Method>(
        &self,
        peer: &str,
        addresses: &[SocketAddr],
        token: Option<&Token>,
        params: &M::Params,
        bounds: Bounds,
    ) -> Result<Answer<M::Result>, ClientError> {
        let body = envelope::request::<M>(1, params)
            .map_err(|source| ClientError::Params { method: M::NAME, source })?;
        let body = Bytes::from(body);
        let (begun, network) = (Instant::now(), self.pool.network());
        let exchange = async {
            for &address in addresses {
                let Some(sender) = self.pool.take(address) else { continue };
                match exchange::<M>(address, sender, token, &body, bounds).await {
                    // The other side closed the kept connection at the same moment. Every method
                    // may be asked twice.
                    Err(ClientError::Broken { .. }) => break,
                    outcome => return outcome.map(|answer| (address, answer)),
                }
            }
            let (address, sender) = self.connect(peer, addresses, M::NAME).await?;
            let answer = exchange::<M>(address, sender, token, &body, bounds).await?;
            Ok((address, answer))
        };
        let first = addresses.first().copied();
        let late = || match first {
            Some(address) => ClientError::Timeout { address, method: M::NAME, after: bounds.whole },
            None => ClientError::NotThere { peer: peer.to_owned() },
        };
        let (address, (sender, bytes, status)) =
            timeout(bounds.whole, exchange).await.map_err(|_| late())??;
        self.pool.put(address, sender, network);
        let result = read::<M>(address, status, &bytes)?;
        Ok(Answer { result, address, round_trip: begun.elapsed() })
    }

    async fn connect(
        &self,
        peer: &str,
        addresses: &[SocketAddr],
        method: &'static str,
    ) -> Result<(SocketAddr, Sender), ClientError> {
        let (address, stream) =
            dial(&self.tailnet, addresses).await.map_err(|error| error.of(peer))?;
        let (sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream))
            .await
            .map_err(|source| ClientError::Broken { address, method, source })?;
        // Ends when the sender is dropped or the other side closes; its error is the request's.
        tokio::spawn(async move { connection.await.is_ok() });
        Ok((address, sender))
    }
}

async fn exchange<M: Method>(
    address: SocketAddr,
    mut sender: Sender,
    token: Option<&Token>,
    body: &Bytes,
    bounds: Bounds,
) -> Result<(Sender, Bytes, StatusCode), ClientError> {
    let broken = |source| ClientError::Broken { address, method: M::NAME, source };
    let late = || ClientError::Timeout { address, method: M::NAME, after: bounds.idle };
    let mut request = Request::post("/rpc")
        .header(HOST, address.to_string())
        .header(CONTENT_TYPE, "application/json");
    if let Some(token) = token {
        request = request.header(AUTHORIZATION, format!("Bearer {}", token.expose()));
    }
    let request = request
        .body(Full::new(body.clone()))
        .map_err(|source| ClientError::Compose { address, source })?;
    sender.ready().await.map_err(broken)?;
    let response = timeout(bounds.idle, sender.send_request(request))
        .await
        .map_err(|_| late())?
        .map_err(broken)?;
    let status = response.status();
    if let Some(what) = foreign(&response) {
        return Err(ClientError::NotAThrumd { address, what });
    }
    let mut body = response.into_body();
    let declared = usize::try_from(body.size_hint().lower()).unwrap_or(usize::MAX);
    let mut bytes = BytesMut::with_capacity(declared.min(bounds.answer_max));
    while let Some(frame) = timeout(bounds.idle, body.frame()).await.map_err(|_| late())? {
        if let Ok(data) = frame.map_err(broken)?.into_data() {
            if bytes.len() + data.len() > bounds.answer_max {
                let limit = bounds.answer_max;
                return Err(ClientError::TooLarge { address, method: M::NAME, limit });
            }
            bytes.extend_from_slice(&data);
        }
    }
    Ok((sender, bytes.freeze(), status))
}

/// What came instead of JSON.
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
        Err(AnswerError::Refused(said)) => {
            let said = RpcError { message: tame(&said.message), ..said };
            Err(match said.code {
                ErrorCode::NOT_AUTHENTICATED => ClientError::Refused { address, said },
                _ => ClientError::Rpc { address, method: M::NAME, source: said },
            })
        }
        Err(_) if !status.is_success() => {
            Err(ClientError::NotAThrumd { address, what: format!("HTTP {status}") })
        }
        Err(source) => Err(ClientError::Malformed { address, method: M::NAME, source }),
    }
}
