use thrum_api::local::MessageSendParams;

use super::{find, writing};
use crate::cli::{ReplyArgs, WritingArgs};
use crate::context::Context;
use crate::error::Error;
use crate::message_ids::new_id;

/// `thrum reply`
pub async fn run(args: ReplyArgs, context: &mut Context<'_>) -> Result<(), Error> {
    let from = context.agent()?;
    let text = writing::text(args.text, "thrum reply ID \"MESSAGE\"")?;
    let mut client = context.daemon().await?;
    let parent = find::message(&mut client, &from, &args.message, context).await?;
    let WritingArgs { urgent, wait_reply, id } = args.writing;
    // Without recipients it goes to the sender of the other one.
    let params = MessageSendParams {
        from,
        text,
        reply_to: Some(parent.event()),
        project: match parent.project {
            Some(project) => project,
            None => context.project()?,
        },
        event_id: Some(id.unwrap_or_else(new_id)),
        urgent,
        ..MessageSendParams::default()
    };
    writing::send(&mut client, &params, wait_reply, context).await
}
