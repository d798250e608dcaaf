//! Maps errors of the modules to answers of the local API. Causes go to the log only.

use std::error::Error;

use thrum_api::{ErrorCode, RpcError};

use crate::agents::{AgentsError, SearchError};
use crate::log::{LogError, LogErrorKind};
use crate::peer::RegistryError;
use crate::report::Chain;
use crate::statefile::StateFileError;

pub fn log(error: LogError) -> RpcError {
    let code = match error.kind() {
        LogErrorKind::Invalid => ErrorCode::INVALID_PARAMS,
        LogErrorKind::TooLarge => ErrorCode::TOO_LARGE,
        LogErrorKind::Storage => ErrorCode::STORAGE,
        LogErrorKind::FilesChanged => ErrorCode::FILES_CHANGED,
        LogErrorKind::Stopping => ErrorCode::STOPPING,
    };
    // A caller's mistake is explained in full; a failure of ours is explained in the log only.
    match code {
        ErrorCode::INVALID_PARAMS => RpcError::new(code, Chain(&error).to_string()),
        _ => with_next(answer(code, &error), error.next()),
    }
}

fn with_next(error: RpcError, next: Option<String>) -> RpcError {
    match next {
        Some(next) => error.hint(next),
        None => error,
    }
}

/// An error of messages and agents.
pub fn agents(error: AgentsError) -> RpcError {
    let answer = error.to_rpc();
    log_cause(answer.code, &error);
    answer
}

/// An error of the search.
pub fn search(error: SearchError) -> RpcError {
    let answer = error.to_rpc();
    log_cause(answer.code, &error);
    answer
}

pub fn registry(error: RegistryError) -> RpcError {
    match error {
        RegistryError::File(ref cause) => {
            let (next, is_changed) = (cause.next(), matches!(cause, StateFileError::Changed(_)));
            let code = if is_changed { ErrorCode::FILES_CHANGED } else { ErrorCode::STORAGE };
            let error: &dyn Error = if is_changed { cause } else { &error };
            with_next(answer(code, error), next)
        }
        RegistryError::Interrupted(_) => answer(ErrorCode::INTERNAL, &error),
        RegistryError::Unknown { .. } | RegistryError::Ambiguous { .. } => {
            let error = answer(ErrorCode::NOT_FOUND, &error);
            error.hint("names and ids of all peers: thrum peer list --json")
        }
    }
}

/// The daemon is stopping.
pub fn stopping() -> RpcError {
    RpcError::new(ErrorCode::STOPPING, "thrumd is stopping")
}

fn answer(code: ErrorCode, error: &dyn Error) -> RpcError {
    log_cause(code, error);
    RpcError::new(code, error.to_string())
}

/// Logs the causes of a failure: they are for the administrator, not for the caller.
fn log_cause(code: ErrorCode, error: &dyn Error) {
    if code == ErrorCode::INTERNAL || code == ErrorCode::STORAGE {
        tracing::warn!("a local request failed: {}", Chain(error));
    }
}
