//! The open pipe is the presence of the session: a connection to the daemon that stays, and with which the session ends.

use std::time::Duration;

use thrum_api::ErrorCode;
use thrum_api::event::{Reach, SessionState};
use thrum_api::local::{SessionStart, SessionStartParams};
use tokio::sync::{mpsc, oneshot};
use tokio::time::{sleep, timeout};

use super::who::Who;
use crate::client::{Client, refusals};
use crate::endpoint::Endpoints;
use crate::error::Error;

/// Pauses between two tries to come back, while thrumd is away.
const PAUSE_FIRST: Duration = Duration::from_millis(100);
const PAUSE_MAX: Duration = Duration::from_secs(10);
/// Limit for a daemon that does not answer.
const LIMIT: Duration = Duration::from_secs(10);
const QUEUE_MAX: usize = 64;

type Answer = oneshot::Sender<Result<String, Error>>;

/// Asks for the session.
struct Ask {
    /// The id that the tool gives it, if it is known.
    named: Option<String>,
    answer: Answer,
}

/// The session of the tool. Dropped with its clones, it ends.
#[derive(Clone)]
pub struct Presence {
    asks: mpsc::Sender<Ask>,
}

impl Presence {
    /// Joins the session of the tool in the background, and stays in it. Without a daemon it tries again.
    pub fn begin(who: Who, endpoints: Endpoints, reach: Option<Reach>) -> Self {
        let (asks, asked) = mpsc::channel(QUEUE_MAX);
        let named = who.session.clone();
        let link = Link::default();
        let kept = Kept { who, endpoints, reach, named, link };
        drop(tokio::spawn(kept.run(asked)));
        Self { asks }
    }

    /// The id of the session now. It is joined first: another one of the same process may have begun meanwhile.
    ///
    /// # Errors
    /// When the daemon is away, or refuses.
    pub async fn session(&self, named: Option<String>) -> Result<String, Error> {
        let (answer, answered) = oneshot::channel();
        let gone = || Error::failed("the session has ended", "start the tool again");
        self.asks.send(Ask { named, answer }).await.map_err(|_| gone())?;
        answered.await.unwrap_or_else(|_| Err(gone()))
    }
}

/// The connection that is kept.
struct Kept {
    who: Who,
    endpoints: Endpoints,
    /// How a message gets to the session while it is idle.
    reach: Option<Reach>,
    /// The id that the tool gave the session last.
    named: Option<String>,
    link: Link,
}

/// A connection, and what is known of the session on it.
#[derive(Default)]
struct Link {
    client: Option<Client>,
    /// The session that was joined on this connection.
    joined: Option<String>,
    /// The daemon knows no process of this number: the tool runs in a container.
    without_pid: bool,
    /// The daemon refuses the session.
    is_refused: bool,
}

impl Link {
    /// The session to name where the tool has named none. Of several in a process, the daemon knows which one is meant.
    fn named_by_daemon(&self, who: &Who) -> Option<String> {
        self.joined.clone().filter(|_| self.without_pid || who.pid.is_none())
    }
}

impl Kept {
    async fn run(mut self, mut asks: mpsc::Receiver<Ask>) {
        let mut pause = PAUSE_FIRST;
        // What goes wrong here is told to the first call that asks.
        drop(self.join(false).await);
        loop {
            let ended = self.link.client.as_ref().map(Client::ended);
            let (is_up, is_refused) = (ended.is_some(), self.link.is_refused);
            let again = async {
                match ended {
                    Some(ended) if is_refused => refusals::pause(ended).await,
                    Some(ended) => ended.await,
                    None => sleep(pause).await,
                }
            };
            tokio::select! {
                ask = asks.recv() => {
                    let Some(Ask { named, answer }) = ask else { return };
                    if named.is_some() {
                        self.named = named;
                    }
                    let joined = self.join(true).await;
                    // Who asked may have been cancelled.
                    drop(answer.send(joined));
                }
                () = again => {
                    self.link = Link::default();
                    if is_up {
                        sleep(PAUSE_FIRST).await;
                    }
                    drop(self.join(false).await);
                }
            }
            pause = match self.link.client {
                Some(_) => PAUSE_FIRST,
                None => (pause * 2).min(PAUSE_MAX),
            };
        }
    }

    /// Joins the session. `why`: whether somebody wants to know why there is no daemon.
    async fn join(&mut self, why: bool) -> Result<String, Error> {
        let joined = timeout(LIMIT, self.try_join(why)).await.unwrap_or_else(|_| {
            Err(Error::TimedOut { message: "thrumd doesn't answer".to_owned() })
        });
        self.link.is_refused = joined.as_ref().err().is_some_and(refusals::is_lasting);
        if joined.is_err() && !self.link.is_refused {
            self.link = Link::default();
        }
        joined
    }

    async fn try_join(&mut self, why: bool) -> Result<String, Error> {
        if self.link.client.is_none() {
            let client = match why {
                true => Client::find(&self.endpoints).await?,
                false => Client::find_at_once(&self.endpoints).await?,
            };
            self.link = Link { client: Some(client), ..Link::default() };
        }
        // The daemon watches each connection that says it: once is enough.
        let reach = self.reach.filter(|_| self.link.joined.is_none());
        let id = self.start(reach).await?;
        if self.link.joined.as_ref() != Some(&id) {
            if reach.is_none() && self.reach.is_some() {
                self.start(self.reach).await?;
            }
            self.link.joined = Some(id.clone());
        }
        Ok(id)
    }

    async fn start(&mut self, reach: Option<Reach>) -> Result<String, Error> {
        let named = self.named.clone().or_else(|| self.link.named_by_daemon(&self.who));
        let mut params = start_params(&self.who, named, reach);
        if self.link.without_pid {
            params.pid = None;
        }
        let client = match &mut self.link.client {
            Some(client) => client,
            none => none.insert(Client::find_at_once(&self.endpoints).await?),
        };
        let started = match client.call::<SessionStart>(&params).await {
            // In a container, a process has another id for the daemon. The connection is enough.
            Err(Error::Refused(error))
                if error.code == ErrorCode::NOT_PERMITTED && params.pid.is_some() =>
            {
                (params.pid, self.link.without_pid) = (None, true);
                client.call::<SessionStart>(&params).await?
            }
            answer => answer?,
        };
        Ok(started.session.id)
    }
}

fn start_params(who: &Who, named: Option<String>, reach: Option<Reach>) -> SessionStartParams {
    SessionStartParams {
        agent: who.identity.agent.clone(),
        project: who.identity.project.clone(),
        session: named,
        tool: Some(who.tool_name.clone()),
        pid: who.pid,
        connection: true,
        join: true,
        reach,
        // Hooks tell more. Without them, a call is all that is known of what it does.
        state: Some(SessionState::Idle),
        folder: who.folder.to_str().map(str::to_owned),
        branch: who.branch(),
        ..SessionStartParams::default()
    }
}
