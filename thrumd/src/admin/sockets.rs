//! Narrow sockets, for containers and sandboxes.

use thrum_api::local::{NarrowSocket, SocketAddParams, SocketListResult, SocketRemoveParams};
use thrum_api::{Empty, ErrorCode, RpcError};

use super::AdminContext;
use super::scope::Scope;

/// `socket.add`
pub async fn add(
    context: &AdminContext,
    params: SocketAddParams,
) -> Result<NarrowSocket, RpcError> {
    let scope = Scope::new(&params.project, params.agent.as_deref())
        .map_err(|error| RpcError::new(ErrorCode::INVALID_PARAMS, error.to_string()))?;
    context.sockets.add(scope, params.path.as_deref()).await
}

/// `socket.list`
pub async fn list(context: &AdminContext) -> Result<SocketListResult, RpcError> {
    Ok(SocketListResult { sockets: context.sockets.list().await })
}

/// `socket.remove`
pub async fn remove(context: &AdminContext, params: SocketRemoveParams) -> Result<Empty, RpcError> {
    context.sockets.remove(&params.path).await?;
    Ok(Empty {})
}
