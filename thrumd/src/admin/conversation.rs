//! Conversations: one message, its thread, and deleting it.

use thrum_api::local::{
    MessageDeleteParams, MessageFindParams, MessageFindResult, MessageShowParams,
    MessageShowResult, MessageStatusParams, MessageThreadParams, MessageThreadResult,
};
use thrum_api::{Empty, RpcError};

use super::addresses::name_machines;
use super::{AdminContext, delivery, errors};

/// `message.find`
pub async fn find(
    context: &AdminContext,
    params: MessageFindParams,
) -> Result<MessageFindResult, RpcError> {
    let mut message = context.agents.find(params).await.map_err(errors::agents)?;
    name_machines(context, &mut message);
    Ok(MessageFindResult { message })
}

/// `message.show`
pub async fn show(
    context: &AdminContext,
    params: MessageShowParams,
) -> Result<MessageShowResult, RpcError> {
    let mut result = context.agents.show(params).await.map_err(errors::agents)?;
    if result.message.origin_daemon == context.daemon {
        let message = result.message.event();
        result.status =
            Some(delivery::status(context, MessageStatusParams { message, wait_ms: None }).await?);
    }
    name_machines(context, &mut result.message);
    Ok(result)
}

/// `message.thread`
pub async fn thread(
    context: &AdminContext,
    params: MessageThreadParams,
) -> Result<MessageThreadResult, RpcError> {
    let mut result = context.agents.thread(params).await.map_err(errors::agents)?;
    for message in &mut result.messages {
        name_machines(context, message);
    }
    Ok(result)
}

/// `message.delete`
pub async fn delete(
    context: &AdminContext,
    params: MessageDeleteParams,
) -> Result<Empty, RpcError> {
    context.agents.delete(params).await.map_err(errors::agents)?;
    Ok(Empty {})
}
