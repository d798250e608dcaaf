//! What is wrong with a request about a session.

use std::io;

use thrum_api::{ErrorCode, RpcError};

use super::limits::{AGENT_MAX_BYTES, SESSIONS_MAX, SESSIONS_OF_AGENT_MAX, SESSIONS_OF_NARROW_MAX};

/// Why a session can't be started, changed or ended.
#[derive(Debug, thiserror::Error)]
pub enum SessionError {
    /// A text is too long.
    #[error("`{field}` has {chars} characters; at most {max} are allowed")]
    TooLong {
        /// The member of the params.
        field: &'static str,
        chars: usize,
        max: usize,
    },
    /// The id is empty or has characters that can't be typed.
    #[error("`session` must not be empty or have control characters")]
    Id,
    /// Neither a process nor a connection.
    #[error("a session needs `pid` or `connection`: it lives as long as that")]
    NoKeeper,
    /// A state that this version doesn't know.
    #[error("`state` is none of needs_you, working, waiting, idle")]
    State,
    /// A question with a state that has none.
    #[error("`question` goes with the state needs_you alone")]
    Question,
    /// That is no process of a tool.
    #[error("{pid} is not the id of a process that could be a tool")]
    NoProcess { pid: u32 },
    /// There is no such process.
    #[error("no process with the id {pid} runs on this machine")]
    NotRunning { pid: u32 },
    /// The system can't watch the process.
    #[error("can't watch the process {pid}")]
    Watch {
        pid: u32,
        #[source]
        cause: io::Error,
    },
    /// The agent has as many sessions as it may.
    #[error("{agent} has {SESSIONS_OF_AGENT_MAX} sessions already")]
    TooManyOfAgent { agent: String },
    /// This machine has as many sessions as it may.
    #[error("this machine has {SESSIONS_MAX} sessions already")]
    TooMany,
    /// The narrow socket has as many sessions as it may.
    #[error("this narrow socket has {SESSIONS_OF_NARROW_MAX} sessions already")]
    TooManyOfSocket,
    /// Its sessions would not fit into an event.
    #[error("the sessions of {agent} would have more than {AGENT_MAX_BYTES} bytes of text")]
    TooLarge { agent: String },
    /// The agent has no session, or not this one.
    #[error("{agent} has no {}", session.as_ref().map_or_else(|| "live session".to_owned(), |id| format!("live session {id:?}")))]
    Unknown {
        agent: String,
        session: Option<String>,
        /// Those that it has.
        has: Vec<String>,
    },
    /// The agent has several sessions, and none was named.
    #[error("{agent} has {} live sessions: say which", has.len())]
    Several {
        agent: String,
        /// Those that it has.
        has: Vec<String>,
    },
}

impl SessionError {
    /// The code of the answer.
    pub fn code(&self) -> ErrorCode {
        match self {
            Self::Unknown { .. } => ErrorCode::NOT_FOUND,
            Self::TooManyOfAgent { .. }
            | Self::TooMany
            | Self::TooManyOfSocket
            | Self::Watch { .. } => ErrorCode::REFUSED,
            _ => ErrorCode::INVALID_PARAMS,
        }
    }

    /// Adds what a program and a person need to go on.
    pub fn explain(&self, error: RpcError) -> RpcError {
        match self {
            Self::TooLong { field, max, .. } => error.with("field", *field).with("max", *max),
            Self::NoKeeper => error.hint("give the process of the tool as `pid`"),
            Self::NoProcess { .. } | Self::NotRunning { .. } => error.hint(
                "give the id of the tool's own process as this machine numbers it; from a container, use `connection`",
            ),
            Self::Watch { cause, .. } => error.hint(format!("the system says: {cause}; or use `connection`")),
            Self::TooManyOfAgent { .. } | Self::TooMany | Self::TooManyOfSocket => error.hint("end those that are not needed: thrum session end"),
            Self::Unknown { has, .. } | Self::Several { has, .. } => {
                let shown: Vec<_> = has.iter().map(|id| format!("{id:?}")).collect();
                let hint = match has.is_empty() {
                    true => "start one: thrum session start".to_owned(),
                    false => format!("its sessions: {}", shown.join(", ")),
                };
                error.with("sessions", has.clone()).hint(hint)
            }
            _ => error,
        }
    }
}
