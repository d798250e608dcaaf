//! Error codes of both surfaces. New ones only when a caller would act on them.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A stable error number on the wire.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
#[serde(transparent)]
pub struct ErrorCode(pub i32);

macro_rules! codes {
    ($($(#[$doc:meta])* $name:ident = $number:literal, $word:literal;)*) => {
        impl ErrorCode {
            $($(#[$doc])* pub const $name: Self = Self($number);)*

            /// Every code with its word, for the docs.
            pub const ALL: &[(Self, &'static str)] = &[$((Self::$name, $word)),*];
        }
    };
}

codes! {
    /// The body is no JSON.
    PARSE = -32700, "parse error";
    /// JSON, but no JSON-RPC 2.0 request; or a batch.
    INVALID_REQUEST = -32600, "invalid request";
    /// No such method on this surface.
    METHOD_NOT_FOUND = -32601, "method not found";
    /// The params are not those of the method.
    INVALID_PARAMS = -32602, "invalid params";
    /// Our fault.
    INTERNAL = -32603, "internal error";
    /// No token, or not one of a paired peer (HTTP 401).
    NOT_AUTHENTICATED = -32001, "not authenticated";
    /// Nobody ran `thrum peer add` there.
    NO_PAIRING_SESSION = -32002, "no pairing session";
    /// Wrong code; `data.attempts_left`.
    WRONG_CODE = -32003, "wrong code";
    /// Too many wrong codes, or the session is taken by another machine.
    PAIRING_LOCKED = -32004, "pairing locked";
    /// The session's time is over.
    PAIRING_EXPIRED = -32005, "pairing expired";
    /// The checkpoint was taken of another log; `data.epoch`, `data.head_seq`.
    OTHER_LOG = -32006, "checkpoint is not of this log";
    /// A body or an event over its limit (HTTP 413).
    TOO_LARGE = -32007, "too large";
    /// More at once than a peer may ask (HTTP 429).
    TOO_MANY_REQUESTS = -32008, "too many requests";
    /// Local: what was named is not there (a peer, an agent, a session).
    NOT_FOUND = -32020, "not found";
    /// Local: refused in the present state; the message says what to do.
    REFUSED = -32021, "refused";
    /// Local: the disk refused (full, read-only, failing).
    STORAGE = -32022, "storage";
    /// Local: another machine could not be reached or did not answer as a thrumd.
    UNREACHABLE = -32023, "unreachable";
    /// Local: the daemon is stopping.
    STOPPING = -32024, "stopping";
    /// Local: someone else is pairing on this daemon.
    PAIRING_BUSY = -32025, "pairing busy";
}

/// A JSON-RPC error object. `message` is for the caller; causes stay in the log.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema, thiserror::Error)]
#[error("{message}")]
pub struct RpcError {
    /// The stable number.
    pub code: ErrorCode,
    /// What happened, to what.
    pub message: String,
    /// By code: what a program needs to act. `data.hint` is what a person can do next.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub data: Option<serde_json::Value>,
}

impl RpcError {
    /// An error without data.
    pub fn new(code: ErrorCode, message: impl Into<String>) -> Self {
        Self { code, message: message.into(), data: None }
    }

    /// The same with one more member of `data`.
    #[must_use]
    pub fn with(mut self, key: &str, value: impl Into<serde_json::Value>) -> Self {
        let data = self.data.get_or_insert_with(|| serde_json::Value::Object(Default::default()));
        if let serde_json::Value::Object(members) = data {
            members.insert(key.to_owned(), value.into());
        }
        self
    }

    /// The same with what a person can do next (`data.hint`).
    #[must_use]
    pub fn hint(self, hint: impl Into<String>) -> Self {
        self.with("hint", hint.into())
    }

    /// A member of `data`.
    pub fn member(&self, key: &str) -> Option<&serde_json::Value> {
        self.data.as_ref()?.get(key)
    }
}
