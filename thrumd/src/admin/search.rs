//! Search in messages.

use thrum_api::local::{MessageSearchParams, MessageSearchResult};
use thrum_api::{Address, ErrorCode, RpcError, names};

use super::{AdminContext, addresses, errors};
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
        addresses::name_machines(context, &mut hit.message);
    }
    Ok(result)
}

/// The sender that a person typed: `name`, or `name@machine`.
fn sender(context: &AdminContext, typed: &str) -> Result<Sender, RpcError> {
    // The sender of a message is no group.
    let typed = typed.strip_prefix('@').unwrap_or(typed);
    let invalid = |why: String| RpcError::new(ErrorCode::INVALID_PARAMS, why);
    match addresses::resolve(context, typed)?.parse() {
        Ok(Address::Agent { name, daemon }) => Ok(Sender { name, daemon }),
        Ok(Address::Group(name)) => Err(invalid(format!("{name:?} is no agent"))),
        Err(error) => Err(invalid(error.to_string())),
    }
}
