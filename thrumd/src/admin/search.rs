//! Search in messages.

use thrum_api::local::{MessageSearchParams, MessageSearchResult};
use thrum_api::{DaemonId, ErrorCode, RpcError, names};

use super::{AdminContext, errors};
use crate::agents::{SearchQuery, Sender};

/// `message.search`
pub async fn search(
    context: &AdminContext,
    params: MessageSearchParams,
) -> Result<MessageSearchResult, RpcError> {
    let invalid =
        |error: names::NameError| RpcError::new(ErrorCode::INVALID_PARAMS, error.to_string());
    let query = SearchQuery {
        words: params.words,
        project: params.project.as_deref().map(names::project).transpose().map_err(invalid)?,
        from: params.from.map(|from| sender(context, &from)).transpose()?,
        since: params.since,
        before: params.before,
        limit: params.limit,
    };
    let mut result = context.search.search(query).await.map_err(errors::search)?;
    for hit in &mut result.hits {
        hit.message.machine = context.machine(hit.message.origin_daemon);
    }
    Ok(result)
}

/// The sender that a person typed: `name`, or `name@machine`.
fn sender(context: &AdminContext, typed: &str) -> Result<Sender, RpcError> {
    let typed = typed.strip_prefix('@').unwrap_or(typed);
    let (name, machine) = match typed.split_once('@') {
        Some((name, machine)) => (name, Some(machine)),
        None => (typed, None),
    };
    let name = names::agent(name)
        .map_err(|error| RpcError::new(ErrorCode::INVALID_PARAMS, error.to_string()))?;
    Ok(Sender { name, daemon: machine.map(|machine| daemon(context, machine)).transpose()? })
}

fn daemon(context: &AdminContext, typed: &str) -> Result<DaemonId, RpcError> {
    match typed.parse() {
        Ok(daemon) => Ok(daemon),
        Err(_) if *typed == *context.name => Ok(context.daemon),
        Err(_) => context.find(typed).map(|peer| peer.daemon_id),
    }
}
