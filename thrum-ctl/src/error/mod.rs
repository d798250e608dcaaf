//! The errors of the client. The kind decides the exit code, and the hint is data.

mod exit_output;
mod rpc;

use std::io;
use std::path::PathBuf;
use std::process::ExitStatus;

use thrum_api::envelope::AnswerError;
use thrum_api::local::{PeerJoin, PeerRemove};
use thrum_api::{ErrorCode, EventId, Method as _, RpcError};

pub use exit_output::ExitOutput;

use crate::format::message_id;

/// The kind of an error, which decides the exit code. Documented in `thrum help exit-codes`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Refused or failed.
    Failed,
    /// The command line is invalid.
    Usage,
    /// thrumd can't be reached.
    Unreachable,
    /// This user is not allowed to use thrumd.
    NotPermitted,
    /// `--timeout` passed.
    TimedOut,
    /// Ctrl-C.
    Cancelled,
    /// The reader of the output has closed the pipe.
    PipeClosed,
}

impl Kind {
    /// The exit code of the process.
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

/// Why a command failed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The command line is invalid.
    #[error("{message}")]
    Usage {
        /// What is wrong.
        message: String,
        /// What to type instead.
        hint: String,
    },
    /// There is no socket.
    #[error("thrumd is not running: there is no socket at {endpoints}")]
    NotRunning {
        /// The places that were searched.
        endpoints: String,
        /// How to start thrumd on this machine.
        hint: String,
    },
    /// thrumd runs, but not on the socket where it is looked for.
    #[error("thrumd is running (pid {pid}, state in {state_dir}), but {missing}", state_dir = state_dir.display())]
    NotListening {
        /// Its process.
        pid: u32,
        /// Its state directory.
        state_dir: PathBuf,
        /// What is missing.
        missing: String,
        /// Why that may be, and what to do if it stays so.
        hint: String,
        /// The command to go on.
        next: &'static str,
    },
    /// There is a socket, but no process listens on it.
    #[error("thrumd has died: nothing listens on {path}", path = path.display())]
    Died {
        /// The socket.
        path: PathBuf,
        /// How to see why.
        hint: String,
        /// What connecting said.
        #[source]
        source: io::Error,
    },
    /// This user has no permission for the socket.
    #[error("you are not allowed to use thrumd: no permission for {path}", path = path.display())]
    NotPermitted {
        /// The socket.
        path: PathBuf,
        /// How to get the permission.
        hint: String,
        /// What connecting said.
        #[source]
        source: io::Error,
    },
    /// A sandbox around this program forbids Unix sockets.
    #[error("a sandbox of the agent's tool forbids Unix sockets: no connection to {path}", path = path.display())]
    Sandboxed {
        /// The socket.
        path: PathBuf,
        /// How to allow it.
        hint: String,
        /// What connecting said.
        #[source]
        source: io::Error,
    },
    /// Connecting failed for another reason.
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
    /// A message was handed over, and no answer came: it may be in the log.
    #[error("the connection to thrumd broke before it confirmed the message")]
    Unconfirmed {
        /// The message's event.
        event_id: EventId,
        /// What broke it.
        #[source]
        source: io::Error,
    },
    /// The answer is not in thrumd's format.
    #[error("the answer to {method} is not in thrumd's format (HTTP status {status})")]
    Answer {
        /// The method that was called.
        method: &'static str,
        /// The HTTP status of the answer.
        status: u16,
        /// What is wrong with it.
        #[source]
        source: AnswerError,
    },
    /// thrumd refused the call. Its message says why.
    #[error(transparent)]
    Refused(RpcError),
    /// A local operation failed.
    #[error("{what}")]
    Io {
        /// The operation that failed.
        what: String,
        /// The system's error.
        #[source]
        source: io::Error,
    },
    /// A failure that the message explains completely.
    #[error("{message}")]
    Failed {
        /// What failed.
        message: String,
        /// What to do next.
        hint: String,
    },
    /// thrumd ended during its start.
    #[error("thrumd ended during its start ({status})")]
    EndedAtOnce {
        /// Its exit status.
        status: ExitStatus,
        /// Its output.
        #[source]
        source: ExitOutput,
    },
    /// The demo failed. The error's hint is about the user's own daemon, so it is not shown.
    #[error("{error}")]
    Demo {
        /// What failed.
        error: Box<Self>,
        /// The folder with the state and logs of both daemons.
        folder: PathBuf,
    },
    /// A time limit passed.
    #[error("{message}")]
    TimedOut {
        /// What did not happen in time.
        message: String,
    },
    /// A message was sent, and no answer came in time.
    #[error("{message}")]
    Unanswered {
        /// The message's event.
        event_id: EventId,
        /// What did not come in time.
        message: String,
    },
    /// A person said no, or Ctrl-C.
    #[error("cancelled")]
    Cancelled,
    /// The reader of the output has closed the pipe.
    #[error("the reader of the output has closed the pipe")]
    PipeClosed,
}

impl Error {
    /// An error in the command line.
    pub fn usage(message: impl Into<String>, hint: impl Into<String>) -> Self {
        Self::Usage { message: message.into(), hint: hint.into() }
    }

    /// A failure, and what to do next.
    pub fn failed(message: impl Into<String>, hint: impl Into<String>) -> Self {
        Self::Failed { message: message.into(), hint: hint.into() }
    }

    /// A failed input or output.
    pub fn io(what: impl Into<String>, source: io::Error) -> Self {
        Self::Io { what: what.into(), source }
    }

    /// The kind of this error.
    pub fn kind(&self) -> Kind {
        match self {
            Self::Usage { .. } => Kind::Usage,
            Self::NotRunning { .. }
            | Self::NotListening { .. }
            | Self::Died { .. }
            | Self::Connect { .. }
            | Self::Broken { .. }
            | Self::Unconfirmed { .. }
            | Self::Answer { .. } => Kind::Unreachable,
            Self::Refused(error) if error.code == ErrorCode::STOPPING => Kind::Unreachable,
            Self::NotPermitted { .. } | Self::Sandboxed { .. } => Kind::NotPermitted,
            Self::Refused(error) if error.code == ErrorCode::NOT_PERMITTED => Kind::NotPermitted,
            Self::Refused(_) | Self::Io { .. } | Self::Failed { .. } | Self::EndedAtOnce { .. } => {
                Kind::Failed
            }
            Self::Demo { error, .. } => error.kind(),
            Self::TimedOut { .. } | Self::Unanswered { .. } => Kind::TimedOut,
            Self::Cancelled => Kind::Cancelled,
            Self::PipeClosed => Kind::PipeClosed,
        }
    }

    /// Whether the daemon may only be restarting, so that another try makes sense. Something that answers
    /// wrongly will not get better.
    pub fn may_pass(&self) -> bool {
        self.kind() == Kind::Unreachable && !matches!(self, Self::Answer { .. })
    }

    /// A stable identifier for programs.
    pub fn word(&self) -> String {
        let word = match self {
            Self::Usage { .. } => "usage",
            Self::NotRunning { .. } => "not_running",
            Self::NotListening { .. } => "not_listening",
            Self::Died { .. } => "died",
            Self::NotPermitted { .. } => "not_permitted",
            Self::Sandboxed { .. } => "socket_sandbox",
            Self::Connect { .. } => "not_reachable",
            Self::Broken { .. } => "connection_broken",
            Self::Unconfirmed { .. } => "unconfirmed",
            Self::Answer { .. } => "not_a_thrumd",
            Self::Refused(error) => return rpc::word(error.code),
            Self::Io { .. } => "io",
            Self::Failed { .. } => "failed",
            Self::EndedAtOnce { .. } => "ended_at_once",
            Self::Demo { error, .. } => return error.word(),
            Self::TimedOut { .. } | Self::Unanswered { .. } => "timeout",
            Self::Cancelled => "cancelled",
            Self::PipeClosed => "pipe_closed",
        };
        word.to_owned()
    }

    /// What a person can do next, if known.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Usage { hint, .. }
            | Self::NotRunning { hint, .. }
            | Self::NotListening { hint, .. }
            | Self::Died { hint, .. }
            | Self::NotPermitted { hint, .. }
            | Self::Sandboxed { hint, .. }
            | Self::Failed { hint, .. } => Some(hint.clone()),
            Self::Refused(error) => rpc::hint(error),
            Self::Broken { method: PeerJoin::NAME | PeerRemove::NAME, .. } => Some(
                "it may have been done: thrum peer list; why it broke: thrum daemon logs -n 50"
                    .to_owned(),
            ),
            Self::Broken { .. } => Some("see why: thrum daemon logs -n 50".to_owned()),
            Self::Unconfirmed { event_id, .. } => Some(format!(
                "it may have been sent; the same command with --id {event_id} never sends it twice"
            )),
            Self::Unanswered { event_id, .. } => Some(format!(
                "it was sent; how far it got: thrum sent {id}; to wait on: thrum wait --thread {id}",
                id = message_id(*event_id)
            )),
            Self::Answer { .. } => Some(rpc::VERSIONS_DIFFER.to_owned()),
            Self::EndedAtOnce { source, .. } => Some(
                source.hint.clone().unwrap_or_else(|| "see the log: thrum daemon logs".to_owned()),
            ),
            Self::Demo { error, folder } => {
                let logs = format!("the logs of both daemons are in {}", folder.display());
                Some(match &**error {
                    Self::EndedAtOnce { source: ExitOutput { hint: Some(hint), .. }, .. } => {
                        format!("{hint}; {logs}")
                    }
                    _ => logs,
                })
            }
            Self::Connect { .. } => {
                Some("see which socket is used and why: thrum doctor".to_owned())
            }
            Self::Io { .. } | Self::TimedOut { .. } | Self::Cancelled | Self::PipeClosed => None,
        }
    }

    /// The event of a message that may have been sent, or that was sent and not answered.
    pub const fn event_id(&self) -> Option<EventId> {
        match self {
            Self::Unconfirmed { event_id, .. } | Self::Unanswered { event_id, .. } => {
                Some(*event_id)
            }
            _ => None,
        }
    }

    /// The causes of this error, outermost first.
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
    fn exit_codes_match_the_documentation() {
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
            (Error::Refused(RpcError::new(ErrorCode::NOT_PERMITTED, "only root")), 4),
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
