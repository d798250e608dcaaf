use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use thrum_api::RpcError;
use thrum_api::peer::reason;

use crate::report::Chain;
use crate::sync::hub::{Failure, FailureKind};
use crate::tailnet::TailnetError;

/// An error of the HTTP client, of whichever of its layers.
pub(super) type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// Why a request to another machine brought no result.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// The tailnet could not say where the machine is.
    #[error("can't find {peer} in the tailnet")]
    Locate {
        /// Its name.
        peer: String,
        /// Why.
        #[source]
        source: TailnetError,
    },
    /// The tailnet doesn't know the machine (any more), or its policy hides it.
    #[error("{peer} is not in the tailnet, or the tailnet's policy hides it")]
    NotThere {
        /// Its name.
        peer: String,
    },
    /// No connection.
    #[error("can't connect to {address}")]
    Connect {
        /// Where.
        address: SocketAddr,
        /// Why.
        #[source]
        source: Arc<std::io::Error>,
    },
    /// No connection in time.
    #[error("{address} did not accept a connection within {after:?}")]
    ConnectTimeout {
        /// Where.
        address: SocketAddr,
        /// How long we waited.
        after: Duration,
    },
    /// Connected, but the answer did not come, or stopped coming.
    #[error("{address} did not answer {method} within {after:?}")]
    Timeout {
        /// Where.
        address: SocketAddr,
        /// What was asked.
        method: &'static str,
        /// How long we waited.
        after: Duration,
    },
    /// The connection broke, or what came over it is no HTTP.
    #[error("the connection to {address} broke during {method}")]
    Broken {
        /// Where.
        address: SocketAddr,
        /// What was asked.
        method: &'static str,
        /// Why.
        #[source]
        source: BoxError,
    },
    /// The answer is larger than any answer may be.
    #[error("{address} answered {method} with more than {limit} bytes")]
    TooLarge {
        /// Where.
        address: SocketAddr,
        /// What was asked.
        method: &'static str,
        /// The limit.
        limit: usize,
    },
    /// Something else than a thrumd lives there.
    #[error("{address} answers, but is no thrumd: it sent {what}")]
    NotAThrumd {
        /// Where.
        address: SocketAddr,
        /// Status and content type.
        what: String,
    },
    /// A JSON answer, but not to this request.
    #[error("the answer of {address} to {method} can't be read")]
    Malformed {
        /// Where.
        address: SocketAddr,
        /// What was asked.
        method: &'static str,
        /// What is wrong with it.
        #[source]
        source: thrum_api::envelope::AnswerError,
    },
    /// Our token is not (or no longer) accepted there.
    #[error("{address} does not accept our token{}", because(said))]
    Refused {
        /// Where.
        address: SocketAddr,
        /// What it said.
        said: RpcError,
    },
    /// A JSON-RPC error.
    #[error("{address} refused {method}")]
    Rpc {
        /// Where.
        address: SocketAddr,
        /// What was asked.
        method: &'static str,
        /// What it said.
        #[source]
        source: RpcError,
    },
    /// The params could not be written as JSON.
    #[error("can't write the params of {method}")]
    Params {
        /// What was to be asked.
        method: &'static str,
        /// Why.
        #[source]
        source: serde_json::Error,
    },
    /// The request could not be composed.
    #[error("can't compose a request to {address}")]
    Compose {
        /// Where.
        address: SocketAddr,
        /// Why.
        #[source]
        source: hyper::http::Error,
    },
}

/// Why, as far as it is a known reason: the other side's own text is not for a terminal.
fn because(said: &RpcError) -> &'static str {
    match said.member("reason").and_then(serde_json::Value::as_str) {
        Some(reason::OTHER_NODE) => {
            ": to the tailnet this machine is another one than when it was paired (removed and \
             added again); pair it again with `thrum peer join`"
        }
        Some(reason::GRANT_WITHDRAWN) => {
            ": this machine was paired by the tailnet's policy, which no longer allows it"
        }
        _ => "",
    }
}

/// How much of another machine's text is repeated, in characters.
const TEXT_MAX: usize = 200;

/// Another machine's text as it may go to a log line or a terminal: not long, and on one line.
pub(super) fn tame(text: &str) -> String {
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

/// The reasons that we know.
pub fn known_reason(word: &str) -> Option<&'static str> {
    [reason::OTHER_NODE, reason::GRANT_WITHDRAWN].into_iter().find(|known| *known == word)
}

impl ClientError {
    /// Why our token is refused, if that was said and is a reason that we know.
    pub fn refusal(&self) -> Option<&'static str> {
        let Self::Refused { said, .. } = self else { return None };
        known_reason(said.member("reason")?.as_str()?)
    }

    /// What follows from it for the link.
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

    /// Whether the machine counts as not reached: only that makes us leave it alone whatever is
    /// wanted of it.
    pub fn counts_for_backoff(&self) -> bool {
        self.failure_kind() == FailureKind::Unreachable
    }

    /// Whether it was connected and the answer did not come whole: perhaps it was too much.
    pub fn broke_off(&self) -> bool {
        matches!(self, Self::Timeout { .. } | Self::Broken { .. })
    }

    /// The error with its causes on one line.
    pub fn text(&self) -> String {
        match self {
            // The causes may repeat what was answered.
            Self::Malformed { source, .. } => {
                format!("{self}: {}", tame(&Chain(source).to_string()))
            }
            _ => Chain(self).to_string(),
        }
    }

    /// The same for the hub.
    pub fn failure(&self) -> Failure {
        Failure { kind: self.failure_kind(), text: self.text() }
    }

    /// The JSON-RPC error, if it is one.
    pub fn rpc(&self) -> Option<&RpcError> {
        match self {
            Self::Rpc { source, .. } => Some(source),
            _ => None,
        }
    }
}
