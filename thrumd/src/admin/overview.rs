//! Messages of whole projects, for pages and dashboards. The name of the machine is added wherever a daemon id stands.

use thrum_api::RpcError;
use thrum_api::local::{
    ConversationListParams, ConversationListResult, DeliverySummary, ListedMessage,
    MessageDeliveriesParams, MessageDeliveriesResult, MessageListParams, MessageListResult,
};

use super::addresses::name_machines;
use super::{AdminContext, delivery, errors};

/// `message.list`
pub async fn messages(
    context: &AdminContext,
    params: MessageListParams,
) -> Result<MessageListResult, RpcError> {
    let mut result = context.agents.message_list(params).await.map_err(errors::agents)?;
    for listed in &mut result.messages {
        name_in_listed(context, listed);
    }
    Ok(result)
}

/// `message.deliveries`
pub async fn deliveries(
    context: &AdminContext,
    params: MessageDeliveriesParams,
) -> Result<MessageDeliveriesResult, RpcError> {
    let mut result = context.agents.message_deliveries(params).await.map_err(errors::agents)?;
    for it in &mut result.deliveries {
        name_in_summary(context, &mut it.delivery);
    }
    Ok(result)
}

/// `conversation.list`
pub async fn conversations(
    context: &AdminContext,
    params: ConversationListParams,
) -> Result<ConversationListResult, RpcError> {
    let mut result = context.agents.conversation_list(params).await.map_err(errors::agents)?;
    for conversation in &mut result.conversations {
        if let Some(first) = &mut conversation.first {
            name_machines(context, first);
        }
        name_in_listed(context, &mut conversation.last);
    }
    Ok(result)
}

fn name_in_listed(context: &AdminContext, listed: &mut ListedMessage) {
    name_machines(context, &mut listed.message);
    name_in_summary(context, &mut listed.delivery);
}

fn name_in_summary(context: &AdminContext, summary: &mut DeliverySummary) {
    delivery::name_recipients(context, summary.least.as_mut_slice());
}
