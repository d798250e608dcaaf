//! One request: what is checked before it is answered, in this order.
//!
//! Path and method, token in the header, content type, length, the body as it arrives, the token
//! once more, the envelope, token in the params. Then it is worked on in a task of its own.

use std::borrow::Cow;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use hyper::body::{Body, Frame, Incoming, SizeHint};
use hyper::header::{ALLOW, AUTHORIZATION, CONNECTION, CONTENT_TYPE, HeaderMap, HeaderValue};
use hyper::http::request::Parts;
use hyper::{Method, Response, StatusCode};
use thrum_api::envelope::{self, Request, RequestId};
use thrum_api::{DaemonId, ErrorCode, RpcError};

use super::connection::Talk;
use super::guard::Slot;
use super::idle::OpenRequest;
use super::surface::{Answer, is_open, not_authenticated};

const PATH: &str = "/rpc";
const JSON: HeaderValue = HeaderValue::from_static("application/json");

/// What goes back.
struct Reply {
    status: StatusCode,
    body: Vec<u8>,
    // The body of the request was not read to its end: the connection can't be used again.
    unread: bool,
    // The request counts as one of its peer's until the answer is written.
    slot: Option<Slot>,
}

/// The bytes of an answer with the place that it takes: whoever reads nothing must not have us keep
/// more than a few answers. The connection drops it once they are written.
struct Weighed {
    body: Vec<u8>,
    _slot: Slot,
}

impl AsRef<[u8]> for Weighed {
    fn as_ref(&self) -> &[u8] {
        &self.body
    }
}

impl Reply {
    fn error(id: Option<&RequestId>, error: &RpcError) -> Self {
        let body = envelope::response::<()>(id, Err(error));
        Self { status: status_of(error.code), body, unread: false, slot: None }
    }

    fn early(status: Option<StatusCode>, error: RpcError) -> Self {
        let reply = Self::error(None, &error);
        Self { status: status.unwrap_or(reply.status), unread: true, ..reply }
    }

    fn into_bytes(self) -> Bytes {
        match self.slot {
            Some(slot) => Bytes::from_owner(Weighed { body: self.body, _slot: slot }),
            None => self.body.into(),
        }
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
pub(super) async fn respond<A: Answer>(
    talk: Arc<Talk<A>>,
    request: hyper::Request<Incoming>,
) -> Response<ReplyBody> {
    let open = talk.pace.request();
    let (head, body) = request.into_parts();
    let reply = handle(&talk, &head, body).await.unwrap_or_else(|refused| refused);
    let (status, unread) = (reply.status, reply.unread);
    let mut response =
        Response::new(ReplyBody { bytes: Full::new(reply.into_bytes()), _open: open });
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, JSON);
    if status == StatusCode::METHOD_NOT_ALLOWED {
        headers.insert(ALLOW, HeaderValue::from_static("POST"));
    }
    if unread {
        headers.insert(CONNECTION, HeaderValue::from_static("close"));
    }
    response
}

async fn handle<A: Answer>(
    talk: &Arc<Talk<A>>,
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
        Some(token) => Some(talk.authenticate(token).await.map_err(early)?),
    };
    if !is_json(&head.headers) {
        return Err(invalid(
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
            "the content type must be application/json",
        ));
    }
    let slot = peer.map(|peer| talk.slot(peer)).transpose().map_err(early)?;
    let bytes = read(talk, body, peer.is_some()).await?;
    // It may have been removed while its body came.
    if let Some(token) = token.filter(|token| !talk.hall.answer.is_still_right(token, &talk.caller))
    {
        talk.authenticate(token).await.map_err(|error| Reply::error(None, &error))?;
    }
    let work = {
        let talk = Arc::clone(talk);
        async move { work_on(&talk, peer, slot, &bytes).await }
    };
    // In a task of its own: a caller that hangs up must not cancel half an operation.
    match talk.hall.crew.run(work).await {
        Ok(Some(reply)) => Ok(reply),
        _ => Err(Reply::error(None, &RpcError::new(ErrorCode::INTERNAL, "internal error"))),
    }
}

async fn work_on<A: Answer>(
    talk: &Talk<A>,
    peer: Option<DaemonId>,
    slot: Option<Slot>,
    bytes: &[u8],
) -> Reply {
    let request = match Request::parse(bytes) {
        Ok(request) => request,
        Err(error) => return Reply::error(None, &error),
    };
    let id = request.id.as_ref();
    let (peer, slot) = match peer {
        None if !is_open(&request.method) => match talk.authenticate_params(&request).await {
            Ok((peer, slot)) => (Some(peer), Some(slot)),
            Err(error) => return Reply::error(id, &error),
        },
        known => (known, slot),
    };
    let reply = match talk.hall.answer.answer(&talk.caller, peer, &request).await {
        Ok(body) => Reply { status: StatusCode::OK, body, unread: false, slot },
        Err(error) => {
            tracing::debug!(
                caller = %talk.caller.describe(), method = %request.method.escape_debug(),
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

impl<A: Answer> Talk<A> {
    async fn authenticate(&self, token: &str) -> Result<DaemonId, RpcError> {
        let peer = match self.hall.answer.authenticate(token, &self.caller).await {
            Ok(peer) => peer,
            Err(error) => {
                self.tell_refused(&error.message);
                return Err(error);
            }
        };
        self.pace.is_peer();
        self.seat.is_of(peer);
        Ok(peer)
    }

    async fn authenticate_params(
        &self,
        request: &Request<'_>,
    ) -> Result<(DaemonId, Slot), RpcError> {
        #[derive(serde::Deserialize)]
        struct Token<'a> {
            #[serde(borrow)]
            token: Cow<'a, str>,
        }
        let params = request.params.map(|params| serde_json::from_str::<Token>(params.get()));
        let Some(Ok(Token { token })) = params else {
            self.tell_refused("no token");
            return Err(self.hall.answer.turn_away(&request.method, &self.caller).await);
        };
        let peer = self.authenticate(&token).await?;
        Ok((peer, self.slot(peer)?))
    }

    fn slot(&self, peer: DaemonId) -> Result<Slot, RpcError> {
        let max = self.hall.limits.requests_per_peer;
        self.hall.slots.take(peer, max).ok_or_else(|| {
            let message = format!("more than {max} requests at once");
            RpcError::new(ErrorCode::TOO_MANY_REQUESTS, message).hint("wait for an answer first")
        })
    }

    fn tell_refused(&self, why: &str) {
        if self.hall.quiet.allows(self.caller.address.ip()) {
            tracing::warn!("request from {} refused: {why}", self.caller.describe());
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

async fn read<A: Answer>(talk: &Talk<A>, mut body: Incoming, known: bool) -> Result<Bytes, Reply> {
    let limits = &talk.hall.limits;
    let max = if known { limits.peer_body_bytes } else { limits.stranger_body_bytes };
    let too_large = || {
        let message = format!("the body has more than {max} bytes");
        Reply::early(None, RpcError::new(ErrorCode::TOO_LARGE, message))
    };
    let declared = usize::try_from(body.size_hint().lower()).unwrap_or(usize::MAX);
    if declared > max {
        return Err(too_large());
    }
    let whole = async {
        let mut bytes = Vec::new();
        while let Some(frame) = body.frame().await {
            let frame = frame.map_err(|_| broken("the body broke off"))?;
            let Ok(data) = frame.into_data() else { continue };
            if bytes.len() + data.len() > max {
                return Err(too_large());
            }
            bytes.extend_from_slice(&data);
        }
        Ok(bytes.into())
    };
    tokio::time::timeout(limits.body, whole)
        .await
        .unwrap_or_else(|_| Err(broken("the body did not arrive in time")))
}

fn broken(text: &str) -> Reply {
    let error = RpcError::new(ErrorCode::INVALID_REQUEST, text);
    Reply::early(Some(StatusCode::REQUEST_TIMEOUT), error)
}

/// An answer's bytes; the request counts as open until they are handed over.
pub(super) struct ReplyBody {
    bytes: Full<Bytes>,
    _open: OpenRequest,
}

impl Body for ReplyBody {
    type Data = Bytes;
    type Error = std::convert::Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        Pin::new(&mut self.bytes).poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.bytes.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.bytes.size_hint()
    }
}
