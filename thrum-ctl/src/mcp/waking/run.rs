//! Waits for the daemon to say that a session is to be woken.

use std::time::Duration;

use thrum_api::local::{SessionWake, SessionWakeParams, SessionWakeResult};
use tokio::time::{Instant, sleep};

use super::waker::Waker;
use crate::error::Error;
use crate::hook::notes;
use crate::mcp::caller::Caller;
use crate::mcp::who::Who;

/// How long one call waits. thrumd allows up to an hour.
const CALL_TIMEOUT_MS: u64 = 600_000;
/// Between two tries while there is no daemon: the first pause, and the longest one.
const PAUSE_FIRST: Duration = Duration::from_millis(500);
const PAUSE_MAX: Duration = Duration::from_secs(30);
/// What the notes for doctor call it.
const WHAT: &str = "waking";

/// Wakes the sessions of this process, in the background, until the server ends.
pub fn begin(caller: Caller, waker: Waker) {
    drop(tokio::spawn(async move {
        let mut pause = PAUSE_FIRST;
        loop {
            let begin = Instant::now();
            let Err(error) = follow(&caller, &waker).await;
            // A daemon that is away, or ends, is no fault of waking.
            if !error.may_pass() {
                failed(&caller.who, &error.to_string());
            }
            if begin.elapsed() > PAUSE_MAX {
                pause = PAUSE_FIRST;
            }
            sleep(pause).await;
            pause = (pause * 2).min(PAUSE_MAX);
        }
    }));
}

/// Notes for `thrum doctor` why a session was not woken.
pub fn failed(who: &Who, error: &str) {
    notes::failed(who.tool, &who.folder, WHAT, error);
}

async fn follow(caller: &Caller, waker: &Waker) -> Result<std::convert::Infallible, Error> {
    // The presence finds the daemon again as soon as it is back.
    let mut session = caller.session(None).await?;
    let mut client = caller.connect_at_once().await?;
    loop {
        let params = SessionWakeParams {
            agent: caller.who.identity.agent.clone(),
            project: caller.who.identity.project.clone(),
            session: session.clone(),
            timeout_ms: CALL_TIMEOUT_MS,
        };
        let begin = Instant::now();
        let SessionWakeResult { wake } = client.call::<SessionWake>(&params).await?;
        match wake {
            // Not tried again: the daemon counts the session as woken, and a hook shows the messages later.
            Some(wake) => {
                if let Err(error) = waker.wake(&caller.who.identity.agent, &wake).await {
                    failed(&caller.who, &error);
                }
            }
            // An answer that comes early and empty, again and again, would keep a processor busy.
            None if begin.elapsed() < PAUSE_FIRST => sleep(PAUSE_FIRST).await,
            None => {}
        }
        // Another session of the process may have begun.
        session = caller.session(None).await?;
    }
}
