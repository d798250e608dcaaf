//! Answers of JSON.

use axum::http::{StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use serde::Serialize;

/// An answer of JSON that was written already.
pub fn bytes(status: StatusCode, bytes: Vec<u8>) -> Response {
    (status, [(header::CONTENT_TYPE, "application/json")], bytes).into_response()
}

/// An answer of JSON.
pub fn response(status: StatusCode, content: &impl Serialize) -> Response {
    match serde_json::to_vec(content) {
        Ok(content) => bytes(status, content),
        Err(_) => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
    }
}
