//! Sessions of tools that have hooks: the points of a turn, and waking.

use thrum_api::local::{
    SessionHookParams, SessionMessagesParams, SessionMessagesResult, SessionWakeParams,
    SessionWakeResult, WakeSwitchParams, WakeSwitchResult,
};
use thrum_api::{ErrorCode, RpcError};

use super::addresses::name_machines;
use super::{AdminContext, errors};
use crate::agents::LocalConnection;

fn missing() -> RpcError {
    RpcError::new(ErrorCode::METHOD_NOT_FOUND, "not there yet")
}

/// `session.hook`
pub async fn hook(
    context: &AdminContext,
    params: SessionHookParams,
    connection: &LocalConnection,
) -> Result<SessionMessagesResult, RpcError> {
    let answer = context.agents.session_hook(params, connection).await;
    answer.map(|answer| named(context, answer)).map_err(errors::agents)
}

/// `session.messages`
pub async fn messages(
    context: &AdminContext,
    params: SessionMessagesParams,
    connection: &LocalConnection,
) -> Result<SessionMessagesResult, RpcError> {
    let answer = context.agents.session_messages(params, connection).await;
    answer.map(|answer| named(context, answer)).map_err(errors::agents)
}

fn named(context: &AdminContext, mut answer: SessionMessagesResult) -> SessionMessagesResult {
    for message in &mut answer.messages {
        name_machines(context, message);
    }
    answer
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
