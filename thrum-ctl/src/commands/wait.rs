use std::time::Duration;

use thrum_api::duration::format_duration;
use thrum_api::local::{Message, MessageWait, WaitParams};
use tokio::time::{Instant, sleep, timeout};

use super::inbox::{INDENT, line, mark_read};
use crate::cli::WaitArgs;
use crate::client::Client;
use crate::clock;
use crate::context::Context;
use crate::error::{Error, Kind};

/// How long one call waits before the next one is made. thrumd allows up to an hour.
const CALL_TIMEOUT: Duration = Duration::from_secs(10 * 60);
/// How long to wait for a daemon that restarts.
const RESTART_TIMEOUT: Duration = Duration::from_secs(30);
const RECONNECT_INTERVAL: Duration = Duration::from_millis(250);
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
        let message = in_time(&mut client, &agent, project.as_deref(), args, context).await?;
        if context.printer.json() {
            context.printer.object(&serde_json::json!({ "message": &message }))?;
        } else {
            context.printer.text(&line(&message, clock::now(), project.is_none()), INDENT)?;
        }
        // After printing: a message that could not be printed must be delivered again.
        mark_read(&mut client, &agent, std::slice::from_ref(&message)).await?;
        if !args.follow {
            return Ok(());
        }
    }
}

/// The oldest unread message. The time limit holds also if the daemon does not answer or has ended.
async fn in_time(
    client: &mut Client,
    agent: &str,
    project: Option<&str>,
    args: &WaitArgs,
    context: &mut Context<'_>,
) -> Result<Message, Error> {
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
) -> Result<Message, Error> {
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
        };
        match client.call::<MessageWait>(&params).await {
            Ok(result) => {
                if let Some(message) = result.message {
                    return Ok(message);
                }
                if let Some(limit) = args.timeout.filter(|limit| begin.elapsed() >= *limit) {
                    return Err(none_came(agent, limit));
                }
            }
            Err(error) if error.kind() == Kind::Unreachable => {
                context.printer.note("Lost the connection to thrumd; reconnecting.");
                *client = reconnect(context, error).await?;
            }
            Err(error) => return Err(error),
        }
    }
}

async fn reconnect(context: &Context<'_>, broken: Error) -> Result<Client, Error> {
    let begin = Instant::now();
    while begin.elapsed() < RESTART_TIMEOUT {
        sleep(RECONNECT_INTERVAL).await;
        if let Ok(client) = context.daemon().await {
            return Ok(client);
        }
    }
    // The reason why it can't be reached now says more than how the old connection broke.
    context.daemon().await.map_err(|error| match error {
        Error::Connect { .. } => broken,
        error => error,
    })
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
