//! From the errors of the rooms to those of the wire. The causes stay in our log.

use std::error::Error;

use thrum_api::{ErrorCode, RpcError};

use crate::agents::AgentsError;
use crate::log::{LogError, LogErrorKind};
use crate::peer::RegistryError;
use crate::report::Chain;

/// An error of the log.
pub fn log(error: LogError) -> RpcError {
    let code = match error.kind() {
        LogErrorKind::Invalid => ErrorCode::INVALID_PARAMS,
        LogErrorKind::TooLarge => ErrorCode::TOO_LARGE,
        LogErrorKind::StorageFull | LogErrorKind::Storage => ErrorCode::STORAGE,
        LogErrorKind::Stopping => ErrorCode::STOPPING,
    };
    // What the caller did wrong is told to the end; what failed here stays in our log.
    match code {
        ErrorCode::INVALID_PARAMS => RpcError::new(code, Chain(&error).to_string()),
        _ => told(code, &error),
    }
}

/// An error of messages and agents.
pub fn agents(error: AgentsError) -> RpcError {
    let answer = error.to_rpc();
    note(answer.code, &error);
    answer
}

/// An error of the registry.
pub fn registry(error: RegistryError) -> RpcError {
    let code = match error {
        RegistryError::File(_) => ErrorCode::STORAGE,
        RegistryError::Interrupted(_) => ErrorCode::INTERNAL,
        RegistryError::Unknown { .. } | RegistryError::Ambiguous { .. } => ErrorCode::NOT_FOUND,
    };
    told(code, &error)
}

/// The daemon is going down.
pub fn stopping() -> RpcError {
    RpcError::new(ErrorCode::STOPPING, "thrumd is stopping")
}

fn told(code: ErrorCode, error: &dyn Error) -> RpcError {
    note(code, error);
    RpcError::new(code, error.to_string())
}

/// Causes are for whoever looks after this daemon.
fn note(code: ErrorCode, error: &dyn Error) {
    if code == ErrorCode::INTERNAL || code == ErrorCode::STORAGE {
        tracing::warn!("a local request failed: {}", Chain(error));
    }
}
