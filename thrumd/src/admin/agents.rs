//! Agents: who there is, and what they do.

use thrum_api::local::{
    AgentListParams, AgentListResult, AgentRegisterParams, AgentRegisterResult, AgentRemoveParams,
    AgentState,
};
use thrum_api::{Empty, RpcError};

use super::addresses::name_machine;
use super::{AdminContext, errors, status};
use crate::agents::{Contact, LISTED_MILLIS, contact};
use crate::clock;

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
        let own_before = context.identity.former.contains(&agent.daemon_id);
        agent.former = own_before || former.contains_key(&agent.daemon_id);
    }
    // A session that nobody can end any more: its machine is gone for good, or reached us over others.
    let month_ago = clock::now().as_millis() - LISTED_MILLIS;
    let is_near =
        |daemon| daemon == context.daemon || peers.iter().any(|(peer, _)| *peer == daemon);
    agents.retain(|agent| {
        let is_recent = agent.last_seen.as_millis() >= month_ago || is_near(agent.daemon_id);
        all || (!agent.former && is_recent)
    });
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
