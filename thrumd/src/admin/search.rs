//! Search in messages.

use thrum_api::RpcError;
use thrum_api::local::{MessageSearchParams, MessageSearchResult};

use super::{AdminContext, errors};

/// `message.search`
pub async fn search(
    _context: &AdminContext,
    _params: MessageSearchParams,
) -> Result<MessageSearchResult, RpcError> {
    Err(errors::not_built())
}
