//! Sessions: what the tools of agents do.

use thrum_api::local::{SessionEndParams, SessionResult, SessionStartParams, SessionUpdateParams};
use thrum_api::{Empty, RpcError};

use super::{AdminContext, errors};

/// `session.start`
pub async fn start(
    _context: &AdminContext,
    _params: SessionStartParams,
) -> Result<SessionResult, RpcError> {
    Err(errors::not_built())
}

/// `session.update`
pub async fn update(
    _context: &AdminContext,
    _params: SessionUpdateParams,
) -> Result<SessionResult, RpcError> {
    Err(errors::not_built())
}

/// `session.end`
pub async fn end(_context: &AdminContext, _params: SessionEndParams) -> Result<Empty, RpcError> {
    Err(errors::not_built())
}
