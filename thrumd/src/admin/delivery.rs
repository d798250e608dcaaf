//! Delivery: how far messages got.

use thrum_api::RpcError;
use thrum_api::local::{
    MessageSentParams, MessageSentResult, MessageStatusParams, MessageStatusResult,
};

use super::{AdminContext, errors};

/// `message.status`
pub async fn status(
    _context: &AdminContext,
    _params: MessageStatusParams,
) -> Result<MessageStatusResult, RpcError> {
    Err(errors::not_built())
}

/// `message.sent`
pub async fn sent(
    _context: &AdminContext,
    _params: MessageSentParams,
) -> Result<MessageSentResult, RpcError> {
    Err(errors::not_built())
}
