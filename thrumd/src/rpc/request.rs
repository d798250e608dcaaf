//! One request: the checks before it is answered, in this order.
//!
//! Path and method, token in the header, content type, length, the body as it arrives, the token
//! once more, the envelope, token in the params. Then it is processed in a separate task.

use std::borrow::Cow;
use std::sync::Arc;

use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use hyper::body::{Body as _, Incoming};
use hyper::header::{ALLOW, AUTHORIZATION, CONNECTION, CONTENT_TYPE, HeaderMap, HeaderValue};
use hyper::http::request::Parts;
use hyper::{Method, Response, StatusCode};
use thrum_api::envelope::{self, Request, RequestId};
use thrum_api::method::Method as _;
use thrum_api::peer::SyncPeerInfo;
use thrum_api::{DaemonId, ErrorCode, RpcError};
use tokio::time::{Instant, timeout_at};

use super::idle_timer::WritingGuard;
use super::in_flight::InFlightPermit;
use super::methods::{Handler, is_open, not_authenticated};
use super::refusal;
use super::state::ConnectionContext;
use crate::large;
use crate::metrics::Refusal;

const PATH: &str = "/rpc";
const JSON: HeaderValue = HeaderValue::from_static("application/json");

/// An answer.
struct Reply {
    status: StatusCode,
    body: Vec<u8>,
    // The body of the request was not read to its end: the connection can't be used again.
    unread: bool,
    // The request counts as one of its peer's until the answer is written.
    permit: Option<InFlightPermit>,
    // What it is counted as, if the caller was refused.
    refusal: Option<Refusal>,
}

/// The bytes of an answer, with what lasts until they are written, when hyper drops them: the permit, so that a peer
/// that reads nothing makes us keep only a few answers, and the time for writing them.
struct AnswerBytes {
    body: Vec<u8>,
    _permit: Option<InFlightPermit>,
    _writing: WritingGuard,
}

impl AsRef<[u8]> for AnswerBytes {
    fn as_ref(&self) -> &[u8] {
        &self.body
    }
}

impl Reply {
    fn error(id: Option<&RequestId>, error: &RpcError) -> Self {
        let body = envelope::response::<()>(id, Err(error));
        let refusal = refusal::of(error);
        Self { status: status_of(error.code), body, unread: false, permit: None, refusal }
    }

    fn early(status: Option<StatusCode>, error: RpcError) -> Self {
        let reply = Self::error(None, &error);
        Self { status: status.unwrap_or(reply.status), unread: true, ..reply }
    }

    fn into_bytes(self, writing: WritingGuard) -> Bytes {
        let Self { body, permit, .. } = self;
        Bytes::from_owner(AnswerBytes { body, _permit: permit, _writing: writing })
    }
}

/// The HTTP status that goes with a code. docs/protocol.md has the table.
fn status_of(code: ErrorCode) -> StatusCode {
    match code {
        ErrorCode::NOT_AUTHENTICATED => StatusCode::UNAUTHORIZED,
        ErrorCode::TOO_LARGE => StatusCode::PAYLOAD_TOO_LARGE,
        ErrorCode::TOO_MANY_REQUESTS => StatusCode::TOO_MANY_REQUESTS,
        _ => StatusCode::OK,
    }
}

/// Answers a request of a connection.
pub(super) async fn respond<H: Handler>(
    context: &Arc<ConnectionContext<H>>,
    request: hyper::Request<Incoming>,
) -> Response<Full<Bytes>> {
    let busy = context.idle.request();
    let (head, body) = request.into_parts();
    let reply = handle(context, &head, body).await.unwrap_or_else(|refused| refused);
    if let Some(refusal) = reply.refusal {
        context.server.metrics.refusals.inc(refusal);
    }
    let (status, unread) = (reply.status, reply.unread);
    let mut response = Response::new(Full::new(reply.into_bytes(busy.answered())));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, JSON);
    if status == StatusCode::METHOD_NOT_ALLOWED {
        headers.insert(ALLOW, HeaderValue::from_static("POST"));
    }
    if unread || context.slot.ends() {
        headers.insert(CONNECTION, HeaderValue::from_static("close"));
    }
    response
}

async fn handle<H: Handler>(
    context: &Arc<ConnectionContext<H>>,
    head: &Parts,
    body: Incoming,
) -> Result<Reply, Reply> {
    let invalid =
        |status, text| Reply::early(Some(status), RpcError::new(ErrorCode::INVALID_REQUEST, text));
    if head.uri.path() != PATH {
        return Err(invalid(StatusCode::NOT_FOUND, "nothing is served here but POST /rpc"));
    }
    if head.method != Method::POST {
        return Err(invalid(
            StatusCode::METHOD_NOT_ALLOWED,
            "nothing is served here but POST /rpc",
        ));
    }
    let early = |error| Reply::early(None, error);
    let token = bearer(&head.headers).map_err(|()| early(not_authenticated()))?;
    let peer = match token {
        None => None,
        Some(token) => Some(context.authenticate(token).await.map_err(early)?),
    };
    if !is_json(&head.headers) {
        return Err(invalid(
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
            "the content type must be application/json",
        ));
    }
    let permit = peer.map(|peer| context.permit(peer)).transpose().map_err(early)?;
    let bytes = read(context, body, peer.is_some()).await?;
    // The peer may have been removed while the body arrived.
    if let Some(token) =
        token.filter(|token| !context.server.handler.is_still_valid(token, &context.caller))
    {
        context.authenticate(token).await.map_err(|error| Reply::error(None, &error))?;
    }
    let work = {
        let context = Arc::clone(context);
        async move { work_on(&context, peer, permit, &bytes).await }
    };
    // In a separate task: a caller that disconnects must not cancel half an operation.
    match context.server.tasks.spawn(work).await {
        Ok(reply) => Ok(reply),
        // It panicked, which ends the process (see `service`).
        Err(_) => Err(Reply::error(None, &RpcError::new(ErrorCode::INTERNAL, "internal error"))),
    }
}

async fn work_on<H: Handler>(
    context: &ConnectionContext<H>,
    peer: Option<DaemonId>,
    permit: Option<InFlightPermit>,
    bytes: &[u8],
) -> Reply {
    let received = Instant::now();
    let request = match large::request(bytes) {
        Ok(request) => request,
        Err(error) => return Reply::error(None, &error),
    };
    let id = request.id.as_ref();
    let (peer, permit) = match peer {
        None if !is_open(&request.method) => match context.authenticate_params(&request).await {
            Ok((peer, permit)) => (Some(peer), Some(permit)),
            Err((error, refusal)) => {
                count(context, &request, Some(&error), received);
                return Reply { refusal, ..Reply::error(id, &error) };
            }
        },
        known => (known, permit),
    };
    let answer = context.server.handler.answer(&context.caller, peer, &request).await;
    count(context, &request, answer.as_ref().err(), received);
    let reply = match answer {
        Ok(body) => Reply { status: StatusCode::OK, body, unread: false, permit, refusal: None },
        Err(error) => {
            tracing::debug!(
                caller = %context.caller.describe(), method = %request.method.escape_debug(),
                code = error.code.0, "refused: {error}"
            );
            Reply::error(id, &error)
        }
    };
    match (id, reply.status) {
        // A notification in the sense of JSON-RPC is not answered.
        (None, StatusCode::OK) => Reply { status: StatusCode::NO_CONTENT, body: vec![], ..reply },
        _ => reply,
    }
}

/// Counts an answered request.
fn count<H: Handler>(
    context: &ConnectionContext<H>,
    request: &Request<'_>,
    error: Option<&RpcError>,
    received: Instant,
) {
    let code = error.map(|error| error.code);
    context.server.metrics.requests.answered(&request.method, code, received.elapsed());
}

impl<H: Handler> ConnectionContext<H> {
    async fn authenticate(&self, token: &str) -> Result<DaemonId, RpcError> {
        let peer = match self.server.handler.authenticate(token, &self.caller).await {
            Ok(peer) => peer,
            Err(error) => {
                self.log_refusal(&error.message);
                return Err(error);
            }
        };
        self.idle.set_peer(true);
        self.slot.assign(peer, &self.idle);
        // It may have been removed meanwhile, when this connection was not known as its own.
        if !self.server.handler.is_peer(peer) {
            self.slot.unassign();
            self.idle.set_peer(false);
        }
        Ok(peer)
    }

    /// The peer with the token in the params; else the error to answer, and what that is counted as.
    async fn authenticate_params(
        &self,
        request: &Request<'_>,
    ) -> Result<(DaemonId, InFlightPermit), (RpcError, Option<Refusal>)> {
        #[derive(serde::Deserialize)]
        struct Token<'a> {
            #[serde(borrow)]
            token: Cow<'a, str>,
        }
        let params = request.params.map(|params| serde_json::from_str::<Token>(params.get()));
        let Some(Ok(Token { token })) = params else {
            // A machine that joins asks this first.
            let refusal = (request.method != SyncPeerInfo::NAME).then_some(Refusal::NoToken);
            if refusal.is_some() {
                self.log_refusal("no token");
            }
            return Err((self.server.handler.refuse(&request.method, &self.caller).await, refusal));
        };
        let refused = |error: RpcError| {
            let refusal = refusal::of(&error);
            (error, refusal)
        };
        let peer = self.authenticate(&token).await.map_err(refused)?;
        Ok((peer, self.permit(peer).map_err(refused)?))
    }

    fn permit(&self, peer: DaemonId) -> Result<InFlightPermit, RpcError> {
        let max = self.server.limits.requests_per_peer;
        self.server.in_flight.take(peer, max).ok_or_else(|| {
            let message = format!("more than {max} requests at once");
            RpcError::new(ErrorCode::TOO_MANY_REQUESTS, message).hint("wait for an answer first")
        })
    }

    fn log_refusal(&self, why: &str) {
        if self.server.refusal_logs.allows(self.caller.address.ip()) {
            tracing::warn!(about = %self.caller.address.ip(), "request from {} refused: {why}", self.caller.describe());
        }
    }
}

/// The token of the header. Err if there is one and it can't be right.
fn bearer(headers: &HeaderMap) -> Result<Option<&str>, ()> {
    let mut values = headers.get_all(AUTHORIZATION).iter();
    match (values.next(), values.next()) {
        (None, _) => Ok(None),
        (Some(value), None) => {
            let (scheme, token) = value.to_str().map_err(|_| ())?.split_once(' ').ok_or(())?;
            if scheme.eq_ignore_ascii_case("bearer") { Ok(Some(token.trim())) } else { Err(()) }
        }
        _ => Err(()),
    }
}

fn is_json(headers: &HeaderMap) -> bool {
    let value = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or("");
    let essence = value.split(';').next().unwrap_or("").trim();
    essence.eq_ignore_ascii_case("application/json")
}

async fn read<H: Handler>(
    context: &ConnectionContext<H>,
    mut body: Incoming,
    known: bool,
) -> Result<Bytes, Reply> {
    let limits = &context.server.limits;
    let max = if known { limits.peer_body_bytes } else { limits.unauthenticated_body_bytes };
    let too_large = || {
        let message = format!("the body has more than {max} bytes");
        Reply::early(None, RpcError::new(ErrorCode::TOO_LARGE, message))
    };
    let declared = usize::try_from(body.size_hint().lower()).unwrap_or(usize::MAX);
    if declared > max {
        return Err(too_large());
    }
    let end = Instant::now() + if known { limits.peer_body } else { limits.body };
    let mut bytes = Vec::new();
    loop {
        let until = end.min(Instant::now() + limits.body);
        let frame = timeout_at(until, body.frame())
            .await
            .map_err(|_| broken("the body did not arrive in time"))?;
        let Some(frame) = frame else { return Ok(bytes.into()) };
        let frame = frame.map_err(|_| broken("the body broke off"))?;
        let Ok(data) = frame.into_data() else { continue };
        if bytes.len() + data.len() > max {
            return Err(too_large());
        }
        bytes.extend_from_slice(&data);
    }
}

fn broken(text: &str) -> Reply {
    let error = RpcError::new(ErrorCode::INVALID_REQUEST, text);
    Reply::early(Some(StatusCode::REQUEST_TIMEOUT), error)
}
