//! The answer to a request that is refused, as JSON.

use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde::Serialize;

use super::json;
use crate::error::{Error, Kind};

/// Why a request is refused.
#[derive(Debug, PartialEq, Eq)]
pub struct Refusal {
    /// The status of the answer.
    pub status: StatusCode,
    code: String,
    message: String,
    hint: Option<String>,
}

#[derive(Serialize)]
struct Document<'a> {
    error: Body<'a>,
}

#[derive(Serialize)]
struct Body<'a> {
    code: &'a str,
    message: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    hint: Option<&'a str>,
}

impl Refusal {
    /// A refusal with a stable word for programs.
    pub fn new(status: StatusCode, code: &str, message: impl Into<String>) -> Self {
        Self { status, code: code.to_owned(), message: message.into(), hint: None }
    }

    /// The same, with what to do next.
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }
}

impl From<&Error> for Refusal {
    fn from(error: &Error) -> Self {
        let status = match error.kind() {
            Kind::Unreachable => StatusCode::BAD_GATEWAY,
            Kind::NotPermitted => StatusCode::FORBIDDEN,
            Kind::TimedOut => StatusCode::GATEWAY_TIMEOUT,
            _ => StatusCode::INTERNAL_SERVER_ERROR,
        };
        let hint = error.hint();
        Self { status, code: error.word(), message: whole(error), hint }
    }
}

/// The text of an error with its causes.
pub fn whole(error: &Error) -> String {
    let parts = std::iter::once(error.to_string()).chain(error.causes());
    parts.collect::<Vec<_>>().join(": ")
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let Self { status, code, message, hint } = &self;
        let error = Body { code, message, hint: hint.as_deref() };
        json::response(*status, &Document { error })
    }
}
