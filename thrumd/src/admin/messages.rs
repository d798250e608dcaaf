//! Messages. The name of the machine is added wherever a daemon id stands.

use thrum_api::local::{
    InboxParams, InboxResult, MarkReadParams, Message, MessageSendParams, MessageSendResult,
    WaitParams, WaitResult,
};
use thrum_api::{Empty, RpcError};

use super::{AdminContext, errors};

/// `message.send`
pub async fn send(
    context: &AdminContext,
    params: MessageSendParams,
) -> Result<MessageSendResult, RpcError> {
    context.agents.send(params).await.map_err(errors::agents)
}

/// `message.inbox`
pub async fn inbox(context: &AdminContext, params: InboxParams) -> Result<InboxResult, RpcError> {
    let mut result = context.agents.inbox(params).await.map_err(errors::agents)?;
    for message in &mut result.messages {
        name_machine(context, message);
    }
    Ok(result)
}

/// `message.wait`
pub async fn wait(context: &AdminContext, params: WaitParams) -> Result<WaitResult, RpcError> {
    let mut result = context.agents.wait(params).await.map_err(errors::agents)?;
    for message in &mut result.messages {
        name_machine(context, message);
    }
    Ok(result)
}

/// `message.mark_read`
pub async fn mark_read(context: &AdminContext, params: MarkReadParams) -> Result<Empty, RpcError> {
    context.agents.mark_read(params).await.map_err(errors::agents)?;
    Ok(Empty {})
}

fn name_machine(context: &AdminContext, message: &mut Message) {
    message.machine = context.machine(message.origin_daemon);
}
