//! An agent that uses this server, and its way to the daemon.

use std::time::Duration;

use thrum_api::event::Reach;
use tokio::time::timeout;

use super::answer::Failure;
use super::presence::Presence;
use super::rest::Rest;
use super::who::Who;
use crate::client::Client;
use crate::endpoint::Endpoints;
use crate::error::Error;

/// Limit for one question to the daemon that it answers at once.
const LIMIT: Duration = Duration::from_secs(30);

/// An agent and its session.
#[derive(Clone)]
pub struct Caller {
    /// The agent.
    pub who: Who,
    /// Its session.
    pub presence: Presence,
    /// What did not fit into its last answer.
    pub rest: Rest,
    endpoints: Endpoints,
}

impl Caller {
    /// Begins its session, which others hear is reached like this.
    pub fn begin(who: Who, endpoints: Endpoints, reach: Option<Reach>) -> Self {
        let presence = Presence::begin(who.clone(), endpoints.clone(), reach);
        Self { who, presence, rest: Rest::default(), endpoints }
    }

    /// A connection of its own. A client makes one call after the other, and messages are handed out to a connection.
    ///
    /// # Errors
    /// When the daemon is not there.
    pub async fn connect(&self) -> Result<Client, Error> {
        Client::find(&self.endpoints).await
    }

    /// The same, without looking for the reason if the daemon is not there.
    ///
    /// # Errors
    /// As [`Caller::connect`].
    pub async fn connect_at_once(&self) -> Result<Client, Error> {
        Client::find_at_once(&self.endpoints).await
    }

    /// The session that the tool gives this id, or the one of its process. A daemon that refuses it, because there are too
    /// many, still tells messages.
    ///
    /// # Errors
    /// When the daemon is not there.
    pub async fn session(&self, named: Option<String>) -> Result<String, Error> {
        match self.presence.session(named.clone()).await {
            Err(Error::Refused(_)) => {
                Ok(named.unwrap_or_else(|| format!("mcp-{}", std::process::id())))
            }
            answer => answer,
        }
    }
}

/// A question that the daemon answers at once, unless it hangs.
///
/// # Errors
/// What the question says, and when no answer came in time.
pub async fn in_time<T>(asked: impl Future<Output = Result<T, Error>>) -> Result<T, Failure> {
    match timeout(LIMIT, asked).await {
        Ok(answer) => answer.map_err(Failure::from),
        Err(_) => Err(Failure::new(
            "timeout",
            format!("thrumd has not answered in {} s", LIMIT.as_secs()),
            "see what is wrong: thrum doctor",
        )),
    }
}
