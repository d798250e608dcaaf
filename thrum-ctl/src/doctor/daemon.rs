//! The running service, asked for everything that the checks need.

use std::path::PathBuf;
use std::time::Duration;

use thrum_api::Method;
use thrum_api::local::{
    AgentList, AgentListParams, AgentListResult, EventList, EventListParams, EventListResult,
    Health, HealthResult, PeerList, PeerListResult, Status, StatusResult,
};
use thrum_api::method::Empty;

use crate::client::Client;
use crate::endpoint::Endpoints;
use crate::error::Error;

/// A daemon that takes longer is as good as none.
const LIMIT: Duration = Duration::from_secs(10);

/// What it said.
pub struct Daemon {
    /// The socket behind which it is.
    pub socket: PathBuf,
    /// `health`
    pub health: HealthResult,
    /// `status`
    pub status: Result<StatusResult, Error>,
    /// `peer.list`
    pub peers: Result<PeerListResult, Error>,
    /// `agent.list`
    pub agents: Result<AgentListResult, Error>,
    /// The newest event.
    pub newest: Result<EventListResult, Error>,
}

impl Daemon {
    /// Finds and asks it.
    ///
    /// # Errors
    /// When none answers.
    pub async fn output(endpoints: &Endpoints) -> Result<Self, Error> {
        let mut client = within("connecting", Client::find(endpoints)).await?;
        let health = call::<Health>(&mut client, &Empty {}).await?;
        let one = EventListParams { limit: Some(1), newest: true, ..EventListParams::default() };
        Ok(Self {
            socket: client.path().to_owned(),
            health,
            status: call::<Status>(&mut client, &Empty {}).await,
            peers: call::<PeerList>(&mut client, &Empty {}).await,
            agents: call::<AgentList>(&mut client, &AgentListParams::default()).await,
            newest: call::<EventList>(&mut client, &one).await,
        })
    }
}

async fn call<M: Method>(client: &mut Client, params: &M::Params) -> Result<M::Result, Error> {
    within(M::NAME, client.call::<M>(params)).await
}

/// Gives up after 10 s.
///
/// # Errors
/// Its own, and when the time is over.
pub async fn within<T>(
    what: &str,
    work: impl Future<Output = Result<T, Error>>,
) -> Result<T, Error> {
    within_limit(LIMIT, what, work).await
}

/// Gives up after a while.
///
/// # Errors
/// Its own, and when the time is over.
pub async fn within_limit<T>(
    limit: Duration,
    what: &str,
    work: impl Future<Output = Result<T, Error>>,
) -> Result<T, Error> {
    match tokio::time::timeout(limit, work).await {
        Ok(result) => result,
        Err(_) => Err(Error::TimedOut {
            message: format!("no answer to {what} within {} s", limit.as_secs()),
        }),
    }
}
