//! What changes of the connection to peers.

use std::collections::{BTreeMap, BTreeSet};
use std::future::pending;
use std::net::SocketAddr;
use std::sync::Arc;

use thrum_api::DaemonId;
use tokio::sync::watch;

use super::PeerNetwork;
use crate::sync::{PeerProgress, Sync};
use crate::tailnet::Presence;
use crate::tailnet::tailscaled::NetMap;

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
    peers: watch::Receiver<BTreeMap<DaemonId, PeerProgress>>,
    names: Names,
}

/// The names of peers, which the tailnet may change.
struct Names {
    sync: Sync,
    /// Of the tailnet; None with the loopback kind.
    netmap: Option<watch::Receiver<Arc<NetMap>>>,
    /// The network map that the names are of.
    of: Option<Arc<NetMap>>,
    names: Arc<BTreeMap<DaemonId, String>>,
}

/// The state that is compared.
#[derive(Debug, Clone, PartialEq)]
struct State {
    bound: Vec<SocketAddr>,
    presence: Presence,
    problem: Option<String>,
    enabled: bool,
    peers: BTreeMap<DaemonId, PeerProgress>,
    names: Arc<BTreeMap<DaemonId, String>>,
}

impl NetworkChanges {
    pub fn new(network: &PeerNetwork) -> Self {
        let mut watched = Watched {
            bound: network.bound(),
            presence: network.tailnet().presence(),
            problem: network.listener_problem(),
            enabled: network.sync().enabled(),
            peers: network.sync().progress_changes(),
            names: Names {
                sync: network.sync().clone(),
                netmap: network.tailnet().netmap_updates(),
                of: None,
                names: Arc::default(),
            },
        };
        Self { told: watched.state(), watched }
    }

    /// Returns when something has changed since the last [`Self::take`]. Dropping the future loses nothing.
    pub async fn changed(&mut self) {
        while self.watched.state() == self.told {
            let Watched { bound, presence, problem, enabled, peers, names } = &mut self.watched;
            let changed = tokio::select! {
                changed = bound.changed() => changed,
                changed = presence.changed() => changed,
                changed = problem.changed() => changed,
                changed = enabled.changed() => changed,
                changed = peers.changed() => changed,
                changed = names.changed() => changed,
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
        if now.names != before.names {
            // They stand in everything.
            return Flags::ALL;
        }
        let lack_more = log_grew && !now.peers.is_empty();
        let away = now.peers.values().any(|it| it.unreachable_since.is_some());
        // What is told of agents depends on whether something is heard of their machines.
        let agents = now.silent() != before.silent() || now.enabled != before.enabled;
        let deliveries = agents || now.peers != before.peers || (lack_more && away);
        Flags { status: lack_more || *now != before, agents, deliveries }
    }
}

impl Watched {
    fn state(&mut self) -> State {
        State {
            bound: self.bound.borrow().clone(),
            presence: self.presence.borrow().clone(),
            problem: self.problem.borrow().clone(),
            enabled: *self.enabled.borrow(),
            peers: self.peers.borrow().clone(),
            names: self.names.now(),
        }
    }
}

impl Names {
    async fn changed(&mut self) -> Result<(), watch::error::RecvError> {
        match &mut self.netmap {
            Some(netmap) => netmap.changed().await,
            None => pending().await,
        }
    }

    /// Asks for all only when there is another map.
    fn now(&mut self) -> Arc<BTreeMap<DaemonId, String>> {
        let map = self.netmap.as_ref().map(|netmap| Arc::clone(&netmap.borrow()));
        let is_known = match (&map, &self.of) {
            (Some(map), Some(of)) => Arc::ptr_eq(map, of),
            (None, _) => true,
            (Some(_), None) => false,
        };
        if !is_known {
            self.of = map;
            self.names = Arc::new(self.sync.names());
        }
        Arc::clone(&self.names)
    }
}

impl State {
    /// The peers of whose agents nothing is known now.
    fn silent(&self) -> BTreeSet<DaemonId> {
        self.peers.iter().filter(|(_, it)| it.is_silent).map(|(peer, _)| *peer).collect()
    }
}
