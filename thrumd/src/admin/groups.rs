//! Groups of agents.

use thrum_api::RpcError;
use thrum_api::local::{Group, GroupChangeParams, GroupListParams, GroupListResult};

use super::{AdminContext, errors};

/// `group.change`
pub async fn change(
    _context: &AdminContext,
    _params: GroupChangeParams,
) -> Result<Group, RpcError> {
    Err(errors::not_built())
}

/// `group.list`
pub async fn list(
    _context: &AdminContext,
    _params: GroupListParams,
) -> Result<GroupListResult, RpcError> {
    Err(errors::not_built())
}
