//! Everything that can go wrong in the client. The kind decides the exit code, the hint is data.

mod exit_output;
mod rpc;

use std::io;
use std::path::PathBuf;
use std::process::ExitStatus;

use thrum_api::envelope::AnswerError;
use thrum_api::{ErrorCode, RpcError};

pub use exit_output::ExitOutput;

/// What a caller can tell by the exit code. `thrum help exit-codes` is its documentation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Refused or failed.
    Failed,
    /// The command line says something impossible.
    Usage,
    /// The service can't be reached.
    Unreachable,
    /// The service may not be used by this user.
    NotPermitted,
    /// `--timeout` passed.
    TimedOut,
    /// Ctrl-C.
    Cancelled,
    /// The reader of our output is gone.
    PipeClosed,
}

impl Kind {
    /// The number that the process ends with.
    pub const fn exit_code(self) -> u8 {
        match self {
            Self::PipeClosed => 0,
            Self::Failed => 1,
            Self::Usage => 2,
            Self::Unreachable => 3,
            Self::NotPermitted => 4,
            Self::TimedOut => 5,
            Self::Cancelled => 130,
        }
    }
}

/// The exit code of `doctor` and `status --check` when there is a problem.
pub const PROBLEM_FOUND: u8 = 6;

/// Why a command did not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The words of the command line can't be meant together, or one is missing.
    #[error("{message}")]
    Usage {
        /// What is wrong.
        message: String,
        /// What to write instead.
        hint: String,
    },
    /// There is no socket.
    #[error("thrumd is not running: there is no socket at {endpoints}")]
    NotRunning {
        /// Where it was looked for.
        endpoints: String,
        /// How this installation starts it.
        hint: String,
    },
    /// There is a socket and nobody behind it.
    #[error("thrumd has died: nobody answers on {path}", path = path.display())]
    Died {
        /// The socket.
        path: PathBuf,
        /// How to see why.
        hint: String,
        /// What connecting said.
        #[source]
        source: io::Error,
    },
    /// There is a socket that this user may not use.
    #[error("you may not use thrumd: no permission for {path}", path = path.display())]
    NotPermitted {
        /// The socket.
        path: PathBuf,
        /// What gives the permission.
        hint: String,
        /// What connecting said.
        #[source]
        source: io::Error,
    },
    /// Connecting failed in another way.
    #[error("can't connect to thrumd on {path}", path = path.display())]
    Connect {
        /// The socket.
        path: PathBuf,
        /// What connecting said.
        #[source]
        source: io::Error,
    },
    /// The connection broke during a call.
    #[error("the connection to thrumd broke during {method}")]
    Broken {
        /// The method that was called.
        method: &'static str,
        /// What broke it.
        #[source]
        source: io::Error,
    },
    /// What answered does not speak as a thrumd.
    #[error("the answer to {method} is not that of a thrumd (HTTP status {status})")]
    Answer {
        /// The method that was called.
        method: &'static str,
        /// The status of the answer.
        status: u16,
        /// What is wrong with it.
        #[source]
        source: AnswerError,
    },
    /// thrumd refused. Its message says what and why.
    #[error(transparent)]
    Refused(RpcError),
    /// Something local failed.
    #[error("{what}")]
    Io {
        /// What was done to what.
        what: String,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// It failed, and why is all in the text.
    #[error("{message}")]
    Failed {
        /// What failed.
        message: String,
        /// What to do next.
        hint: String,
    },
    /// thrumd ended instead of answering.
    #[error("thrumd ended at once ({status})")]
    EndedAtOnce {
        /// How it ended.
        status: ExitStatus,
        /// Its last words.
        #[source]
        source: ExitOutput,
    },
    /// The demo failed. Hints of the error are those of the user's own daemon, and not meant here.
    #[error("{error}")]
    Demo {
        /// What failed.
        error: Box<Self>,
        /// What both daemons left behind, logs among it.
        folder: PathBuf,
    },
    /// A time that the caller gave is over.
    #[error("{message}")]
    TimedOut {
        /// What did not come.
        message: String,
    },
    /// A person said no, or Ctrl-C.
    #[error("cancelled")]
    Cancelled,
    /// The reader of our output is gone.
    #[error("the reader of the output is gone")]
    PipeClosed,
}

impl Error {
    /// A mistake in the command line.
    pub fn usage(message: impl Into<String>, hint: impl Into<String>) -> Self {
        Self::Usage { message: message.into(), hint: hint.into() }
    }

    /// Something that failed, and what to do next.
    pub fn failed(message: impl Into<String>, hint: impl Into<String>) -> Self {
        Self::Failed { message: message.into(), hint: hint.into() }
    }

    /// An input or output that failed.
    pub fn io(what: impl Into<String>, source: io::Error) -> Self {
        Self::Io { what: what.into(), source }
    }

    /// Its kind.
    pub fn kind(&self) -> Kind {
        match self {
            Self::Usage { .. } => Kind::Usage,
            Self::NotRunning { .. }
            | Self::Died { .. }
            | Self::Connect { .. }
            | Self::Broken { .. }
            | Self::Answer { .. } => Kind::Unreachable,
            Self::Refused(error) if error.code == ErrorCode::STOPPING => Kind::Unreachable,
            Self::NotPermitted { .. } => Kind::NotPermitted,
            Self::Refused(_) | Self::Io { .. } | Self::Failed { .. } | Self::EndedAtOnce { .. } => {
                Kind::Failed
            }
            Self::Demo { error, .. } => error.kind(),
            Self::TimedOut { .. } => Kind::TimedOut,
            Self::Cancelled => Kind::Cancelled,
            Self::PipeClosed => Kind::PipeClosed,
        }
    }

    /// A stable word for programs.
    pub fn word(&self) -> String {
        let word = match self {
            Self::Usage { .. } => "usage",
            Self::NotRunning { .. } => "not_running",
            Self::Died { .. } => "died",
            Self::NotPermitted { .. } => "not_permitted",
            Self::Connect { .. } => "not_reachable",
            Self::Broken { .. } => "connection_broken",
            Self::Answer { .. } => "not_a_thrumd",
            Self::Refused(error) => return rpc::word(error.code),
            Self::Io { .. } => "io",
            Self::Failed { .. } => "failed",
            Self::EndedAtOnce { .. } => "ended_at_once",
            Self::Demo { error, .. } => return error.word(),
            Self::TimedOut { .. } => "timeout",
            Self::Cancelled => "cancelled",
            Self::PipeClosed => "pipe_closed",
        };
        word.to_owned()
    }

    /// What a person can do next, if we know.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Usage { hint, .. }
            | Self::NotRunning { hint, .. }
            | Self::Died { hint, .. }
            | Self::NotPermitted { hint, .. }
            | Self::Failed { hint, .. } => Some(hint.clone()),
            Self::Refused(error) => rpc::hint(error),
            Self::Broken { .. } => Some("see why: thrum daemon logs -n 50".to_owned()),
            Self::Answer { .. } => Some(rpc::VERSIONS_DIFFER.to_owned()),
            Self::EndedAtOnce { source, .. } => Some(
                source.hint.clone().unwrap_or_else(|| "all of it: thrum daemon logs".to_owned()),
            ),
            Self::Demo { error, folder } => {
                let logs = format!("both daemons' logs are in {}", folder.display());
                Some(match &**error {
                    Self::EndedAtOnce { source: ExitOutput { hint: Some(hint), .. }, .. } => {
                        format!("{hint}; {logs}")
                    }
                    _ => logs,
                })
            }
            Self::Connect { .. } => Some("which socket is meant, and why: thrum doctor".to_owned()),
            Self::Io { .. } | Self::TimedOut { .. } | Self::Cancelled | Self::PipeClosed => None,
        }
    }

    /// What it comes from, outermost first.
    pub fn causes(&self) -> Vec<String> {
        let mut causes = Vec::new();
        let whole = if let Self::Demo { error, .. } = self { error } else { self };
        let mut next = std::error::Error::source(whole);
        while let Some(cause) = next {
            causes.push(cause.to_string());
            next = cause.source();
        }
        causes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exit_codes_are_the_documented_ones() {
        let died = Error::Died {
            path: "/x".into(),
            hint: String::new(),
            source: io::ErrorKind::ConnectionRefused.into(),
        };
        let codes = [
            (Error::PipeClosed, 0),
            (Error::failed("a", "b"), 1),
            (Error::Refused(RpcError::new(ErrorCode::WRONG_CODE, "wrong")), 1),
            (Error::usage("a", "b"), 2),
            (died, 3),
            (Error::Refused(RpcError::new(ErrorCode::STOPPING, "stopping")), 3),
            (Error::TimedOut { message: String::new() }, 5),
            (Error::Cancelled, 130),
        ];
        for (error, code) in codes {
            assert_eq!(error.kind().exit_code(), code, "{error:?}");
        }
    }

    #[test]
    fn causes_are_not_repeated_in_the_text() {
        let source = io::Error::new(io::ErrorKind::NotFound, "gone");
        let error = Error::io("can't read /x", source);
        assert_eq!(error.to_string(), "can't read /x");
        assert_eq!(error.causes(), ["gone"]);
    }
}
