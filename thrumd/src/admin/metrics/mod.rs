//! `GET /metrics`: gathers the figures of all parts, and writes them for Prometheus.
//!
//! A scrape waits neither for the writer of the log nor for a peer, and what it reads does not grow with the log.

mod families;
mod listener;
mod snapshot;

use std::sync::Arc;

use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};

use super::AdminContext;
use crate::metrics::{Format, render};

pub use listener::serve;
use snapshot::Snapshot;

/// Answers `GET /metrics`.
pub(super) async fn answer(
    State(context): State<Arc<AdminContext>>,
    headers: HeaderMap,
) -> Response {
    let accept = headers.get(header::ACCEPT).and_then(|accept| accept.to_str().ok());
    let format = Format::accepted(accept);
    let snapshot = Snapshot::take(&context).await;
    // Hundreds of peers make hundreds of kilobytes, and the runtime has one worker.
    let written =
        tokio::task::spawn_blocking(move || render(format, move |page| snapshot.write(page)));
    match written.await {
        Ok(Ok(text)) => ([(header::CONTENT_TYPE, format.content_type())], text).into_response(),
        _ => (StatusCode::INTERNAL_SERVER_ERROR, "can't write the metrics\n").into_response(),
    }
}
