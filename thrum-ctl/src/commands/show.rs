use thrum_api::event::Route;
use thrum_api::local::{MessageShow, MessageShowParams};

use super::find;
use super::read_marks::{Reader, mark_printed};
use crate::cli::ShowArgs;
use crate::clock;
use crate::context::Context;
use crate::error::Error;
use crate::render::message::{INDENT, whole};
use crate::render::sent;

/// `thrum show`
pub async fn run(args: &ShowArgs, context: &mut Context<'_>) -> Result<(), Error> {
    let agent = context.agent()?;
    let mut client = context.daemon().await?;
    let found = find::message(&mut client, &agent, &args.message, context).await?;
    let params = MessageShowParams { agent: agent.clone(), message: found.event() };
    let shown = client.call::<MessageShow>(&params).await?;
    let printer = &mut *context.printer;
    let printed = if printer.json() {
        printer.object(&shown)
    } else {
        let now = clock::now();
        let mut lines = whole(&shown.message, shown.replies, now);
        if let Some(status) = shown.status.as_ref().filter(|status| status.total > 0) {
            lines.push(String::new());
            lines.extend(sent::delivery(status, now));
        }
        lines.iter().try_for_each(|line| printer.text(line, INDENT))
    };
    if args.peek || shown.message.from == agent {
        return printed;
    }
    let reader = Reader { agent, route: Route::Inbox, session: args.session.id() };
    let messages = [shown.message];
    mark_printed(printed, printer, &mut client, &reader, &messages).await.map(|_| ())
}
