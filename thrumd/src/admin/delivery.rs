//! Delivery: how far messages got. The name of the machine is added wherever a daemon id stands.

use std::time::Duration;

use thrum_api::RpcError;
use thrum_api::local::{
    MessageSentParams, MessageSentResult, MessageStatusParams, MessageStatusResult, RecipientStatus,
};

use super::addresses::shown;
use super::{AdminContext, errors};
use crate::agents::Delivery;

/// How long one call waits at most.
const WAIT_MAX: Duration = Duration::from_secs(10);

/// `message.status`
pub async fn status(
    context: &AdminContext,
    params: MessageStatusParams,
) -> Result<MessageStatusResult, RpcError> {
    let look = || async { context.agents.delivery(params.message).await.map_err(errors::agents) };
    let mut delivery = look().await?;
    if let Some(wait) = params.wait_ms.map(Duration::from_millis)
        && wait_for_peers(context, &delivery, wait.min(WAIT_MAX)).await
    {
        delivery = look().await?;
    }
    let mut status = delivery.status;
    name_machines(context, &mut status);
    Ok(status)
}

/// `message.sent`
pub async fn sent(
    context: &AdminContext,
    params: MessageSentParams,
) -> Result<MessageSentResult, RpcError> {
    let mut result = context.agents.sent(params).await.map_err(errors::agents)?;
    for status in &mut result.messages {
        name_machines(context, status);
    }
    Ok(result)
}

/// Waits until every peer that a message is for and that can be reached has it. Answers whether there was any to wait
/// for.
async fn wait_for_peers(context: &AdminContext, delivery: &Delivery, limit: Duration) -> bool {
    let Some(network) = context.network.available() else { return false };
    if delivery.under_way.is_empty() {
        return false;
    }
    let reached = network.sync().reached(&delivery.under_way, delivery.status.sequence);
    tokio::select! {
        () = reached => {}
        () = tokio::time::sleep(limit) => {}
        () = context.stop.cancelled() => {}
    }
    true
}

fn name_machines(context: &AdminContext, status: &mut MessageStatusResult) {
    for address in &mut status.to {
        *address = shown(context, address);
    }
    name_recipients(context, &mut status.recipients);
}

/// Adds the names of machines.
pub(super) fn name_recipients(context: &AdminContext, recipients: &mut [RecipientStatus]) {
    for recipient in recipients {
        recipient.machine = recipient.daemon_id.and_then(|daemon| context.machine(daemon));
    }
}
