use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use thrum_api::RpcError;
use thrum_api::peer::reason;

use crate::report::Chain;
use crate::sync::hub::{Failure, FailureKind};
use crate::tailnet::TailnetError;

/// An error of any layer of the HTTP client.
pub(super) type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// An error of a request to another machine.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// The tailnet could not say where the machine is.
    #[error("can't find {peer} in the tailnet")]
    Locate {
        peer: String,
        #[source]
        source: TailnetError,
    },
    /// The tailnet doesn't know the machine, or its policy hides it.
    #[error("{peer} is not in the tailnet, or the tailnet's policy hides it")]
    NotThere { peer: String },
    /// The connection failed.
    #[error("can't connect to {address}")]
    Connect {
        address: SocketAddr,
        #[source]
        source: Arc<std::io::Error>,
    },
    /// The connection timed out.
    #[error("{address} did not accept a connection within {after:?}")]
    ConnectTimeout { address: SocketAddr, after: Duration },
    /// The answer timed out.
    #[error("{address} did not answer {method} within {after:?}")]
    Timeout { address: SocketAddr, method: &'static str, after: Duration },
    /// The connection broke, or the answer is not HTTP.
    #[error("the connection to {address} broke during {method}")]
    Broken {
        address: SocketAddr,
        method: &'static str,
        #[source]
        source: BoxError,
    },
    /// The answer exceeds the size limit.
    #[error("{address} answered {method} with more than {limit} bytes")]
    TooLarge { address: SocketAddr, method: &'static str, limit: usize },
    /// Another program answers at that address.
    #[error("{address} answers, but is not a thrumd: it sent {what}")]
    NotAThrumd { address: SocketAddr, what: String },
    /// A JSON answer, but not to this request.
    #[error("the answer of {address} to {method} can't be read")]
    Malformed {
        address: SocketAddr,
        method: &'static str,
        /// Why it is invalid.
        #[source]
        source: thrum_api::envelope::AnswerError,
    },
    /// Our token was refused.
    #[error("{address} does not accept our token{}", because(error))]
    Refused { address: SocketAddr, error: RpcError },
    /// A JSON-RPC error.
    #[error("{address} refused {method}")]
    Rpc {
        address: SocketAddr,
        method: &'static str,
        #[source]
        source: RpcError,
    },
    /// The params could not be written as JSON.
    #[error("can't write the params of {method}")]
    Params {
        /// What was to be asked.
        method: &'static str,
        #[source]
        source: serde_json::Error,
    },
    /// The request could not be composed.
    #[error("can't compose a request to {address}")]
    Compose {
        address: SocketAddr,
        #[source]
        source: hyper::http::Error,
    },
}

/// The text for a known reason. The other side's own text is not shown on a terminal.
fn because(error: &RpcError) -> &'static str {
    match error.member("reason").and_then(serde_json::Value::as_str) {
        Some(reason::OTHER_NODE) => {
            ": this machine is no longer the node that was paired (removed from the tailnet and \
             added again); pair it again with `thrum peer join`"
        }
        Some(reason::GRANT_WITHDRAWN) => {
            ": this machine was paired by the tailnet's policy, which no longer allows it"
        }
        _ => "",
    }
}

/// How many characters of another machine's text are shown.
const TEXT_MAX: usize = 200;

/// Sanitises another machine's text for the log or a terminal: shortened, and on one line.
pub(super) fn sanitize(text: &str) -> String {
    let mut tamed = String::new();
    for (number, c) in text.chars().enumerate() {
        match c {
            _ if number == TEXT_MAX => {
                tamed.push_str("...");
                break;
            }
            c if c.is_control() => tamed.extend(c.escape_default()),
            c => tamed.push(c),
        }
    }
    tamed
}

pub fn known_reason(word: &str) -> Option<&'static str> {
    [reason::OTHER_NODE, reason::GRANT_WITHDRAWN].into_iter().find(|known| *known == word)
}

impl ClientError {
    /// The reason why our token was refused, if it is a known one.
    pub fn refusal(&self) -> Option<&'static str> {
        let Self::Refused { error, .. } = self else { return None };
        known_reason(error.member("reason")?.as_str()?)
    }

    /// The kind of failure for the hub.
    pub fn failure_kind(&self) -> FailureKind {
        match self {
            Self::Locate { .. }
            | Self::NotThere { .. }
            | Self::Connect { .. }
            | Self::ConnectTimeout { .. }
            | Self::Timeout { .. }
            | Self::Broken { .. }
            | Self::NotAThrumd { .. } => FailureKind::Unreachable,
            Self::Refused { .. } => FailureKind::TokenRefused,
            Self::TooLarge { .. } | Self::Malformed { .. } | Self::Rpc { .. } => {
                FailureKind::BadAnswer
            }
            Self::Params { .. } | Self::Compose { .. } => FailureKind::Local,
        }
    }

    /// Whether the machine counts as unreachable: then every request to it backs off.
    pub fn counts_for_backoff(&self) -> bool {
        self.failure_kind() == FailureKind::Unreachable
    }

    /// Whether the answer was incomplete after a successful connection: perhaps it was too large.
    pub fn broke_off(&self) -> bool {
        matches!(self, Self::Timeout { .. } | Self::Broken { .. })
    }

    /// The error with its causes on one line.
    pub fn text(&self) -> String {
        match self {
            // The causes may quote the answer.
            Self::Malformed { source, .. } => {
                format!("{self}: {}", sanitize(&Chain(source).to_string()))
            }
            _ => Chain(self).to_string(),
        }
    }

    /// The error as a failure for the hub.
    pub fn failure(&self) -> Failure {
        Failure { kind: self.failure_kind(), text: self.text() }
    }

    /// The JSON-RPC error of the answer, if it is one.
    pub fn rpc(&self) -> Option<&RpcError> {
        match self {
            Self::Rpc { source, .. } => Some(source),
            _ => None,
        }
    }
}
