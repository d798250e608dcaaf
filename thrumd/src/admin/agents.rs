//! Agents: who there is, and what they do.

use thrum_api::local::{
    AgentListParams, AgentListResult, AgentRegisterParams, AgentRegisterResult, AgentRemoveParams,
    AgentState,
};
use thrum_api::{Empty, RpcError};

use super::addresses::name_machine;
use super::{AdminContext, errors, status};
use crate::agents::{Contact, contact};

/// `agent.list`
pub async fn list(
    context: &AdminContext,
    params: AgentListParams,
) -> Result<AgentListResult, RpcError> {
    let all = params.all;
    let mut agents = context.agents.list(params).await.map_err(errors::agents)?;
    let former = context.registry.former();
    let silent = status::silent(context).await;
    let peers = context.registry.all();
    let peers: Vec<_> =
        peers.iter().map(|peer| (peer.daemon_id, silent.get(&peer.daemon_id).copied())).collect();
    for agent in &mut agents {
        // Also one that was told to be gone: whether it began again, nobody here knows.
        if agent.daemon_id != context.daemon
            && let Contact::Cut { since } = contact(agent.daemon_id, peers.iter().copied())
        {
            agent.state = AgentState::Unreachable;
            agent.since = since.unwrap_or(agent.since);
        }
        name_machine(context, agent);
        agent.former = former.contains_key(&agent.daemon_id);
    }
    agents.retain(|agent| all || !agent.former);
    Ok(AgentListResult { agents })
}

/// `agent.register`
pub async fn register(
    context: &AdminContext,
    params: AgentRegisterParams,
) -> Result<AgentRegisterResult, RpcError> {
    let (mut agent, others) = context.agents.register(params).await.map_err(errors::agents)?;
    name_machine(context, &mut agent);
    let former = context.registry.former();
    let others = others.into_iter().filter(|daemon| !former.contains_key(daemon));
    let name = |daemon| context.machine(daemon).unwrap_or_else(|| daemon.to_string());
    Ok(AgentRegisterResult { agent, also_on: others.map(name).collect() })
}

/// `agent.remove`
pub async fn remove(context: &AdminContext, params: AgentRemoveParams) -> Result<Empty, RpcError> {
    context.agents.remove(params).await.map_err(errors::agents)?;
    Ok(Empty {})
}
