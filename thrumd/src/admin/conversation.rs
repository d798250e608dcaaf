//! Conversations: one message, its thread, and deleting it.

use thrum_api::local::{
    MessageDeleteParams, MessageFindParams, MessageFindResult, MessageShowParams,
    MessageShowResult, MessageThreadParams, MessageThreadResult,
};
use thrum_api::{Empty, RpcError};

use super::{AdminContext, errors};

/// `message.find`
pub async fn find(
    _context: &AdminContext,
    _params: MessageFindParams,
) -> Result<MessageFindResult, RpcError> {
    Err(errors::not_built())
}

/// `message.show`
pub async fn show(
    _context: &AdminContext,
    _params: MessageShowParams,
) -> Result<MessageShowResult, RpcError> {
    Err(errors::not_built())
}

/// `message.thread`
pub async fn thread(
    _context: &AdminContext,
    _params: MessageThreadParams,
) -> Result<MessageThreadResult, RpcError> {
    Err(errors::not_built())
}

/// `message.delete`
pub async fn delete(
    _context: &AdminContext,
    _params: MessageDeleteParams,
) -> Result<Empty, RpcError> {
    Err(errors::not_built())
}
