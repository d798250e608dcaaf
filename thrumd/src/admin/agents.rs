//! Agents: who there is, and what they do.

use thrum_api::local::{
    AgentListParams, AgentListResult, AgentRegisterParams, AgentRegisterResult, AgentRemoveParams,
};
use thrum_api::{Empty, RpcError};

use super::{AdminContext, errors};

/// `agent.list`
pub async fn list(
    context: &AdminContext,
    params: AgentListParams,
) -> Result<AgentListResult, RpcError> {
    let all = params.all;
    let mut agents = context.agents.list(params).await.map_err(errors::agents)?;
    let former = context.registry.former();
    for agent in &mut agents {
        agent.machine = context.machine(agent.daemon_id);
        agent.former = former.contains_key(&agent.daemon_id);
    }
    agents.retain(|agent| all || !agent.former);
    Ok(AgentListResult { agents })
}

/// `agent.register`
pub async fn register(
    _context: &AdminContext,
    _params: AgentRegisterParams,
) -> Result<AgentRegisterResult, RpcError> {
    Err(errors::not_built())
}

/// `agent.remove`
pub async fn remove(
    _context: &AdminContext,
    _params: AgentRemoveParams,
) -> Result<Empty, RpcError> {
    Err(errors::not_built())
}
