//! Messages and agents. Where a daemon is named by its id, its name is added.

use thrum_api::local::{
    AgentListParams, AgentListResult, InboxParams, InboxResult, MarkReadParams, Message,
    MessageSendParams, MessageSendResult, WaitParams, WaitResult,
};
use thrum_api::{Empty, RpcError};

use super::{Surface, errors};

/// `message.send`
pub async fn send(
    surface: &Surface,
    params: MessageSendParams,
) -> Result<MessageSendResult, RpcError> {
    let outcome = surface.agents.send(params).await.map_err(errors::agents);
    surface.disk.saw(&outcome);
    outcome
}

/// `message.inbox`
pub async fn inbox(surface: &Surface, params: InboxParams) -> Result<InboxResult, RpcError> {
    let mut result = surface.agents.inbox(params).await.map_err(errors::agents)?;
    for message in &mut result.messages {
        name_machine(surface, message);
    }
    Ok(result)
}

/// `message.wait`
pub async fn wait(surface: &Surface, params: WaitParams) -> Result<WaitResult, RpcError> {
    let mut message = surface.agents.wait(params).await.map_err(errors::agents)?;
    if let Some(message) = &mut message {
        name_machine(surface, message);
    }
    Ok(WaitResult { message })
}

/// `message.mark_read`
pub async fn mark_read(surface: &Surface, params: MarkReadParams) -> Result<Empty, RpcError> {
    surface.agents.mark_read(params).await.map_err(errors::agents)?;
    Ok(Empty {})
}

/// `agent.list`
pub async fn agents(
    surface: &Surface,
    params: AgentListParams,
) -> Result<AgentListResult, RpcError> {
    let mut agents = surface.agents.list(params).await.map_err(errors::agents)?;
    for agent in &mut agents {
        agent.machine = surface.machine(agent.daemon_id);
    }
    Ok(AgentListResult { agents })
}

fn name_machine(surface: &Surface, message: &mut Message) {
    message.machine = surface.machine(message.origin_daemon);
}
