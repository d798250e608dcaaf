//! JSON-RPC 2.0 requests and responses. Batches are refused.

use std::borrow::Cow;

use schemars::JsonSchema;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::error::{ErrorCode, RpcError};
use crate::method::Method;

/// The JSON-RPC version: exactly `"2.0"`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
pub enum Version {
    /// The only version.
    #[default]
    #[serde(rename = "2.0")]
    V2,
}

/// The id of a request, which its response repeats.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum RequestId {
    /// A number.
    Number(i64),
    /// A text.
    Text(String),
}

/// A request whose params have not been parsed yet.
#[derive(Debug, Clone, Deserialize)]
pub struct Request<'a> {
    /// Always 2.0.
    #[allow(dead_code, reason = "parsing it is the check")]
    jsonrpc: Version,
    /// The request's id. Absent on a notification, which gets no response object.
    #[serde(default)]
    pub id: Option<RequestId>,
    /// The method's name.
    #[serde(borrow)]
    pub method: Cow<'a, str>,
    /// The method's params.
    #[serde(borrow, default)]
    pub params: Option<&'a RawValue>,
}

impl<'a> Request<'a> {
    /// Parses a request.
    ///
    /// # Errors
    /// `PARSE` if it is not JSON, `INVALID_REQUEST` if it is a batch or not a request.
    pub fn parse(body: &'a [u8]) -> Result<Self, RpcError> {
        match body.iter().find(|byte| !byte.is_ascii_whitespace()) {
            Some(b'[') => {
                return Err(RpcError::new(
                    ErrorCode::INVALID_REQUEST,
                    "batches are not accepted: send one request at a time",
                ));
            }
            Some(_) => {}
            None => return Err(RpcError::new(ErrorCode::PARSE, "the body is empty")),
        }
        serde_json::from_slice(body).map_err(|error| {
            let code = match error.classify() {
                serde_json::error::Category::Data => ErrorCode::INVALID_REQUEST,
                _ => ErrorCode::PARSE,
            };
            RpcError::new(code, format!("not a JSON-RPC 2.0 request: {error}"))
        })
    }

    /// Parses the params of method `M`. Absent params are an empty object.
    ///
    /// # Errors
    /// `INVALID_PARAMS` with the name of the wrong member.
    pub fn params<M: Method>(&self) -> Result<M::Params, RpcError> {
        let text = self.params.map_or("{}", RawValue::get);
        serde_json::from_str(text).map_err(|error| {
            RpcError::new(ErrorCode::INVALID_PARAMS, format!("params of {}: {error}", M::NAME))
        })
    }
}

#[derive(Serialize)]
struct RequestBody<'a, P> {
    jsonrpc: Version,
    id: i64,
    method: &'static str,
    params: &'a P,
}

/// The bytes of a request for method `M`.
///
/// # Errors
/// When the params can't be JSON, which does not happen for the types of this crate.
pub fn request<M: Method>(id: i64, params: &M::Params) -> Result<Vec<u8>, serde_json::Error> {
    serde_json::to_vec(&RequestBody { jsonrpc: Version::V2, id, method: M::NAME, params })
}

#[derive(Serialize)]
struct ResponseBody<'a, R> {
    jsonrpc: Version,
    id: Option<&'a RequestId>,
    #[serde(skip_serializing_if = "Option::is_none")]
    result: Option<&'a R>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<&'a RpcError>,
}

/// The bytes of the response to the request with this id.
pub fn response<R: Serialize>(id: Option<&RequestId>, outcome: Result<&R, &RpcError>) -> Vec<u8> {
    let (result, error) = (outcome.ok(), outcome.err());
    let body = ResponseBody { jsonrpc: Version::V2, id, result, error };
    serde_json::to_vec(&body).unwrap_or_else(|_| {
        br#"{"jsonrpc":"2.0","id":null,"error":{"code":-32603,"message":"internal error"}}"#
            .to_vec()
    })
}

/// The same, unless it has more than `max` bytes.
pub fn response_within<R: Serialize>(
    max: usize,
    id: Option<&RequestId>,
    outcome: Result<&R, &RpcError>,
) -> Option<Vec<u8>> {
    let (result, error) = (outcome.ok(), outcome.err());
    let body = ResponseBody { jsonrpc: Version::V2, id, result, error };
    let mut bytes = BoundedBytes { bytes: Vec::with_capacity(128), max };
    serde_json::to_writer(&mut bytes, &body).ok()?;
    Some(bytes.bytes)
}

/// Takes bytes up to a maximum.
struct BoundedBytes {
    bytes: Vec<u8>,
    max: usize,
}

impl std::io::Write for BoundedBytes {
    fn write(&mut self, more: &[u8]) -> std::io::Result<usize> {
        if self.bytes.len() + more.len() > self.max {
            return Err(std::io::ErrorKind::StorageFull.into());
        }
        self.bytes.extend_from_slice(more);
        Ok(more.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[derive(Deserialize)]
struct ResponseView<R> {
    #[allow(dead_code, reason = "parsing it is the check")]
    jsonrpc: Version,
    #[serde(default = "Option::default")]
    result: Option<R>,
    #[serde(default)]
    error: Option<RpcError>,
}

/// Why a response has no result.
#[derive(Debug, thiserror::Error)]
pub enum AnswerError {
    /// The other side answered with an error.
    #[error("refused")]
    Refused(#[source] RpcError),
    /// It is not a JSON-RPC 2.0 response.
    #[error("not a JSON-RPC 2.0 answer")]
    Malformed(#[source] serde_json::Error),
    /// It has more bytes than any answer.
    #[error("an answer of more than {limit} bytes")]
    TooLarge {
        /// The maximum.
        limit: usize,
    },
    /// It has neither result nor error.
    #[error("an answer with neither result nor error")]
    Empty,
}

/// Parses the response to a call.
///
/// # Errors
/// When the other side refused, and when the bytes are not a response.
pub fn answer<R: DeserializeOwned>(body: &[u8]) -> Result<R, AnswerError> {
    let view: ResponseView<R> = serde_json::from_slice(body).map_err(AnswerError::Malformed)?;
    match (view.result, view.error) {
        (_, Some(error)) => Err(AnswerError::Refused(error)),
        (Some(result), None) => Ok(result),
        (None, None) => Err(AnswerError::Empty),
    }
}
