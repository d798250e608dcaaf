//! What changes of the connection to peers.

use std::collections::{BTreeMap, BTreeSet};
use std::future::pending;
use std::net::SocketAddr;

use thrum_api::DaemonId;
use thrum_api::local::PeerState;
use tokio::sync::watch;

use super::PeerNetwork;
use crate::sync::PeerProgress;
use crate::tailnet::Presence;

/// What may have changed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Flags {
    pub status: bool,
    pub agents: bool,
    pub deliveries: bool,
}

impl Flags {
    pub const ALL: Self = Self { status: true, agents: true, deliveries: true };
}

/// Follows the connection to peers.
pub struct NetworkChanges {
    watched: Watched,
    told: State,
}

struct Watched {
    bound: watch::Receiver<Vec<SocketAddr>>,
    presence: watch::Receiver<Presence>,
    problem: watch::Receiver<Option<String>>,
    enabled: watch::Receiver<bool>,
    peers: watch::Receiver<BTreeMap<DaemonId, PeerState>>,
    progress: watch::Receiver<BTreeMap<DaemonId, PeerProgress>>,
}

/// The state that is compared.
#[derive(Debug, Clone, PartialEq)]
struct State {
    bound: Vec<SocketAddr>,
    presence: Presence,
    problem: Option<String>,
    enabled: bool,
    peers: BTreeMap<DaemonId, PeerState>,
    progress: BTreeMap<DaemonId, PeerProgress>,
}

impl NetworkChanges {
    pub fn new(network: &PeerNetwork) -> Self {
        let watched = Watched {
            bound: network.bound(),
            presence: network.tailnet().presence(),
            problem: network.listener_problem(),
            enabled: network.sync().enabled(),
            peers: network.sync().peer_states(),
            progress: network.sync().progress_changes(),
        };
        Self { told: watched.state(), watched }
    }

    /// Returns when something has changed since the last [`Self::take`]. Dropping the future loses nothing.
    pub async fn changed(&mut self) {
        while self.watched.state() == self.told {
            let Watched { bound, presence, problem, enabled, peers, progress } = &mut self.watched;
            let changed = tokio::select! {
                changed = bound.changed() => changed,
                changed = presence.changed() => changed,
                changed = problem.changed() => changed,
                changed = enabled.changed() => changed,
                changed = peers.changed() => changed,
                changed = progress.changed() => changed,
            };
            if changed.is_err() {
                // The daemon stops.
                return pending().await;
            }
        }
    }

    /// What has changed since the last time. `log_grew`: whether our log has grown since then. Peers lack what is new until
    /// they have it, and of one that is away nothing else tells that.
    pub fn take(&mut self, log_grew: bool) -> Flags {
        let now = self.watched.state();
        let before = std::mem::replace(&mut self.told, now);
        let now = &self.told;
        // What is told of agents depends on whether something is heard of their machines.
        let silent = now.silent();
        let agents = silent != before.silent() || now.enabled != before.enabled;
        let lack_more = log_grew && !silent.is_empty();
        let deliveries = agents || lack_more || now.progress != before.progress;
        let status = *now != before || (log_grew && !now.peers.is_empty());
        Flags { status, agents, deliveries }
    }
}

impl Watched {
    fn state(&self) -> State {
        State {
            bound: self.bound.borrow().clone(),
            presence: self.presence.borrow().clone(),
            problem: self.problem.borrow().clone(),
            enabled: *self.enabled.borrow(),
            peers: self.peers.borrow().clone(),
            progress: self.progress.borrow().clone(),
        }
    }
}

impl State {
    /// The peers of which nothing may be heard now.
    fn silent(&self) -> BTreeSet<DaemonId> {
        let in_contact = |state| {
            matches!(state, PeerState::InSync | PeerState::CatchingUp | PeerState::LogChanged)
        };
        let of_state = self.peers.iter().filter(|(_, state)| !in_contact(**state));
        let unreachable = self.progress.iter().filter(|(_, it)| it.unreachable_since.is_some());
        of_state.map(|(peer, _)| *peer).chain(unreachable.map(|(peer, _)| *peer)).collect()
    }
}
