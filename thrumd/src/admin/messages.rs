//! Messages. The name of the machine is added wherever a daemon id stands.

use thrum_api::local::{
    InboxParams, InboxResult, MarkReadParams, MessageSendParams, MessageSendResult, WaitParams,
    WaitResult,
};
use thrum_api::{Empty, RpcError};

use super::addresses::{name_machines, resolve, resolve_recipients, shown};
use super::{AdminContext, delivery, errors};
use crate::agents::{AgentsError, LocalConnection};

/// `message.send`
pub async fn send(
    context: &AdminContext,
    mut params: MessageSendParams,
) -> Result<MessageSendResult, RpcError> {
    resolve_recipients(context, &mut params.to)?;
    let sent = context.agents.send(params).await;
    let mut result = sent.map_err(|error| errors::agents(with_machines(context, error)))?;
    for address in &mut result.unknown {
        *address = shown(context, address);
    }
    delivery::name_recipients(context, &mut result.recipients);
    Ok(result)
}

/// `message.inbox`
pub async fn inbox(
    context: &AdminContext,
    mut params: InboxParams,
) -> Result<InboxResult, RpcError> {
    params.from = params.from.map(|from| resolve(context, &from)).transpose()?;
    let mut result = context.agents.inbox(params).await.map_err(errors::agents)?;
    for message in &mut result.messages {
        name_machines(context, message);
    }
    Ok(result)
}

/// `message.wait`
pub async fn wait(
    context: &AdminContext,
    mut params: WaitParams,
    connection: &LocalConnection,
) -> Result<WaitResult, RpcError> {
    params.from = params.from.map(|from| resolve(context, &from)).transpose()?;
    let mut result = context.agents.wait_on(connection, params).await.map_err(errors::agents)?;
    for message in &mut result.messages {
        name_machines(context, message);
    }
    Ok(result)
}

/// `message.mark_read`
pub async fn mark_read(context: &AdminContext, params: MarkReadParams) -> Result<Empty, RpcError> {
    context.agents.mark_read(params).await.map_err(errors::agents)?;
    Ok(Empty {})
}

/// The error with addresses as people type them.
fn with_machines(context: &AdminContext, error: AgentsError) -> AgentsError {
    let AgentsError::UnknownRecipients { mut names, mut similar } = error else { return error };
    for address in names.iter_mut().chain(&mut similar) {
        *address = shown(context, address);
    }
    AgentsError::UnknownRecipients { names, similar }
}
