//! The error codes of both interfaces. A new code is added only if callers act on it.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A stable error code on the wire.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
#[serde(transparent)]
pub struct ErrorCode(pub i32);

macro_rules! codes {
    ($($(#[$doc:meta])* $name:ident = $number:literal, $word:literal;)*) => {
        impl ErrorCode {
            $($(#[$doc])* pub const $name: Self = Self($number);)*

            /// All codes with their names, for the docs.
            pub const ALL: &[(Self, &'static str)] = &[$((Self::$name, $word)),*];
        }
    };
}

codes! {
    /// The body is not JSON.
    PARSE = -32700, "parse error";
    /// The body is not a JSON-RPC 2.0 request, or is a batch.
    INVALID_REQUEST = -32600, "invalid request";
    /// This interface has no such method.
    METHOD_NOT_FOUND = -32601, "method not found";
    /// The params do not match the method.
    INVALID_PARAMS = -32602, "invalid params";
    /// An internal fault.
    INTERNAL = -32603, "internal error";
    /// There is no token, or it is not that of a paired peer (HTTP 401).
    NOT_AUTHENTICATED = -32001, "not authenticated";
    /// No pairing session is open on that machine.
    NO_PAIRING_SESSION = -32002, "no pairing session";
    /// The pairing code is wrong; `data.attempts_left` and `data.wait_ms` for this caller.
    WRONG_CODE = -32003, "wrong code";
    /// There were too many wrong codes, or another machine has used the session.
    PAIRING_LOCKED = -32004, "pairing locked";
    /// The pairing session has expired.
    PAIRING_EXPIRED = -32005, "pairing expired";
    /// The checkpoint belongs to another log; `data.epoch`, `data.head_seq`.
    OTHER_LOG = -32006, "checkpoint is not of this log";
    /// A body or an event is over its limit (HTTP 413).
    TOO_LARGE = -32007, "too large";
    /// The peer has too many requests open (HTTP 429).
    TOO_MANY_REQUESTS = -32008, "too many requests";
    /// The caller gave a wrong code and must wait before the next one; `data.wait_ms`.
    PAIRING_WAIT = -32009, "wait before the next code";
    /// The code is right, but the daemon id of the caller is that of a peer on another node.
    ID_TAKEN = -32010, "daemon id taken";
    /// The daemon id of the caller is that of a peer on another node, and the tailnet can't be asked now
    /// whether that is still there. The caller may ask again.
    TAILNET_DOWN = -32011, "tailnet down";
    /// The signature in a `pair.request` is not one of the daemon that the caller says it is, or is meant for another one.
    NOT_PROVED = -32012, "id not proved";
    /// Local: what was named does not exist (a peer, an agent, a session).
    NOT_FOUND = -32020, "not found";
    /// Local: refused in the current state; the message says what to do.
    REFUSED = -32021, "refused";
    /// Local: the disk is full, read-only or failing.
    STORAGE = -32022, "storage";
    /// Local: another machine could not be reached, or its answer is not that of a thrumd.
    UNREACHABLE = -32023, "unreachable";
    /// Local: the daemon is stopping.
    STOPPING = -32024, "stopping";
    /// Local: another pairing session is open on this daemon.
    PAIRING_BUSY = -32025, "pairing busy";
    /// Local: a file of the state directory was removed or replaced while the daemon uses it. Nothing is
    /// written until it is back, or the daemon is restarted.
    FILES_CHANGED = -32026, "files changed";
    /// Local: only root and the daemon's own user may do it.
    NOT_PERMITTED = -32027, "not permitted";
}

/// A JSON-RPC error object. `message` is for the caller; causes are only logged.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema, thiserror::Error)]
#[error("{message}")]
pub struct RpcError {
    /// The stable number.
    pub code: ErrorCode,
    /// What happened to what.
    pub message: String,
    /// What a program needs to act, by code. `data.hint` says what a person can do next.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub data: Option<serde_json::Value>,
}

impl RpcError {
    /// An error without data.
    pub fn new(code: ErrorCode, message: impl Into<String>) -> Self {
        Self { code, message: message.into(), data: None }
    }

    /// Adds a member to `data`.
    #[must_use]
    pub fn with(mut self, key: &str, value: impl Into<serde_json::Value>) -> Self {
        let data = self.data.get_or_insert_with(|| serde_json::Value::Object(Default::default()));
        if let serde_json::Value::Object(members) = data {
            members.insert(key.to_owned(), value.into());
        }
        self
    }

    /// Adds what a person can do next (`data.hint`).
    #[must_use]
    pub fn hint(self, hint: impl Into<String>) -> Self {
        self.with("hint", hint.into())
    }

    /// A member of `data`.
    pub fn member(&self, key: &str) -> Option<&serde_json::Value> {
        self.data.as_ref()?.get(key)
    }
}
