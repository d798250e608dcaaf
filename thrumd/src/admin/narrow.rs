//! Serves narrow sockets: `POST /rpc` alone, within their scope.

use std::sync::Arc;

use axum::body::{Body, Bytes, HttpBody as _};
use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::Response;
use axum::routing::post;
use axum::{Router, http::StatusCode};
use serde_json::{Value, json};
use thrum_api::envelope::{self, Request};
use thrum_api::local::{
    Health, HealthResult, HealthState, MessageRef, MessageThread, TailscaleSync,
};
use thrum_api::{Epoch, ErrorCode, Method as _, RpcError, Sequence};
use tokio::sync::Semaphore;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use ulid::Ulid;

use super::connections::{self, ConnectionLimit};
use super::scope::{Admitted, Scope};
use super::{AdminContext, LocalSocket, errors, http, narrow_answers};
use crate::agents::{LocalConnection, SessionRoom};
use crate::large;
use crate::log::LogReader;
use crate::metrics::LocalSurface;
use axum::Extension;

/// Bytes of a request: a message fits, a thousand events don't.
const BODY_MAX_BYTES: usize = 512 * 1024;
/// Connections of one narrow socket that are served at a time, and requests: a caller that goes away leaves its
/// request behind. Others wait.
const CONNECTIONS_MAX: usize = 64;

#[derive(Clone)]
struct Narrow {
    context: Arc<AdminContext>,
    scope: Arc<Scope>,
    requests: Arc<Semaphore>,
    sessions: SessionRoom,
    /// Cancelled when the socket is removed.
    removed: CancellationToken,
}

/// Serves all narrow sockets until the daemon stops.
pub async fn serve(context: Arc<AdminContext>) {
    let within = Arc::downgrade(&context);
    let tasks = tokio_util::task::TaskTracker::new();
    let spawner = tasks.clone();
    context
        .sockets
        .serve_with(Box::new(move |socket, scope, removed| {
            if let Some(context) = within.upgrade() {
                spawner.spawn(serve_one(context, socket, scope, removed));
            }
        }))
        .await;
    context.stop.cancelled().await;
    tasks.close();
    tasks.wait().await;
}

async fn serve_one(
    context: Arc<AdminContext>,
    socket: LocalSocket,
    scope: Scope,
    removed: CancellationToken,
) {
    let (daemon, stop) = (context.stop.clone(), context.stop.child_token());
    let narrow = Narrow {
        context,
        scope: Arc::new(scope),
        requests: Arc::new(Semaphore::new(CONNECTIONS_MAX)),
        sessions: SessionRoom::of_narrow_socket(),
        removed: removed.clone(),
    };
    let router = Router::new().route("/rpc", post(rpc)).with_state(narrow);
    let limit = ConnectionLimit::of(CONNECTIONS_MAX);
    let ends_with_it = async {
        removed.cancelled().await;
        stop.cancel();
        std::future::pending::<()>().await;
    };
    tokio::select! {
        () = connections::serve(socket, router, &stop, &daemon, limit) => {}
        () = ends_with_it => {}
    }
}

async fn rpc(
    State(narrow): State<Narrow>,
    Extension(connection): Extension<LocalConnection>,
    headers: HeaderMap,
    body: Body,
) -> Response {
    // Nothing is waited for that can only be refused. A little too much is read, so that its sender sees the answer.
    if body.size_hint().lower() > 2 * BODY_MAX_BYTES as u64 {
        return http::too_large(BODY_MAX_BYTES);
    }
    let answered = async {
        match http::read(&headers, body, BODY_MAX_BYTES).await {
            Ok(body) => answer(&narrow, &body, connection.within(narrow.sessions.clone())).await,
            Err(refused) => refused,
        }
    };
    tokio::select! {
        biased;
        () = narrow.removed.cancelled() => {
            let error = RpcError::new(ErrorCode::STOPPING, "this narrow socket was removed");
            http::failed(StatusCode::OK, &error)
        }
        answer = answered => answer,
    }
}

async fn answer(narrow: &Narrow, body: &Bytes, connection: LocalConnection) -> Response {
    let Ok(permit) = Arc::clone(&narrow.requests).try_acquire_owned() else {
        let message = "too many requests are under way on this narrow socket";
        let error =
            RpcError::new(ErrorCode::TOO_MANY_REQUESTS, message).hint("try again in a moment");
        return http::failed(StatusCode::TOO_MANY_REQUESTS, &error);
    };
    let request = match large::request(body) {
        Ok(request) => request,
        Err(error) => return http::failed(StatusCode::OK, &error),
    };
    let (requests, received) = (narrow.context.metrics.of(LocalSurface::Narrow), Instant::now());
    let refused = |error: RpcError| {
        request.id.as_ref().map(|id| envelope::response::<()>(Some(id), Err(&error)))
    };
    if request.method == Health::NAME {
        let health = health(&narrow.context);
        requests.answered(Health::NAME, None, received.elapsed());
        return http::answered(Ok(request
            .id
            .as_ref()
            .map(|id| large::response(Some(id), &health))));
    }
    let admitted = match admit(narrow, &request).await {
        Ok(admitted) => admitted,
        Err(error) => {
            requests.answered(&request.method, Some(error.code), received.elapsed());
            return http::answered(Ok(refused(error)));
        }
    };
    let after = after(&request);
    let (context, surface) = (narrow.context.clone(), LocalSurface::Narrow);
    let outcome = http::run(context, surface, admitted.into(), connection, permit).await;
    http::answered(match outcome {
        Ok(Some(answer)) => Ok(match within(narrow, &request.method, after, answer).await {
            Ok(answer) => Some(answer),
            Err(error) => refused(error),
        }),
        outcome => outcome,
    })
}

/// Where the page of a conversation begins that is asked for.
fn after(request: &Request<'_>) -> Sequence {
    if request.method != MessageThread::NAME {
        return Sequence::ZERO;
    }
    let params = request.params::<MessageThread>().ok();
    params.and_then(|params| params.after).unwrap_or(Sequence::ZERO)
}

/// The request as it is answered by the same code as those of the main socket.
async fn admit(narrow: &Narrow, request: &Request<'_>) -> Result<Vec<u8>, RpcError> {
    let params = match request.params {
        None => Value::Null,
        Some(params) => serde_json::from_str(params.get())
            .map_err(|error| RpcError::new(ErrorCode::INVALID_PARAMS, error.to_string()))?,
    };
    let Admitted { params, messages } = narrow.scope.admit(&request.method, params)?;
    if !messages.is_empty() {
        let (log, scope) = (narrow.context.log.reader(), Arc::clone(&narrow.scope));
        let look = move || check(&log, &scope, &messages);
        tokio::task::spawn_blocking(look).await.map_err(|_| errors::stopping())??;
    }
    let mut body = json!({ "jsonrpc": "2.0", "method": request.method, "params": params });
    if let Some(id) = &request.id {
        body["id"] = serde_json::to_value(id).unwrap_or_default();
    }
    Ok(body.to_string().into_bytes())
}

/// Whether all of these messages are here and of the project of the scope.
fn check(log: &LogReader, scope: &Scope, messages: &[MessageRef]) -> Result<(), RpcError> {
    let found = log.find(messages.iter().map(|message| message.event_id)).map_err(errors::log)?;
    for (message, with_id) in messages.iter().zip(found) {
        // An id is unique for its origin only, and an origin may give one twice.
        let mut meant = with_id
            .iter()
            .filter(|event| message.origin_daemon.is_none_or(|origin| origin == event.origin))
            .peekable();
        if meant.peek().is_none() || !meant.all(|event| scope.has(event.project.as_deref())) {
            return Err(scope.no_message());
        }
    }
    Ok(())
}

/// The answer, cut to the project of the scope.
async fn within(
    narrow: &Narrow,
    method: &str,
    after: Sequence,
    answer: Vec<u8>,
) -> Result<Vec<u8>, RpcError> {
    let Some(cut) = narrow_answers::cut(&narrow.scope, method, after, &answer)? else {
        return Ok(answer);
    };
    let counted = match cut.count {
        None => None,
        Some((root, after, _)) => {
            let (agents, project) = (&narrow.context.agents, narrow.scope.project.clone());
            let counted = agents.answers_within(root, after, project).await;
            Some(counted.map_err(errors::agents)?)
        }
    };
    Ok(cut.into_bytes(counted))
}

/// That it answers, and what every message tells anyway.
fn health(context: &AdminContext) -> HealthResult {
    HealthResult {
        status: HealthState::Ok,
        version: env!("CARGO_PKG_VERSION").to_owned(),
        daemon_id: context.daemon,
        name: context.name.to_string(),
        pid: 0,
        uptime_ms: 0,
        epoch: Epoch::from_ulid(Ulid::nil()),
        head_seq: Sequence::ZERO,
        state_dir: String::new(),
        log_path: None,
        tailscale_sync: TailscaleSync {
            enabled: false,
            hostname: context.name.to_string(),
            peer_count: 0,
            peers: Vec::new(),
        },
    }
}
