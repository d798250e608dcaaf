//! Waits for the daemon to say that a session is to be woken.

use std::time::Duration;

use thrum_api::event::Reach;
use thrum_api::local::{
    SessionUpdate, SessionUpdateParams, SessionWake, SessionWakeParams, SessionWakeResult,
};
use tokio::time::{Instant, sleep};

use super::waker::Waker;
use crate::client::{Client, refusals};
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
        let mut noted = String::new();
        loop {
            let begin = Instant::now();
            let mut client = None;
            let Err(error) = follow(&caller, &waker, &mut client).await;
            if begin.elapsed() > PAUSE_MAX {
                pause = PAUSE_FIRST;
                noted.clear();
            }
            // A daemon that is away, or ends, is no fault of waking.
            if !error.may_pass() {
                let told = refusals::told(&error);
                // Once, as long as it goes on.
                if told != noted {
                    failed(&caller.who, &told);
                    noted = told;
                }
            }
            if let (Some(client), true) = (client, refusals::is_lasting(&error)) {
                refusals::pause(client.ended()).await;
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

async fn follow(
    caller: &Caller,
    waker: &Waker,
    client: &mut Option<Client>,
) -> Result<std::convert::Infallible, Error> {
    let client = client.insert(caller.connect_at_once().await?);
    // The presence finds the daemon again as soon as it is back.
    let mut session = caller.presence.session(None).await?;
    let mut has_failed = false;
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
            Some(wake) => match waker.wake(&caller.who.identity.agent, &wake).await {
                Ok(()) => {
                    if std::mem::take(&mut has_failed) {
                        tell_reach(client, caller, &wake.session, Reach::Wake).await?;
                    }
                }
                Err(error) => {
                    failed(&caller.who, &error);
                    // Senders are no longer told that a message wakes it.
                    tell_reach(client, caller, &wake.session, Reach::Hooks).await?;
                    has_failed = true;
                }
            },
            // An answer that comes early and empty, again and again, would keep a processor busy.
            None if begin.elapsed() < PAUSE_FIRST => sleep(PAUSE_FIRST).await,
            None => {}
        }
        // Another session of the process may have begun.
        session = caller.presence.session(None).await?;
    }
}

async fn tell_reach(
    client: &mut Client,
    caller: &Caller,
    session: &str,
    reach: Reach,
) -> Result<(), Error> {
    let params = SessionUpdateParams {
        agent: caller.who.identity.agent.clone(),
        project: caller.who.identity.project.clone(),
        session: Some(session.to_owned()),
        reach: Some(reach),
        ..SessionUpdateParams::default()
    };
    match client.call::<SessionUpdate>(&params).await {
        // It has ended meanwhile.
        Err(Error::Refused(_)) => Ok(()),
        answer => answer.map(drop),
    }
}
