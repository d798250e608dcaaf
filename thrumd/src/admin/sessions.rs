//! Sessions: what programs say of themselves.

use thrum_api::local::{SessionEndParams, SessionResult, SessionStartParams, SessionUpdateParams};
use thrum_api::{Empty, RpcError};

use super::{AdminContext, errors};
use crate::agents::LocalConnection;

/// `session.start`
pub async fn start(
    context: &AdminContext,
    params: SessionStartParams,
    connection: &LocalConnection,
) -> Result<SessionResult, RpcError> {
    context.agents.session_start(params, connection).await.map_err(errors::agents)
}

/// `session.update`
pub async fn update(
    context: &AdminContext,
    params: SessionUpdateParams,
) -> Result<SessionResult, RpcError> {
    context.agents.session_update(&params).map_err(errors::agents)
}

/// `session.end`
pub async fn end(context: &AdminContext, params: SessionEndParams) -> Result<Empty, RpcError> {
    context.agents.session_end(&params).map_err(errors::agents)?;
    Ok(Empty {})
}
