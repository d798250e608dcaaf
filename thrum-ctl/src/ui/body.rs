//! The bodies of requests: JSON of a bounded size.

use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::http::{HeaderMap, StatusCode, header};
use http_body_util::{BodyExt as _, LengthLimitError, Limited};
use serde::Deserialize;
use tokio::time::timeout;

use super::refusal::Refusal;

/// The most bytes of a request to thrumd: a message of the maximum size fits.
pub const REQUEST_MAX_BYTES: usize = 1024 * 1024;
/// The most bytes of every other request.
pub const SHORT_MAX_BYTES: usize = 4 * 1024;
/// How long the body of a request may take.
const BODY_LIMIT: Duration = Duration::from_secs(30);

const _: () = assert!(REQUEST_MAX_BYTES > 6 * thrum_api::limits::MESSAGE_TEXT_MAX_BYTES);

/// The body of a request.
///
/// # Errors
/// When it is too large or too slow, breaks off, or is said to be something else than JSON.
pub async fn read(headers: &HeaderMap, body: Body, max_bytes: usize) -> Result<Bytes, Refusal> {
    let given = headers.get(header::CONTENT_TYPE).map(|value| value.as_bytes());
    // Forms of other pages can't send this type.
    if !given.is_some_and(is_json) {
        let message = "the request is not JSON";
        return Err(Refusal::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "not_json", message)
            .hint("send it with Content-Type: application/json"));
    }
    let length = headers.get(header::CONTENT_LENGTH).and_then(|value| value.to_str().ok());
    // One that says so itself is not read at all.
    if length.and_then(|text| text.parse().ok()).is_some_and(|length: usize| length > max_bytes) {
        return Err(too_large(max_bytes));
    }
    match timeout(BODY_LIMIT, Limited::new(body, max_bytes).collect()).await {
        Ok(Ok(body)) => Ok(body.to_bytes()),
        Ok(Err(error)) if error.is::<LengthLimitError>() => Err(too_large(max_bytes)),
        Ok(Err(_)) => {
            Err(Refusal::new(StatusCode::BAD_REQUEST, "broken_off", "the request broke off"))
        }
        Err(_) => {
            let message = "the request took too long";
            Err(Refusal::new(StatusCode::REQUEST_TIMEOUT, "too_slow", message))
        }
    }
}

fn too_large(max_bytes: usize) -> Refusal {
    let message = format!("the request has more than {max_bytes} bytes");
    Refusal::new(StatusCode::PAYLOAD_TOO_LARGE, "too_large", message)
}

fn is_json(content_type: &[u8]) -> bool {
    let kind = content_type.split(|byte| *byte == b';').next().unwrap_or_default();
    kind.trim_ascii().eq_ignore_ascii_case(b"application/json")
}

/// A body as what the path takes.
///
/// # Errors
/// When it is something else.
pub fn parse<'a, T: Deserialize<'a>>(body: &'a [u8]) -> Result<T, Refusal> {
    serde_json::from_slice(body).map_err(|error| {
        // Not the error's own text: it may quote what was sent, which may be a secret.
        let message = format!("the body is not what this path takes (line {})", error.line());
        Refusal::new(StatusCode::BAD_REQUEST, "invalid", message)
    })
}
