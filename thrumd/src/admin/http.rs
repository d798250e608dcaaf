//! The HTTP paths of the local API.

use std::sync::Arc;

use axum::body::{Body, Bytes};
use axum::extract::{RawQuery, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Extension, Router};
use http_body_util::{BodyExt, LengthLimitError, Limited};
use thrum_api::limits::LOCAL_BODY_MAX_BYTES;
use thrum_api::{ErrorCode, RpcError, envelope};
use tokio::task::JoinError;
use tokio_util::sync::CancellationToken;

use super::changes::ChangeStream;
use super::connections::{Caller, ConnectionLimit};
use super::events::Follower;
use super::{AdminContext, LocalSocket, backup, connections, dispatch, metrics, query};
use crate::agents::LocalConnection;
use crate::metrics::LocalSurface;

/// Serves the socket until the daemon stops, and then the requests under way. The socket file is gone
/// when it returns.
pub async fn serve(context: Arc<AdminContext>, socket: LocalSocket) {
    let router = Router::new()
        .route("/rpc", post(rpc))
        .route("/events", get(follow))
        .route("/changes", get(follow_changes))
        .route("/backup", get(back_up))
        .route("/metrics", get(metrics::answer))
        .with_state(context.clone());
    let stop = &context.stop;
    connections::serve(socket, router, stop, stop, ConnectionLimit::NONE).await;
    context.handlers.close();
    context.handlers.wait().await;
}

pub(super) async fn rpc(
    State(context): State<Arc<AdminContext>>,
    Extension(connection): Extension<LocalConnection>,
    headers: HeaderMap,
    body: Body,
) -> Response {
    match read(&headers, body, LOCAL_BODY_MAX_BYTES).await {
        Ok(body) => answered(run(context, LocalSurface::Main, body, connection, ()).await),
        Err(refused) => refused,
    }
}

/// The body of a request; else the answer that refuses it.
pub(super) async fn read(
    headers: &HeaderMap,
    body: Body,
    max_bytes: usize,
) -> Result<Bytes, Response> {
    if let Some(given) = headers.get(header::CONTENT_TYPE)
        && !is_json(given.as_bytes())
    {
        let message = "send JSON, with Content-Type: application/json";
        let error = RpcError::new(ErrorCode::INVALID_REQUEST, message);
        return Err(failed(StatusCode::UNSUPPORTED_MEDIA_TYPE, &error));
    }
    match Limited::new(body, max_bytes).collect().await {
        Ok(body) => Ok(body.to_bytes()),
        Err(error) if error.is::<LengthLimitError>() => Err(too_large(max_bytes)),
        Err(_) => {
            let error = RpcError::new(ErrorCode::INVALID_REQUEST, "the request broke off");
            Err(failed(StatusCode::BAD_REQUEST, &error))
        }
    }
}

/// The answer to a request that is too large.
pub(super) fn too_large(max_bytes: usize) -> Response {
    let message = format!("the request has more than {max_bytes} bytes");
    failed(StatusCode::PAYLOAD_TOO_LARGE, &RpcError::new(ErrorCode::TOO_LARGE, message))
}

/// Answers a request in a task of its own, which holds `held` until then.
pub(super) async fn run(
    context: Arc<AdminContext>,
    surface: LocalSurface,
    body: Bytes,
    connection: LocalConnection,
    held: impl Send + 'static,
) -> Result<Option<Vec<u8>>, JoinError> {
    let disconnected = CancellationToken::new();
    // Dropped with this future, which happens when the caller disconnects.
    let guard = disconnected.clone().drop_guard();
    let handlers = context.handlers.clone();
    let task = handlers.spawn(async move {
        let _held = held;
        dispatch::answer(&context, surface, &body, &connection, &disconnected).await
    });
    let outcome = task.await;
    drop(guard);
    outcome
}

/// The response with an answer.
pub(super) fn answered(outcome: Result<Option<Vec<u8>>, JoinError>) -> Response {
    match outcome {
        Ok(Some(bytes)) => json(StatusCode::OK, bytes),
        Ok(None) => StatusCode::NO_CONTENT.into_response(),
        Err(_) => {
            let error = RpcError::new(ErrorCode::INTERNAL, "the request failed inside thrumd");
            failed(StatusCode::INTERNAL_SERVER_ERROR, &error)
        }
    }
}

async fn follow(State(context): State<Arc<AdminContext>>, RawQuery(query): RawQuery) -> Response {
    let follower = query::params(query.as_deref().unwrap_or_default())
        .map_err(|error| (StatusCode::BAD_REQUEST, error))
        .and_then(|params| {
            Follower::new(context, params).map_err(|error| (StatusCode::CONFLICT, error))
        });
    match follower {
        Ok(follower) => event_stream(Body::from_stream(follower.into_stream())),
        Err((status, error)) => failed(status, &error),
    }
}

async fn follow_changes(State(context): State<Arc<AdminContext>>) -> Response {
    match ChangeStream::new(context) {
        Ok(changes) => event_stream(Body::from_stream(changes.into_stream())),
        Err(error) => failed(StatusCode::SERVICE_UNAVAILABLE, &error),
    }
}

fn event_stream(body: Body) -> Response {
    ([(header::CONTENT_TYPE, "text/event-stream")], body).into_response()
}

async fn back_up(
    State(context): State<Arc<AdminContext>>,
    Extension(caller): Extension<Caller>,
) -> Response {
    match backup::make(&context, caller).await {
        Ok(backup) => backup::response(backup),
        Err(error) => failed(StatusCode::INTERNAL_SERVER_ERROR, &error),
    }
}

fn is_json(content_type: &[u8]) -> bool {
    let kind = content_type.split(|byte| *byte == b';').next().unwrap_or_default();
    kind.trim_ascii().eq_ignore_ascii_case(b"application/json")
}

fn json(status: StatusCode, bytes: Vec<u8>) -> Response {
    (status, [(header::CONTENT_TYPE, "application/json")], bytes).into_response()
}

pub(super) fn failed(status: StatusCode, error: &RpcError) -> Response {
    json(status, envelope::response::<()>(None, Err(error)))
}
