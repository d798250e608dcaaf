use thrum_api::local::{MessageDelete, MessageDeleteParams};

use super::find;
use crate::cli::DeleteArgs;
use crate::context::Context;
use crate::error::Error;
use crate::format::message_id;

/// `thrum delete`
pub async fn run(args: &DeleteArgs, context: &mut Context<'_>) -> Result<(), Error> {
    let agent = context.agent()?;
    let mut client = context.daemon().await?;
    let found = find::message(&mut client, &agent, &args.message, context).await?;
    let params = MessageDeleteParams { agent, message: found.event() };
    client.call_again::<MessageDelete>(&params).await?;
    let text = format!(
        "Deleted {}; the event stays in the log, on every machine.",
        message_id(found.event_id)
    );
    context.printer.done(&params.message, &text)
}
