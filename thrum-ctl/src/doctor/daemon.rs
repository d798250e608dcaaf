//! Queries the running daemon for everything that the checks need.

use std::path::PathBuf;
use std::time::Duration;

use thrum_api::Method;
use thrum_api::local::{
    AgentList, AgentListParams, AgentListResult, EventList, EventListParams, EventListResult,
    Health, HealthResult, PeerList, PeerListResult, Status, StatusResult, WakeSwitch,
    WakeSwitchParams, WakeSwitchResult,
};
use thrum_api::method::Empty;

use crate::client::Client;
use crate::endpoint::Endpoints;
use crate::error::Error;
use crate::format::views_behind;

/// Time limit of each query.
const LIMIT: Duration = Duration::from_secs(10);

/// The answers of the daemon.
pub struct Daemon {
    /// Its socket.
    pub socket: PathBuf,
    /// `health`
    pub health: HealthResult,
    /// `status`
    pub status: Result<StatusResult, Error>,
    /// `peer.list`
    pub peers: Result<PeerListResult, Error>,
    /// `agent.list`; not asked for while the views are behind.
    pub agents: Option<Result<AgentListResult, Error>>,
    /// The newest event.
    pub newest: Result<EventListResult, Error>,
    /// Where sessions are not woken. A narrow socket does not tell.
    pub waking: Result<WakeSwitchResult, Error>,
}

impl Daemon {
    /// Finds the daemon and queries it.
    ///
    /// # Errors
    /// When none answers.
    pub async fn query(endpoints: &Endpoints) -> Result<Self, Error> {
        let mut client = within(LIMIT, "connecting", Client::find(endpoints)).await?;
        let health = call::<Health>(&mut client, &Empty {}).await?;
        let status = call::<Status>(&mut client, &Empty {}).await;
        let agents = match &status {
            Ok(status) if views_behind(status).is_some() => None,
            _ => Some(call::<AgentList>(&mut client, &AgentListParams::default()).await),
        };
        let one = EventListParams { limit: Some(1), newest: true, ..EventListParams::default() };
        Ok(Self {
            socket: client.path().to_owned(),
            health,
            status,
            peers: call::<PeerList>(&mut client, &Empty {}).await,
            agents,
            newest: call::<EventList>(&mut client, &one).await,
            waking: call::<WakeSwitch>(&mut client, &WakeSwitchParams::default()).await,
        })
    }
}

async fn call<M: Method>(client: &mut Client, params: &M::Params) -> Result<M::Result, Error> {
    within(LIMIT, M::NAME, client.call::<M>(params)).await
}

/// Runs an operation with a time limit.
///
/// # Errors
/// Those of the operation, and when the time limit passes.
pub async fn within<T>(
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
