//! Sends a message, tells at once whether it will be seen, and waits for its answer if that is wanted.

use std::time::Duration;

use serde::Serialize;
use thrum_api::duration::format_duration;
use thrum_api::event::Route;
use thrum_api::limits::EVENT_MAX_BYTES;
use thrum_api::local::{
    Message, MessageSend, MessageSendParams, MessageSendResult, MessageStatus, MessageStatusParams,
    WaitParams,
};

use super::read_marks::{Reader, mark_printed};
use super::waiting;
use crate::client::Client;
use crate::clock;
use crate::context::Context;
use crate::error::Error;
use crate::format::message_id;
use crate::interrupt::or_interrupted;
use crate::message_ids::{find_sent, new_id};
use crate::printer::while_read;
use crate::render::message::{INDENT, line};
use crate::render::send_result;
use crate::terminal::read_message;

/// How long a person at a terminal waits to be told whether the message has reached its machines.
const THERE_WAIT_MS: u64 = 500;

#[derive(Serialize)]
struct Sent<'a> {
    #[serde(flatten)]
    result: &'a MessageSendResult,
    from: &'a str,
    #[serde(skip_serializing_if = "<[String]>::is_empty")]
    to: &'a [String],
    project: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    answer: Option<&'a Message>,
}

/// The text of a message: `-` stands for stdin.
///
/// # Errors
/// When it can't be read, or is empty.
pub fn text(message: String, usage: &str) -> Result<String, Error> {
    let text = if message == "-" { read_message(EVENT_MAX_BYTES)? } else { message };
    if text.trim().is_empty() {
        return Err(Error::usage("the message is empty", usage));
    }
    Ok(text)
}

/// Sends a message whose params have an id, and says on stderr how far it got.
///
/// # Errors
/// When it was not sent, or nobody knows; with `wait_reply`, when no answer came in time.
pub async fn send(
    client: &mut Client,
    params: &MessageSendParams,
    wait_reply: Option<Duration>,
    context: &mut Context<'_>,
) -> Result<(), Error> {
    let sending = client.call_again::<MessageSend>(params);
    let waiting = "Waiting for thrumd to confirm the message.";
    let result = match context.printer.note_if_slow(waiting, sending).await {
        Err(Error::Broken { source, .. }) if params.event_id.is_some() => {
            let event_id = params.event_id.unwrap_or_else(new_id);
            return Err(Error::Unconfirmed { event_id, source });
        }
        answer => answer?,
    };
    tell(client, params, &result, context).await;
    let Some(limit) = wait_reply else {
        return match (context.printer.json(), context.printer.quiet()) {
            (true, _) => print(params, &result, None, context),
            (false, true) => context.printer.line(&result.event_id.to_string()),
            (false, false) => Ok(()),
        };
    };
    or_interrupted(while_read(answer(client, params, &result, limit, context))).await
}

/// Says how far it got. A script is told what thrumd knew when it answered; for a person, thrumd waits a moment.
async fn tell(
    client: &mut Client,
    params: &MessageSendParams,
    result: &MessageSendResult,
    context: &mut Context<'_>,
) {
    if context.printer.json() || context.printer.quiet() {
        return;
    }
    let mut recipients = result.recipients.clone();
    let mut own = None;
    if context.printer.out_is_terminal()
        && !recipients.is_empty()
        && let Ok(sent) = find_sent(client, &params.from, &params.project, result.event_id).await
    {
        own = Some(sent.origin_daemon);
        let asked = MessageStatusParams { message: sent.event(), wait_ms: Some(THERE_WAIT_MS) };
        // Without an answer, what was known before is still true.
        if let Ok(status) = client.call::<MessageStatus>(&asked).await {
            recipients = status.recipients;
        }
    }
    let mut notes = send_result::notes(params, result, &recipients, own, clock::now());
    if context.printer.out_is_terminal() {
        notes.push(format!("How far it gets: thrum sent {}", message_id(result.event_id)));
    }
    for note in notes {
        context.printer.note(&note);
    }
}

fn print(
    params: &MessageSendParams,
    result: &MessageSendResult,
    answer: Option<&Message>,
    context: &mut Context<'_>,
) -> Result<(), Error> {
    let MessageSendParams { from, to, project, .. } = params;
    context.printer.object(&Sent { result, from, to, project, answer })
}

/// Messages of the conversation that are no answer.
#[derive(Serialize)]
struct Others<'a> {
    messages: &'a [Message],
}

/// Waits for the answer, prints it, and marks it as read. So it does with what else is unread in the conversation: it
/// comes first, with `--json` in objects of its own.
async fn answer(
    client: &mut Client,
    params: &MessageSendParams,
    result: &MessageSendResult,
    limit: Duration,
    context: &mut Context<'_>,
) -> Result<(), Error> {
    let sent = find_sent(client, &params.from, &params.project, result.event_id).await?;
    let waiting = WaitParams {
        agent: params.from.clone(),
        project: Some(params.project.clone()),
        thread: Some(sent.thread.unwrap_or(sent.event())),
        session: session(),
        ..WaitParams::default()
    };
    let reader =
        Reader { agent: params.from.clone(), route: Route::Wait, session: waiting.session.clone() };
    let begin = tokio::time::Instant::now();
    loop {
        let left = limit.saturating_sub(begin.elapsed());
        let Some(waited) = waiting::in_time(client, &waiting, Some(left), context).await? else {
            return Err(Error::Unanswered {
                event_id: result.event_id,
                message: format!(
                    "no answer to {} in {}",
                    message_id(result.event_id),
                    format_duration(limit)
                ),
            });
        };
        let at = waited.messages.iter().position(|message| message.reply_to == Some(sent.event()));
        let (others, rest) = waited.messages.split_at(at.unwrap_or(waited.messages.len()));
        let answer = rest.first();
        let messages = &waited.messages[..others.len() + usize::from(answer.is_some())];
        let printed = if context.printer.json() {
            let printed = match others {
                [] => Ok(()),
                messages => context.printer.object(&Others { messages }),
            };
            match answer {
                Some(answer) => printed.and_then(|()| print(params, result, Some(answer), context)),
                None => printed,
            }
        } else {
            let now = clock::now();
            let mut lines = messages.iter().map(|message| line(message, now, false));
            lines.try_for_each(|line| context.printer.text(&line, INDENT))
        };
        mark_printed(printed, context.printer, client, &reader, messages).await?;
        if answer.is_some() {
            return Ok(());
        }
    }
}

/// The session of the environment.
pub fn session() -> Option<String> {
    std::env::var("THRUM_SESSION").ok().filter(|id| !id.is_empty())
}
