use thrum_api::duration::format_duration;
use thrum_api::event::Route;
use thrum_api::local::{WaitParams, WaitResult};

use super::read_marks::{Reader, mark_printed, note_marked};
use super::{find, waiting};
use crate::cli::WaitArgs;
use crate::clock;
use crate::context::{Context, agent_address};
use crate::error::Error;
use crate::format::counted;
use crate::printer::Printer;
use crate::render::message::{INDENT, line};

/// `thrum wait`
pub async fn run(args: &WaitArgs, context: &mut Context<'_>) -> Result<(), Error> {
    let agent = context.agent()?;
    let project = if args.all_projects { None } else { Some(context.project()?) };
    let from = args.from.as_deref().map(agent_address).transpose()?;
    let mut client = context.daemon().await?;
    let params = WaitParams {
        agent: agent.clone(),
        project,
        from,
        thread: find::thread(&mut client, &agent, args.thread.as_ref(), context).await?,
        any: args.any,
        claim: args.claim,
        session: args.session.id(),
        limit: Some(args.limit),
        ..WaitParams::default()
    };
    let reader = Reader { agent, route: Route::Wait, session: args.session.id() };
    if context.printer.out_is_terminal() {
        let agent = &reader.agent;
        context.printer.note(&format!("Waiting for a message for {agent}; Ctrl-C ends it."));
    }
    loop {
        let waited = waiting::in_time(&mut client, &params, args.timeout, context).await?;
        let waited = waited.ok_or_else(|| none_came(args, &reader.agent))?;
        let printer = &mut *context.printer;
        let printed = print(&waited, args, printer);
        let marked = mark_printed(printed, printer, &mut client, &reader, &waited.messages).await?;
        if !args.follow {
            if waited.left > 0 {
                printer
                    .note(&format!("{} left: thrum wait", counted(waited.left, "unread message")));
            }
            note_marked(printer, marked, args.all_projects);
            return Ok(());
        }
    }
}

fn print(waited: &WaitResult, args: &WaitArgs, printer: &mut Printer) -> Result<(), Error> {
    if printer.json() {
        return printer.object(waited);
    }
    let now = clock::now();
    waited
        .messages
        .iter()
        .try_for_each(|message| printer.text(&line(message, now, args.all_projects), INDENT))
}

fn none_came(args: &WaitArgs, agent: &str) -> Error {
    let limit = format_duration(args.timeout.unwrap_or_default());
    Error::TimedOut { message: format!("no message for {agent} in {limit}") }
}
