use thrum_api::local::{
    MessageSent, MessageSentParams, MessageSentResult, MessageStatus, MessageStatusParams,
};

use super::find;
use crate::cli::SentArgs;
use crate::clock;
use crate::context::Context;
use crate::error::Error;
use crate::format::message_id;
use crate::render::message::INDENT;
use crate::render::sent;

/// `thrum sent`
pub async fn run(args: &SentArgs, context: &mut Context<'_>) -> Result<(), Error> {
    let agent = context.agent()?;
    match &args.message {
        Some(id) => one(&agent, id, context).await,
        None => list(args, agent, context).await,
    }
}

async fn one(agent: &str, id: &str, context: &mut Context<'_>) -> Result<(), Error> {
    let mut client = context.daemon().await?;
    let message = find::message(&mut client, agent, id, context).await?.event();
    let status =
        client.call::<MessageStatus>(&MessageStatusParams { message, wait_ms: None }).await?;
    let printer = &mut *context.printer;
    if printer.json() {
        return printer.object(&status);
    }
    printer.pages(&sent::details(&status, clock::now()), INDENT)
}

async fn list(args: &SentArgs, agent: String, context: &mut Context<'_>) -> Result<(), Error> {
    let params = MessageSentParams {
        agent,
        project: context.project()?,
        before: args.before,
        limit: Some(args.limit),
    };
    let result = context.daemon().await?.call::<MessageSent>(&params).await?;
    let printer = &mut *context.printer;
    if printer.json() {
        return printer.object(&result);
    }
    let MessageSentResult { messages } = &result;
    if printer.quiet() {
        let mut ids = messages.iter().map(|message| message_id(message.message.event_id));
        return ids.try_for_each(|id| printer.line(&id));
    }
    if messages.is_empty() {
        printer.note(&format!("{} has sent nothing here.", params.agent));
        return Ok(());
    }
    printer.pages(&sent::lines(messages, clock::now(), printer.columns()), INDENT)?;
    let is_full = messages.len() == usize::try_from(args.limit).unwrap_or(usize::MAX);
    if let Some(last) = messages.last().filter(|_| is_full) {
        printer.note(&format!("Earlier ones: thrum sent --before {}", last.sequence));
    }
    Ok(())
}
