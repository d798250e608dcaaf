use std::time::Duration;

use thrum_api::duration::format_duration;
use thrum_api::local::{MessageWait, WaitParams, WaitResult};
use tokio::time::{Instant, sleep, timeout};

use super::inbox::{INDENT, line};
use super::read_marks::{mark_printed, note_marked};
use super::reconnect::reconnect;
use crate::cli::WaitArgs;
use crate::client::Client;
use crate::clock;
use crate::context::Context;
use crate::error::Error;
use crate::format::counted;
use crate::printer::Printer;

/// How long one call waits before the next one is made. thrumd allows up to an hour.
const CALL_TIMEOUT: Duration = Duration::from_secs(10 * 60);
/// How long to wait after an answer that came early and empty, so that a broken daemon is not asked all the time.
const EARLY_PAUSE: Duration = Duration::from_millis(250);
/// Minimum time for an answer, also with a shorter `--timeout`.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(1);

/// `thrum wait`
pub async fn run(args: &WaitArgs, context: &mut Context<'_>) -> Result<(), Error> {
    let agent = context.agent()?;
    let project = if args.all_projects { None } else { Some(context.project()?) };
    let mut client = context.daemon().await?;
    if context.printer.out_is_terminal() {
        context.printer.note(&format!("Waiting for a message for {agent}; Ctrl-C ends it."));
    }
    loop {
        let waited = in_time(&mut client, &agent, project.as_deref(), args, context).await?;
        let printer = &mut *context.printer;
        let printed = print(&waited, args, printer);
        let marked = mark_printed(printed, printer, &mut client, &agent, &waited.messages).await?;
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

/// The oldest unread messages. The time limit holds also if the daemon does not answer or has ended.
async fn in_time(
    client: &mut Client,
    agent: &str,
    project: Option<&str>,
    args: &WaitArgs,
    context: &mut Context<'_>,
) -> Result<WaitResult, Error> {
    let waiting = next(client, agent, project, args, context);
    let Some(limit) = args.timeout else { return waiting.await };
    let ended = timeout(limit.max(ANSWER_TIMEOUT), waiting).await;
    ended.unwrap_or_else(|_| Err(none_came(agent, limit)))
}

fn none_came(agent: &str, limit: Duration) -> Error {
    Error::TimedOut { message: format!("no message for {agent} in {}", format_duration(limit)) }
}

async fn next(
    client: &mut Client,
    agent: &str,
    project: Option<&str>,
    args: &WaitArgs,
    context: &mut Context<'_>,
) -> Result<WaitResult, Error> {
    let begin = Instant::now();
    loop {
        let left = match args.timeout {
            Some(timeout) => timeout.saturating_sub(begin.elapsed()),
            None => CALL_TIMEOUT,
        };
        let params = WaitParams {
            agent: agent.to_owned(),
            project: project.map(str::to_owned),
            timeout_ms: millis(left.min(CALL_TIMEOUT)),
            limit: Some(args.limit),
            ..WaitParams::default()
        };
        match client.call::<MessageWait>(&params).await {
            Ok(result) => {
                if !result.messages.is_empty() {
                    return Ok(result);
                }
                if let Some(limit) = args.timeout.filter(|limit| begin.elapsed() >= *limit) {
                    return Err(none_came(agent, limit));
                }
                sleep(EARLY_PAUSE.min(left)).await;
            }
            Err(error) if error.may_pass() => {
                *client = reconnect(context, error).await?;
            }
            Err(error) => return Err(error),
        }
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
