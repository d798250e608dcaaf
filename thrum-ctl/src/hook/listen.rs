//! `thrum hook TOOL listen`: a plugin's way to be told when a session is to be woken. One line of JSON for each wake.
//!
//! The plugin keeps stdin open, and writes a line when a session begins and when it is gone. The daemon answers for all
//! sessions of the process, whichever of them asks.

use std::io::{self, BufRead as _, Read as _, Write as _};
use std::time::Duration;

use serde::Serialize;
use thrum_api::event::Reach;
use thrum_api::local::{
    SessionUpdate, SessionUpdateParams, SessionWake, SessionWakeParams, SessionWakeResult, Wake,
};
use tokio::sync::watch;
use tokio::time::sleep;

use super::failure::{Failure, runtime};
use super::input::Input;
use super::notes;
use super::point::Point;
use crate::client::{Client, refusals};
use crate::clock;
use crate::context::Context;
use crate::endpoint::Endpoints;
use crate::error::Error;
use crate::setup::{Identity, Tool, identity};
use crate::wake_text;

/// How long one call waits. thrumd allows up to an hour.
const CALL_TIMEOUT_MS: u64 = 600_000;
/// Between two tries while there is no daemon, or it does not know the session: the first pause, and the longest one.
const PAUSE_MIN: Duration = Duration::from_millis(500);
const PAUSE_MAX: Duration = Duration::from_secs(30);
/// Most sessions that are remembered.
const SESSIONS_MAX: usize = 64;
/// Longer than any line that a plugin writes.
const LINE_MAX_BYTES: u64 = 1 << 20;

/// A line for the plugin.
#[derive(Serialize)]
struct Line<'a> {
    session: &'a str,
    text: String,
}

/// Waits until stdin ends or the tool is gone. Ends at once if nobody asked for waking.
pub(super) fn run(tool: Tool, context: &Context<'_>) -> Result<(), Failure> {
    let folder = std::env::current_dir()
        .map_err(|error| Failure::Error(format!("can't read the current folder: {error}")))?;
    let identity = identity(tool, &folder, context)?;
    if !identity.wake {
        return Ok(());
    }
    let (sender, sessions) = watch::channel(Vec::new());
    // Not a thread of the runtime's pool, because the runtime would wait for it at the end.
    std::thread::spawn(move || read_sessions(tool, &mut io::stdin().lock(), &sender));
    let endpoints = context.endpoints();
    let listening = listen(&identity, &endpoints, sessions, |error| {
        notes::failed(tool, &folder, "waking", error);
    });
    runtime()?.block_on(async {
        tokio::select! {
            () = listening => {}
            () = gone(tool) => {}
        }
    });
    Ok(())
}

/// Reads which sessions there are, the newest last, until the end of the input.
fn read_sessions(tool: Tool, from: &mut impl io::BufRead, sessions: &watch::Sender<Vec<String>>) {
    let mut line = Vec::new();
    loop {
        line.clear();
        match from.by_ref().take(LINE_MAX_BYTES).read_until(b'\n', &mut line) {
            Ok(0) | Err(_) => return,
            Ok(_) => {}
        }
        let Ok(input) = Input::read(&line, tool, Point::Listen) else { continue };
        sessions.send_modify(|known| {
            known.retain(|session| *session != input.session);
            if !input.ended && !input.is_subagent {
                known.push(input.session);
            }
            let extra = known.len().saturating_sub(SESSIONS_MAX);
            known.drain(..extra);
        });
    }
}

/// Prints a line for each wake, until the input has ended or nobody reads the lines.
async fn listen(
    identity: &Identity,
    endpoints: &Endpoints,
    mut sessions: watch::Receiver<Vec<String>>,
    failed: impl Fn(&str),
) {
    let mut pause = PAUSE_MIN;
    let mut noted = String::new();
    loop {
        let newest = sessions.borrow_and_update().last().cloned();
        let Some(session) = newest else {
            match sessions.changed().await {
                Ok(()) => continue,
                Err(_) => return,
            }
        };
        let mut client = None;
        let wakes = Box::pin(wakes(identity, endpoints, &session, &mut pause, &mut client));
        let ended = async {
            // Another session that begins changes nothing: the daemon answers for it, too.
            sessions.wait_for(|known| !known.contains(&session)).await.map(drop)
        };
        let error = tokio::select! {
            biased;
            end = wakes => match end {
                End::Unread => return,
                End::Error(error) => error,
            },
            ended = ended => match ended {
                Ok(()) => continue,
                Err(_) => return,
            },
        };
        let told = refusals::told(&error);
        // Once, as long as it goes on; a daemon that is away is no error.
        if matches!(Failure::from(&error), Failure::Error(_)) && told != noted {
            failed(&told);
            noted = told;
        }
        let client = client.filter(|_| refusals::is_lasting(&error));
        let again = async {
            match client {
                Some(client) => refusals::pause(client.ended()).await,
                None => sleep(pause).await,
            }
        };
        tokio::select! {
            () = again => {}
            // A session that has begun may be known.
            changed = sessions.changed() => if changed.is_err() { return },
        }
        pause = PAUSE_MAX.min(pause * 2);
    }
}

/// Why waiting for wakes has ended.
enum End {
    /// Nobody reads the lines.
    Unread,
    /// No answer came.
    Error(Error),
}

async fn wakes(
    identity: &Identity,
    endpoints: &Endpoints,
    session: &str,
    pause: &mut Duration,
    client: &mut Option<Client>,
) -> End {
    let result = async {
        let client = client.insert(Client::find_at_once(endpoints).await?);
        tell_reach(client, identity, session).await?;
        loop {
            let params = SessionWakeParams {
                agent: identity.agent.clone(),
                project: identity.project.clone(),
                session: session.to_owned(),
                timeout_ms: CALL_TIMEOUT_MS,
            };
            let begin = tokio::time::Instant::now();
            let SessionWakeResult { wake } = client.call::<SessionWake>(&params).await?;
            *pause = PAUSE_MIN;
            match wake {
                Some(wake) if print(identity, &wake).is_err() => return Ok(End::Unread),
                Some(_) => {}
                // An answer that comes early and empty, again and again, would keep a processor busy.
                None if begin.elapsed() < PAUSE_MIN => sleep(PAUSE_MIN).await,
                None => {}
            }
        }
    };
    let result: Result<End, Error> = result.await;
    result.unwrap_or_else(End::Error)
}

async fn tell_reach(client: &mut Client, identity: &Identity, session: &str) -> Result<(), Error> {
    let params = SessionUpdateParams {
        agent: identity.agent.clone(),
        project: identity.project.clone(),
        session: Some(session.to_owned()),
        reach: Some(Reach::Wake),
        ..SessionUpdateParams::default()
    };
    client.call::<SessionUpdate>(&params).await.map(drop)
}

fn print(identity: &Identity, wake: &Wake) -> io::Result<()> {
    let text = wake_text::text(&identity.agent, wake, clock::now());
    let line = Line { session: &wake.session, text };
    let mut out = io::stdout().lock();
    serde_json::to_writer(&mut out, &line)?;
    out.write_all(b"\n")?;
    out.flush()
}

/// Waits until the tool has ended. Its end of the pipe may live on in a program that it started.
#[cfg(target_os = "linux")]
async fn gone(tool: Tool) {
    use rustix::process::{Pid, PidfdFlags, pidfd_open};
    use tokio::io::unix::AsyncFd;

    let pid = crate::tool_process::find(tool).unwrap_or_else(std::os::unix::process::parent_id);
    let pid = i32::try_from(pid).ok().and_then(Pid::from_raw);
    let process = pid.and_then(|pid| pidfd_open(pid, PidfdFlags::NONBLOCK).ok());
    #[expect(deprecated, reason = "its successor is unsafe; an OwnedFd keeps what that demands")]
    let watched = process.and_then(|process| AsyncFd::new(process).ok());
    match watched {
        Some(process) => drop(process.readable().await),
        None => std::future::pending().await,
    }
}

/// Only the end of the input tells it.
#[cfg(not(target_os = "linux"))]
async fn gone(_: Tool) {
    std::future::pending().await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sessions_come_and_go_by_lines() {
        let (sender, sessions) = watch::channel(Vec::new());
        let read = |mut text: &[u8]| read_sessions(Tool::Opencode, &mut text, &sender);
        read(b"{\"session_id\":\"a\"}\ngarbage\n{\"session_id\":\"b\"}\n{\"session_id\":\"c\",\"parent_id\":\"b\"}\n");
        assert_eq!(*sessions.borrow(), ["a", "b"], "not a subagent's");
        read(b"{\"session_id\":\"a\"}\n");
        assert_eq!(*sessions.borrow(), ["b", "a"], "the newest last");
        read(b"{\"session_id\":\"a\",\"ended\":true}");
        assert_eq!(*sessions.borrow(), ["b"]);
        for number in 0..100 {
            read(format!("{{\"session_id\":\"{number}\"}}\n").as_bytes());
        }
        let known = sessions.borrow();
        assert_eq!((known.len(), known.last().map(String::as_str)), (SESSIONS_MAX, Some("99")));
    }
}
