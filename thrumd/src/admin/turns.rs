//! Sessions of tools that have hooks: the points of a turn, and waking.

use thrum_api::local::{
    SessionHookParams, SessionMessagesParams, SessionMessagesResult, SessionWakeParams,
    SessionWakeResult, WakeSwitchParams, WakeSwitchResult,
};
use thrum_api::{ErrorCode, RpcError};

use super::AdminContext;
use crate::agents::LocalConnection;

fn missing() -> RpcError {
    RpcError::new(ErrorCode::METHOD_NOT_FOUND, "not there yet")
}

/// `session.hook`
pub async fn hook(
    _: &AdminContext,
    _: SessionHookParams,
    _: &LocalConnection,
) -> Result<SessionMessagesResult, RpcError> {
    Err(missing())
}

/// `session.messages`
pub async fn messages(
    _: &AdminContext,
    _: SessionMessagesParams,
    _: &LocalConnection,
) -> Result<SessionMessagesResult, RpcError> {
    Err(missing())
}

/// `session.wake`
pub async fn wake(
    _: &AdminContext,
    _: SessionWakeParams,
    _: &LocalConnection,
) -> Result<SessionWakeResult, RpcError> {
    Err(missing())
}

/// `wake.switch`
pub async fn switch(_: &AdminContext, _: WakeSwitchParams) -> Result<WakeSwitchResult, RpcError> {
    Err(missing())
}
