use serde::Serialize;
use thrum_api::event::{EventRef, Route};
use thrum_api::local::{Message, MessageRef};

use super::find;
use super::read_marks::Reader;
use crate::cli::ReadArgs;
use crate::context::Context;
use crate::error::Error;
use crate::format::counted;

#[derive(Serialize)]
struct Marked {
    messages: Vec<EventRef>,
}

/// `thrum read`
pub async fn run(args: &ReadArgs, context: &mut Context<'_>) -> Result<(), Error> {
    let agent = context.agent()?;
    let mut client = context.daemon().await?;
    let mut found = Vec::new();
    for id in &args.messages {
        found.push(find::message(&mut client, &agent, id, context).await?);
    }
    let reader = Reader { agent, route: Route::Inbox, session: args.session.id() };
    reader.mark(&mut client, found.iter().map(MessageRef::from).collect()).await?;
    let marked = Marked { messages: found.iter().map(Message::event).collect() };
    let text = format!("Marked {} as read.", counted(found.len(), "message"));
    context.printer.done(&marked, &text)
}
