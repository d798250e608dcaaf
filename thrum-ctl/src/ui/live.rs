//! The stream of changes for one page, as one JSON object on each line. It goes on while thrumd is away, and says so.
//!
//! The stream does nothing until the next line is asked for, which happens when the browser has taken the one before. So a
//! page that reads slowly holds up one connection to thrumd, where changes come together, and no memory here.

use std::convert::Infallible;
use std::time::Duration;

use axum::body::{Body, Bytes};
use futures_util::stream;
use serde::Serialize;
use thrum_api::Timestamp;
use thrum_api::local::Change;
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::{sleep, timeout};

use super::idle::OpenPage;
use super::refusal::whole;
use crate::client::{Changes, Client};
use crate::clock;
use crate::endpoint::Endpoints;
use crate::error::Error;

/// How long the first look for a thrumd that is away waits; twice as long each further one.
const FIRST_RETRY: Duration = Duration::from_millis(250);
const LAST_RETRY: Duration = Duration::from_secs(5);
/// How often an empty line says that the stream still works: one that broke on the way, such as in a tunnel, would look quiet.
const SIGN_OF_LIFE: Duration = Duration::from_secs(20);

/// A line of the stream.
#[derive(Serialize)]
#[serde(rename_all = "snake_case")]
enum Line {
    Change(Change),
    Away(Away),
    /// An empty line: the stream still works.
    #[serde(skip)]
    Alive,
}

impl Line {
    fn bytes(&self) -> Bytes {
        let mut text = match self {
            Self::Alive => Vec::new(),
            // They are written always: an empty line in their place would do no harm.
            line => serde_json::to_vec(line).unwrap_or_default(),
        };
        text.push(b'\n');
        text.into()
    }
}

/// That thrumd can't be reached.
#[derive(Serialize)]
struct Away {
    since: Timestamp,
    why: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    hint: Option<String>,
}

/// The changes for one page.
pub struct Feed {
    endpoints: Endpoints,
    state: State,
    /// Held until the page has gone.
    _held: (OpenPage, OwnedSemaphorePermit),
}

enum State {
    Connecting,
    Connected(Changes),
    Away {
        since: Timestamp,
        /// The word of the error that was told.
        told: String,
        retry: Duration,
    },
}

impl Feed {
    /// The changes of the thrumd at these endpoints.
    pub fn new(endpoints: Endpoints, page: OpenPage, permit: OwnedSemaphorePermit) -> Self {
        Self { endpoints, state: State::Connecting, _held: (page, permit) }
    }

    /// The lines as the body of an answer. It has no end.
    pub fn into_body(self) -> Body {
        Body::from_stream(stream::unfold(self, |mut feed| async {
            let line = feed.next().await;
            Some((Ok::<_, Infallible>(line), feed))
        }))
    }

    async fn next(&mut self) -> Bytes {
        loop {
            let line = match &mut self.state {
                State::Connecting => self.connect().await,
                State::Connected(changes) => match timeout(SIGN_OF_LIFE, changes.next()).await {
                    Err(_) => Some(Line::Alive),
                    Ok(Ok(Some(change))) => Some(Line::Change(change)),
                    Ok(Ok(None)) => Some(self.leave(&ended(), FIRST_RETRY)),
                    Ok(Err(error)) => Some(self.leave(&error, FIRST_RETRY)),
                },
                State::Away { retry, .. } => {
                    let retry = *retry;
                    sleep(retry).await;
                    self.connect().await
                }
            };
            if let Some(line) = line {
                return line.bytes();
            }
        }
    }

    /// Tries to connect. If that fails, answers why if it is news, and else that the stream still works.
    async fn connect(&mut self) -> Option<Line> {
        let is_first = matches!(self.state, State::Connecting);
        let error = match Box::pin(changes(&self.endpoints, is_first)).await {
            Ok(changes) => {
                self.state = State::Connected(changes);
                return None;
            }
            Err(error) => error,
        };
        let State::Away { told, retry, .. } = &mut self.state else {
            return Some(self.leave(&error, FIRST_RETRY));
        };
        let next = (*retry * 2).min(LAST_RETRY);
        if *told == error.word() {
            *retry = next;
            return Some(Line::Alive);
        }
        Some(self.leave(&error, next))
    }

    fn leave(&mut self, error: &Error, retry: Duration) -> Line {
        let since = match &self.state {
            State::Away { since, .. } => *since,
            _ => clock::now(),
        };
        self.state = State::Away { since, told: error.word(), retry };
        Line::Away(Away { since, why: whole(error), hint: error.hint() })
    }
}

async fn changes(endpoints: &Endpoints, explain: bool) -> Result<Changes, Error> {
    // An explanation takes time, and may start programs.
    let mut client = match explain {
        true => Client::find(endpoints).await?,
        false => Client::find_at_once(endpoints).await?,
    };
    client.changes().await
}

fn ended() -> Error {
    let source = std::io::Error::other("it is stopping or restarting");
    Error::Broken { method: "GET /changes", source }
}
