//! `check_messages` and `wait_for_message`. The messages are claimed for the connection that asked, and marked as read by it
//! when the answer was written.

use std::time::Duration;

use serde_json::Value;
use thrum_api::local::{MessageRef, SessionMessages, SessionMessagesParams, SessionMessagesResult};
use tokio::time::{Instant, sleep, timeout};

use crate::client::Client;
use crate::clock;
use crate::error::Error;
use crate::mcp::answer::{Done, Failure, cut};
use crate::mcp::arguments::Arguments;
use crate::mcp::caller::{Caller, in_time};
use crate::mcp::in_flight::Mark;
use crate::mcp::message::{Cursor, Page, ROOM_BYTES, page, part};
use crate::mcp::words::NOTE;
use crate::message_ids::find;

/// Messages that are asked for at once, unless the caller says a number.
const LIMIT_DEFAULT: u64 = 10;
/// More than fit into an answer.
const LIMIT_MAX: u64 = 50;
/// How long to wait, unless the caller says it: less than after what tools put a call aside (2 minutes).
const WAIT_DEFAULT: Duration = Duration::from_secs(100);
/// Tools give a call up after 30 minutes.
const WAIT_MAX: Duration = Duration::from_secs(25 * 60);
/// How long one question to the daemon waits.
const CALL_MAX: Duration = Duration::from_secs(10 * 60);
/// Minimum time for an answer, also at the end of the wait.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(1);
/// Pauses between two tries, while thrumd is away.
const PAUSE_FIRST: Duration = Duration::from_millis(250);
const PAUSE_MAX: Duration = Duration::from_secs(5);
/// How long to wait after an answer that came early and empty, so that a broken daemon is not asked all the time.
const EARLY_PAUSE: Duration = Duration::from_millis(250);
/// Most bytes of what the daemon has to say besides.
const NOTICE_MAX_BYTES: usize = 250;
const NOTICES_MAX: usize = 2;

const AGAIN: &str = "no message yet: call wait_for_message again, or go on with other work";

/// `check_messages`
pub async fn check(
    caller: &Caller,
    named: Option<String>,
    arguments: &mut Arguments,
) -> Result<(Done, Option<Mark>), Failure> {
    let limit = arguments.number("limit")?.unwrap_or(LIMIT_DEFAULT);
    if let Some(cursor) = arguments.text("cursor")? {
        return Ok((read_on(caller, &cursor).await?, None));
    }
    let session = in_time(caller.session(named)).await?;
    let mut client = connect(caller).await?;
    let params = params(caller, session, Duration::ZERO, limit.clamp(1, LIMIT_MAX));
    // A daemon that ended meanwhile has given them to nobody.
    let result = in_time(client.call_again::<SessionMessages>(&params)).await?;
    let empty = result.messages.is_empty();
    let (mut done, mark) = shown(caller, result, client, params);
    if empty {
        done.insert(
            "next".to_owned(),
            "nothing new; to wait for a message: wait_for_message".into(),
        );
    }
    Ok((done, mark))
}

/// More of a message that was cut.
async fn read_on(caller: &Caller, cursor: &str) -> Result<Done, Failure> {
    let wrong = |what: &str| {
        let message = format!("the cursor {:?} {what}", cut(cursor, 60));
        Failure::arguments(message, "use the cursor of a result as it is, or leave it out")
    };
    let Cursor { id, at } = cursor.parse().map_err(|()| wrong("is none of check_messages"))?;
    let (agent, project) = (&caller.who.identity.agent, &caller.who.identity.project);
    let mut client = in_time(caller.connect()).await?;
    let message = in_time(find(&mut client, agent, project, &id)).await?;
    if !message.text.is_char_boundary(at) || at >= message.text.len() {
        return Err(wrong("is not in that message"));
    }
    let (value, next) = part(&message, at, ROOM_BYTES, clock::now());
    Ok(done(Page { shown: vec![value], cursor: next }))
}

/// `wait_for_message`. A restart of the daemon does not end the wait.
pub async fn wait(
    caller: &Caller,
    named: Option<String>,
    limit: Duration,
) -> Result<(Done, Option<Mark>), Failure> {
    let begin = Instant::now();
    let session = in_time(caller.session(named.clone())).await?;
    let mut params = params(caller, session, Duration::ZERO, LIMIT_DEFAULT);
    let mut client = Some(connect(caller).await?);
    let mut pause = PAUSE_FIRST;
    let mut away: Option<Error> = None;
    loop {
        let left = limit.saturating_sub(begin.elapsed());
        if left.is_zero() {
            return Ok((nothing(begin.elapsed(), away.as_ref()), None));
        }
        params.timeout_ms = millis(left.min(CALL_MAX));
        match timeout(left + ANSWER_TIMEOUT, ask(caller, &mut client, &params)).await {
            Ok(Ok(result)) if !result.messages.is_empty() || !result.notices.is_empty() => {
                let client = match client {
                    Some(client) => client,
                    None => in_time(caller.connect()).await?,
                };
                return Ok(shown(caller, result, client, params));
            }
            Ok(Ok(_)) => {
                (away, pause) = (None, PAUSE_FIRST);
                sleep(EARLY_PAUSE.min(limit.saturating_sub(begin.elapsed()))).await;
            }
            Ok(Err(error)) if error.may_pass() => {
                (away, client) = (Some(error), None);
                sleep(pause.min(limit.saturating_sub(begin.elapsed()))).await;
                pause = (pause * 2).min(PAUSE_MAX);
                // One that began anew has another id.
                if let Ok(Ok(session)) = timeout(pause, caller.session(named.clone())).await {
                    params.session = session;
                }
            }
            Ok(Err(error)) => return Err(error.into()),
            Err(_) => {
                client = None;
                away = Some(Error::TimedOut { message: "thrumd doesn't answer".to_owned() });
            }
        }
    }
}

/// How long the caller wants to wait.
pub fn limit(arguments: &mut Arguments) -> Result<Duration, Failure> {
    let seconds = arguments.number("timeout_s")?.map(Duration::from_secs);
    Ok(seconds.unwrap_or(WAIT_DEFAULT).clamp(Duration::from_secs(1), WAIT_MAX))
}

/// The connection that has what the last answer left out, or a new one.
async fn connect(caller: &Caller) -> Result<Client, Failure> {
    match caller.rest.take().await {
        Some(client) => Ok(client),
        None => in_time(caller.connect()).await,
    }
}

async fn ask(
    caller: &Caller,
    client: &mut Option<Client>,
    params: &SessionMessagesParams,
) -> Result<SessionMessagesResult, Error> {
    let client = match client {
        Some(client) => client,
        none => none.insert(caller.connect_at_once().await?),
    };
    client.call::<SessionMessages>(params).await
}

fn params(
    caller: &Caller,
    session: String,
    timeout: Duration,
    limit: u64,
) -> SessionMessagesParams {
    SessionMessagesParams {
        agent: caller.who.identity.agent.clone(),
        project: caller.who.identity.project.clone(),
        session,
        timeout_ms: millis(timeout),
        limit: u32::try_from(limit).ok(),
    }
}

/// The messages that fit, and their mark. The others go back when this connection ends, unless the next call goes on with it.
fn shown(
    caller: &Caller,
    result: SessionMessagesResult,
    client: Client,
    params: SessionMessagesParams,
) -> (Done, Option<Mark>) {
    let SessionMessagesResult { messages, left, notices } = result;
    let page = page(&messages, clock::now());
    let (shown, rest) = messages.split_at(page.shown.len().min(messages.len()));
    let back = (!rest.is_empty()).then(|| caller.rest.left_out());
    let left = left.saturating_add(u64::try_from(rest.len()).unwrap_or(u64::MAX));
    let refs: Vec<_> = shown.iter().map(MessageRef::from).collect();
    let mut done = done(page);
    if left > 0 {
        done.insert("left".to_owned(), left.into());
        done.insert("next".to_owned(), "more messages: call check_messages again".into());
    }
    let notices = notices.iter().take(NOTICES_MAX).map(|it| Value::from(cut(it, NOTICE_MAX_BYTES)));
    let notices: Vec<Value> = notices.collect();
    if !notices.is_empty() {
        done.insert("notices".to_owned(), notices.into());
    }
    let SessionMessagesParams { agent, session, .. } = params;
    let mark = Mark { client, agent, session, messages: refs, back };
    (done, Some(mark).filter(|mark| !mark.messages.is_empty()))
}

fn done(page: Page) -> Done {
    let mut done = Done::new();
    if !page.shown.is_empty() {
        done.insert("note".to_owned(), NOTE.into());
    }
    done.insert("messages".to_owned(), page.shown.into());
    if let Some(cursor) = page.cursor {
        done.insert("cursor".to_owned(), cursor.to_string().into());
        done.insert("cursor_for".to_owned(), "the rest of this message: check_messages".into());
    }
    done
}

/// The answer after the time.
fn nothing(waited: Duration, away: Option<&Error>) -> Done {
    let mut done = done(Page { shown: Vec::new(), cursor: None });
    done.insert("waited_s".to_owned(), waited.as_secs().into());
    done.insert("next".to_owned(), AGAIN.into());
    if let Some(error) = away {
        let told = format!("thrumd is away, so that nothing can come: {error}");
        done.insert("problem".to_owned(), cut(&told, 500).into());
        let hint = error.hint().unwrap_or_else(|| "see why: thrum doctor".to_owned());
        done.insert("next".to_owned(), cut(&hint, 500).into());
    }
    done
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
