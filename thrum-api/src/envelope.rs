//! JSON-RPC 2.0 requests and responses. One at a time: a batch is refused.

use std::borrow::Cow;

use schemars::JsonSchema;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::error::{ErrorCode, RpcError};
use crate::method::Method;

/// The version member: exactly `"2.0"`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
pub enum Version {
    /// The only one.
    #[default]
    #[serde(rename = "2.0")]
    V2,
}

/// What a caller put on a request to know its answer again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum RequestId {
    /// A number.
    Number(i64),
    /// A text.
    Text(String),
}

/// A request whose params were not looked into yet.
#[derive(Debug, Clone, Deserialize)]
pub struct Request<'a> {
    /// Always 2.0.
    #[allow(dead_code, reason = "parsing it is the check")]
    jsonrpc: Version,
    /// Absent on a notification, which gets no answer of its own.
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
    /// Reads a request.
    ///
    /// # Errors
    /// `PARSE` if it is no JSON, `INVALID_REQUEST` if it is a batch or no request.
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

    /// Reads the params of method `M`. Absent ones are an empty object.
    ///
    /// # Errors
    /// `INVALID_PARAMS`, saying which member is wrong.
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
/// Never for the types of this crate; a params type that can't be JSON would.
pub fn request<M: Method>(id: i64, params: &M::Params) -> Result<Vec<u8>, serde_json::Error> {
    serde_json::to_vec(&RequestBody { jsonrpc: Version::V2, id, method: M::NAME, params })
}

#[derive(Serialize)]
#[serde(rename_all = "lowercase")]
enum Outcome<'a, R> {
    Result(&'a R),
    Error(&'a RpcError),
}

#[derive(Serialize)]
struct ResponseBody<'a, R> {
    jsonrpc: Version,
    id: Option<&'a RequestId>,
    #[serde(flatten)]
    outcome: Outcome<'a, R>,
}

/// The bytes of the answer to the request with this id.
pub fn response<R: Serialize>(id: Option<&RequestId>, outcome: Result<&R, &RpcError>) -> Vec<u8> {
    let encode = |outcome| serde_json::to_vec(&ResponseBody { jsonrpc: Version::V2, id, outcome });
    let outcome = match outcome {
        Ok(result) => Outcome::Result(result),
        Err(error) => Outcome::Error(error),
    };
    encode(outcome).unwrap_or_else(|_| {
        br#"{"jsonrpc":"2.0","id":null,"error":{"code":-32603,"message":"internal error"}}"#
            .to_vec()
    })
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

/// Why an answer is none.
#[derive(Debug, thiserror::Error)]
pub enum AnswerError {
    /// The other side answered with an error.
    #[error("refused")]
    Refused(#[source] RpcError),
    /// Not an answer to a JSON-RPC request.
    #[error("not a JSON-RPC 2.0 answer")]
    Malformed(#[source] serde_json::Error),
    /// An answer with neither result nor error.
    #[error("an answer with neither result nor error")]
    Empty,
}

/// Reads the answer to a call.
///
/// # Errors
/// When the other side refused, and when the bytes are no answer.
pub fn answer<R: DeserializeOwned>(body: &[u8]) -> Result<R, AnswerError> {
    let view: ResponseView<R> = serde_json::from_slice(body).map_err(AnswerError::Malformed)?;
    match (view.result, view.error) {
        (_, Some(error)) => Err(AnswerError::Refused(error)),
        (Some(result), None) => Ok(result),
        (None, None) => Err(AnswerError::Empty),
    }
}
