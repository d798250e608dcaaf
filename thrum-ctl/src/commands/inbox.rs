use std::time::Duration;

use thrum_api::event::Route;
use thrum_api::local::{InboxParams, InboxResult, MessageInbox};
use tokio::time::timeout;

use super::find;
use super::read_marks::{Reader, mark_printed, note_marked};
use super::watching::Watch;
use crate::cli::InboxArgs;
use crate::clock;
use crate::context::{Context, agent_address};
use crate::error::{Error, Kind};
use crate::format::counted;
use crate::interrupt::or_interrupted;
use crate::printer::{Printer, while_read};
use crate::render::message::{INDENT, line};

/// Limit for `--count -q`, which a shell prompt waits for.
const PROMPT_TIMEOUT: Duration = Duration::from_millis(500);

/// `thrum inbox`
pub async fn run(args: &InboxArgs, context: &mut Context<'_>) -> Result<(), Error> {
    let agent = context.agent()?;
    let project = if args.all_projects { None } else { Some(context.project()?) };
    let mut params = InboxParams {
        agent: agent.clone(),
        project,
        unread_only: args.unread,
        read_only: args.read,
        from: args.from.as_deref().map(agent_address).transpose()?,
        since: args.since.map(|since| since.at(clock::now())),
        limit: Some(args.limit),
        ..InboxParams::default()
    };
    if args.count {
        params.limit = Some(1);
        return count(&params, context).await;
    }
    let mut client = context.daemon().await?;
    params.thread = find::thread(&mut client, &agent, args.thread.as_ref(), context).await?;
    if args.watch {
        return watch(args, params, context).await;
    }
    let inbox = client.call::<MessageInbox>(&params).await?;
    let printer = &mut *context.printer;
    let printed = print(&inbox, &params, args, printer);
    if args.peek {
        return printed;
    }
    let reader = Reader { agent, route: Route::Inbox, session: args.session.id() };
    let marked = mark_printed(printed, printer, &mut client, &reader, &inbox.messages).await?;
    note_marked(printer, marked, args.all_projects);
    Ok(())
}

/// Shows the inbox again whenever something changes.
async fn watch(
    args: &InboxArgs,
    params: InboxParams,
    context: &mut Context<'_>,
) -> Result<(), Error> {
    let mut watch = Watch::new(params.project.clone());
    or_interrupted(while_read(async {
        loop {
            let asked = async { context.daemon().await?.call::<MessageInbox>(&params).await };
            let inbox = asked.await;
            let lines = |inbox: &InboxResult| {
                let now = clock::now();
                let messages = inbox.messages.iter();
                let lines = messages.map(|message| line(message, now, args.all_projects));
                let more = unread_more(inbox).filter(|_| !is_narrowed(&params));
                lines.chain(more.map(|more| format!("{more} more: thrum inbox"))).collect()
            };
            watch.show(inbox, lines, INDENT, context.printer)?;
            watch.changed(context).await;
        }
    }))
    .await
}

fn print(
    inbox: &InboxResult,
    params: &InboxParams,
    args: &InboxArgs,
    printer: &mut Printer,
) -> Result<(), Error> {
    if printer.json() {
        return printer.object(inbox);
    }
    let now = clock::now();
    let messages = inbox.messages.iter();
    let lines: Vec<_> = messages.map(|message| line(message, now, args.all_projects)).collect();
    // Not with a pager: nobody knows what that has shown, and what was shown is marked as read.
    lines.iter().try_for_each(|line| printer.text(line, INDENT))?;
    let narrowed = is_narrowed(params);
    if inbox.messages.is_empty() && narrowed {
        printer.note(&format!("No such messages for {}.", params.agent));
    } else if let Some(more) = unread_more(inbox).filter(|_| !narrowed) {
        printer.note(&format!("{more} left: thrum inbox"));
    } else if inbox.messages.is_empty() {
        printer.note(&format!("No messages for {}.", params.agent));
    }
    if inbox.unread_elsewhere > 0 {
        let others = counted(inbox.unread_elsewhere, "unread message");
        printer.note(&format!("{others} in other projects: thrum inbox --all-projects"));
    }
    Ok(())
}

/// Whether not every message of the inbox is wanted.
const fn is_narrowed(params: &InboxParams) -> bool {
    params.from.is_some() || params.since.is_some() || params.thread.is_some()
}

/// The unread messages that are not shown.
fn unread_more(inbox: &InboxResult) -> Option<String> {
    let shown = inbox.messages.iter().filter(|message| !message.read).count();
    let more = inbox.unread.saturating_sub(u64::try_from(shown).unwrap_or(u64::MAX));
    (more > 0).then(|| counted(more, "unread message"))
}

/// Prints the number of unread messages. With `--quiet`, for shell prompts, errors print nothing.
async fn count(params: &InboxParams, context: &mut Context<'_>) -> Result<(), Error> {
    let asking = async { context.daemon().await?.call::<MessageInbox>(params).await };
    let counted = if context.printer.quiet() {
        let Ok(counted) = timeout(PROMPT_TIMEOUT, asking).await else { return Ok(()) };
        counted
    } else {
        asking.await
    };
    match counted {
        Ok(inbox) if context.printer.json() => context.printer.object(&serde_json::json!({
            "unread": inbox.unread,
            "unread_elsewhere": inbox.unread_elsewhere,
        })),
        Ok(inbox) => context.printer.line(&inbox.unread.to_string()),
        Err(error)
            if context.printer.quiet()
                && matches!(error.kind(), Kind::Unreachable | Kind::NotPermitted) =>
        {
            Ok(())
        }
        Err(error) => Err(error),
    }
}
