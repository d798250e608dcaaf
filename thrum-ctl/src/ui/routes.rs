//! The HTTP paths of the page.

use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::extract::{Path, Request, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::middleware::{Next, from_fn_with_state, map_response};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use serde::{Deserialize, Serialize};
use tokio::sync::Semaphore;

use super::access::{Access, Exchange};
use super::body::{REQUEST_MAX_BYTES, SHORT_MAX_BYTES};
use super::idle::OpenPages;
use super::live::Feed;
use super::machine::Machine;
use super::origin::Address;
use super::refusal::Refusal;
use super::upstream::Upstream;
use super::{assets, body, forward, headers, json};

/// How many pages follow the changes at a time.
const STREAMS_MAX: usize = 64;

/// What all requests share.
pub struct Ui {
    address: Address,
    /// Who may use it.
    pub access: Access,
    /// Whose it is.
    me: Option<String>,
    project: Option<String>,
    upstream: Upstream,
    machine: Machine,
    /// The open pages.
    pub pages: OpenPages,
    streams: Arc<Semaphore>,
}

impl Ui {
    /// A page at this address, for this person and with this project to begin with.
    pub fn new(
        address: Address,
        access: Access,
        me: Option<String>,
        project: Option<String>,
        upstream: Upstream,
        machine: Machine,
    ) -> Self {
        let streams = Arc::new(Semaphore::new(STREAMS_MAX));
        Self { address, access, me, project, upstream, machine, pages: OpenPages::new(), streams }
    }
}

/// The paths.
pub fn router(ui: Arc<Ui>) -> Router {
    let protected = Router::new()
        .route("/rpc", post(rpc))
        .route("/changes", get(changes))
        .route("/doctor", post(doctor))
        .route_layer(from_fn_with_state(ui.clone(), authenticate));
    Router::new()
        .route("/", get(async || assets::index()))
        .route("/assets/{name}", get(async |Path(name): Path<String>| assets::named(&name)))
        .route("/session", get(session).post(exchange))
        .merge(protected)
        .fallback(async || {
            Refusal::new(StatusCode::NOT_FOUND, "not_found", "there is no such path")
        })
        .method_not_allowed_fallback(async || {
            let message = "this path has no such method";
            Refusal::new(StatusCode::METHOD_NOT_ALLOWED, "method_not_allowed", message)
        })
        .layer(from_fn_with_state(ui.clone(), check_origin))
        .layer(from_fn_with_state(ui.clone(), end_connection))
        .layer(map_response(headers::add))
        .with_state(ui)
}

/// Ends a connection after the answer to somebody without the bearer, and after a refusal: connections are few, and everybody
/// on this machine can make them.
async fn end_connection(State(ui): State<Arc<Ui>>, request: Request, next: Next) -> Response {
    let known = ui.access.admits(request.headers());
    let mut response = next.run(request).await;
    if !known || response.status().is_client_error() {
        response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
    }
    response
}

async fn check_origin(State(ui): State<Arc<Ui>>, request: Request, next: Next) -> Response {
    match ui.address.check(request.method(), request.uri(), request.headers()) {
        Ok(()) => next.run(request).await,
        Err(refusal) => refusal.into_response(),
    }
}

async fn authenticate(State(ui): State<Arc<Ui>>, request: Request, next: Next) -> Response {
    match ui.access.admits(request.headers()) {
        true => next.run(request).await,
        false => not_authenticated().into_response(),
    }
}

fn not_authenticated() -> Refusal {
    let message = "this page is not of the thrum ui that runs now";
    Refusal::new(StatusCode::UNAUTHORIZED, "not_authenticated", message)
        .hint("run thrum ui again in a terminal")
}

#[derive(Deserialize)]
struct Token {
    token: String,
}

#[derive(Serialize)]
struct Session<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    bearer: Option<&'a str>,
    id: &'a str,
    me: Option<&'a str>,
    project: Option<&'a str>,
    version: &'static str,
}

impl Ui {
    fn session(&self, bearer: Option<&str>) -> Response {
        let (id, me, project) = (self.access.id(), self.me.as_deref(), self.project.as_deref());
        let version = env!("CARGO_PKG_VERSION");
        json::response(StatusCode::OK, &Session { bearer, id, me, project, version })
    }
}

async fn exchange(
    State(ui): State<Arc<Ui>>,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Refusal> {
    let bytes = body::read(&headers, body, SHORT_MAX_BYTES).await?;
    let Token { token } = body::parse(&bytes)?;
    match ui.access.exchange(&token).await {
        Exchange::Accepted => Ok(ui.session(Some(ui.access.bearer().expose()))),
        Exchange::Wrong => {
            let message = "this address was used already, or is not of the thrum ui that runs now";
            Err(Refusal::new(StatusCode::UNAUTHORIZED, "wrong_token", message)
                .hint("run thrum ui again in a terminal"))
        }
        Exchange::Busy => {
            let message = "too many wrong tokens were tried";
            Err(Refusal::new(StatusCode::TOO_MANY_REQUESTS, "too_many_attempts", message)
                .hint("try again in a few seconds"))
        }
    }
}

async fn session(State(ui): State<Arc<Ui>>, headers: HeaderMap) -> Result<Response, Refusal> {
    if !ui.access.admits(&headers) {
        return Err(not_authenticated());
    }
    Ok(ui.session(None))
}

async fn rpc(
    State(ui): State<Arc<Ui>>,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Refusal> {
    let bytes = body::read(&headers, body, REQUEST_MAX_BYTES).await?;
    let (status, answer) = match forward::admit(&bytes, ui.me.as_deref()) {
        Ok(admitted) => ui.upstream.forward(admitted).await?,
        Err(refused) => (StatusCode::OK, refused),
    };
    Ok(json::bytes(status, answer))
}

async fn changes(State(ui): State<Arc<Ui>>) -> Result<Response, Refusal> {
    let Ok(permit) = Arc::clone(&ui.streams).try_acquire_owned() else {
        let message = format!("{STREAMS_MAX} pages are open already");
        return Err(Refusal::new(StatusCode::SERVICE_UNAVAILABLE, "too_many_pages", message)
            .hint("close some of them"));
    };
    let feed = Feed::new(ui.upstream.endpoints().clone(), ui.pages.open(), permit);
    Ok(([(header::CONTENT_TYPE, "application/x-ndjson")], feed.into_body()).into_response())
}

#[derive(Deserialize)]
struct Examined {
    #[serde(default)]
    peer: Option<String>,
}

async fn doctor(
    State(ui): State<Arc<Ui>>,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Refusal> {
    let bytes = body::read(&headers, body, SHORT_MAX_BYTES).await?;
    let Examined { peer } = body::parse(&bytes)?;
    let findings = ui.upstream.slow(ui.machine.examine(ui.upstream.endpoints(), peer)).await??;
    Ok(json::response(StatusCode::OK, &findings))
}
