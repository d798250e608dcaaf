//! Narrow sockets, for containers and sandboxes.

use thrum_api::local::{NarrowSocket, SocketAddParams, SocketListResult, SocketRemoveParams};
use thrum_api::{Empty, RpcError};

use super::{AdminContext, errors};

/// `socket.add`
pub async fn add(
    _context: &AdminContext,
    _params: SocketAddParams,
) -> Result<NarrowSocket, RpcError> {
    Err(errors::not_built())
}

/// `socket.list`
pub async fn list(_context: &AdminContext) -> Result<SocketListResult, RpcError> {
    Err(errors::not_built())
}

/// `socket.remove`
pub async fn remove(
    _context: &AdminContext,
    _params: SocketRemoveParams,
) -> Result<Empty, RpcError> {
    Err(errors::not_built())
}
