use thrum_api::local::{AgentList, AgentListParams, PeerState, PeerStatus, Status};
use thrum_api::{DaemonId, Empty};

use super::{Daemon, SHORT, eventually, holds};

impl Daemon {
    /// What it says of a peer in `status`.
    ///
    /// # Errors
    /// When it has no such peer or doesn't answer.
    pub fn peer(&self, id: DaemonId) -> Result<PeerStatus, String> {
        let status = self.call::<Status>(Empty {}).map_err(|error| error.to_string())?;
        let found = status.peers.into_iter().find(|peer| peer.daemon_id == id);
        found.ok_or_else(|| format!("{} has no peer {id}", self.name()))
    }

    /// Whether one of its problems has these words.
    ///
    /// # Errors
    /// Which problems it has.
    pub fn reports(&self, words: &str) -> Result<(), String> {
        let problems = self.status().problems;
        let said = problems.iter().any(|problem| problem.message.contains(words));
        holds(said, || format!("no {words:?} in {problems:?}"))
    }

    /// Whether it knows an agent of this name, as it does when one waits.
    ///
    /// # Errors
    /// Which agents it knows.
    pub fn has_agent(&self, name: &str) -> Result<(), String> {
        let agents = self.ask::<AgentList>(AgentListParams::default()).agents;
        holds(agents.iter().any(|agent| agent.name == name), || format!("{agents:?}"))
    }
}

/// Waits until each holds all of its peers' logs, and knows that they hold all of its own.
///
/// # Panics
/// When they don't.
#[track_caller]
pub fn in_sync(daemons: &[&Daemon]) {
    eventually(SHORT, || {
        for daemon in daemons {
            let peers = daemon.status().peers;
            let good = peers.iter().all(|peer| peer.state == PeerState::InSync);
            holds(good, || format!("{}: {peers:?}", daemon.name()))?;
        }
        Ok(())
    });
}
