//! Sessions of tools that have hooks: the points of a turn, and waking.

use thrum_api::local::{
    SessionHookParams, SessionMessagesParams, SessionMessagesResult, SessionWakeParams,
    SessionWakeResult, WakeSwitchParams, WakeSwitchResult,
};
use thrum_api::{ErrorCode, RpcError, names};

use super::addresses::name_machines;
use super::{AdminContext, errors, wake_switch};
use crate::agents::LocalConnection;

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
    context: &AdminContext,
    params: SessionWakeParams,
    connection: &LocalConnection,
) -> Result<SessionWakeResult, RpcError> {
    let answer = context.agents.session_wake(params, connection).await;
    let mut answer = answer.map_err(errors::agents)?;
    for sender in answer.wake.iter_mut().flat_map(|wake| &mut wake.from) {
        sender.machine = context.machine(sender.daemon_id);
    }
    Ok(answer)
}

/// `wake.switch`
pub async fn switch(
    context: &AdminContext,
    params: WakeSwitchParams,
) -> Result<WakeSwitchResult, RpcError> {
    let WakeSwitchParams { project, off } = params;
    let project = project
        .map(|project| names::project(&project))
        .transpose()
        .map_err(|error| RpcError::new(ErrorCode::INVALID_PARAMS, error.to_string()))?;
    let off = match off {
        None => context.wake_switch.off().await,
        Some(off) => {
            let apply = |off| context.agents.set_wake_off(off);
            context.wake_switch.switch(project, off, apply).await?
        }
    };
    Ok(wake_switch::shown(off))
}
