use thrum_api::event::Route;
use thrum_api::local::{Message, MessageThread, MessageThreadParams, MessageThreadResult};

use super::find;
use super::read_marks::{Reader, mark_printed};
use crate::cli::ThreadArgs;
use crate::client::Client;
use crate::clock;
use crate::context::Context;
use crate::error::Error;
use crate::format::{counted, message_id};
use crate::render::message::{INDENT, line};

/// Most messages that are asked for at once.
const PAGE: u32 = 200;

/// `thrum thread`
pub async fn run(args: &ThreadArgs, context: &mut Context<'_>) -> Result<(), Error> {
    let agent = context.agent()?;
    let mut client = context.daemon().await?;
    let message = find::message(&mut client, &agent, &args.message, context).await?;
    let params = MessageThreadParams {
        agent: agent.clone(),
        message: message.event(),
        after: args.after,
        limit: None,
    };
    let thread = read(&mut client, params, args.limit).await?;
    let printer = &mut *context.printer;
    let printed = if printer.json() {
        printer.object(&thread)
    } else {
        let now = clock::now();
        let lines: Vec<_> = thread.messages.iter().map(|it| line(it, now, false)).collect();
        printer.pages(&lines, INDENT)
    };
    if thread.left > 0 {
        let left = counted(thread.left, "message");
        let next = thread.messages.last().map_or(0, |last| last.sequence.0);
        let id = message_id(thread.thread.event_id);
        printer.note(&format!("{left} left: thrum thread {id} --after {next}"));
    }
    if args.peek {
        return printed;
    }
    let reader = Reader { agent, route: Route::Inbox, session: args.session.id() };
    let own = |it: &&Message| it.from != reader.agent;
    let others: Vec<Message> = thread.messages.iter().filter(own).cloned().collect();
    mark_printed(printed, printer, &mut client, &reader, &others).await.map(|_| ())
}

/// The messages of a conversation, page by page, as many as are wanted.
async fn read(
    client: &mut Client,
    mut params: MessageThreadParams,
    wanted: u32,
) -> Result<MessageThreadResult, Error> {
    params.limit = Some(wanted.min(PAGE));
    let mut thread = client.call::<MessageThread>(&params).await?;
    loop {
        let got = u32::try_from(thread.messages.len()).unwrap_or(u32::MAX);
        let last = thread.messages.last().map(|message| message.sequence);
        // A page that does not go on would be asked for again for ever.
        if thread.left == 0 || got >= wanted || last <= params.after {
            return Ok(thread);
        }
        params.after = last;
        params.limit = Some((wanted - got).min(PAGE));
        let page = client.call::<MessageThread>(&params).await?;
        thread.messages.extend(page.messages);
        thread.left = page.left;
    }
}
