//! The state that every local request uses.

use std::sync::Arc;

use thrum_api::local::Problem;
use thrum_api::{DaemonId, RpcError};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::errors;
use super::network::Network;
use crate::agents::Agents;
use crate::config::Config;
use crate::log::Log;
use crate::peer::{Identity, Pairing, Peer, Registry};

/// The parts of the daemon that the local API works with.
pub struct AdminContext {
    /// The settings.
    pub config: Config,
    pub daemon: DaemonId,
    /// The name of this daemon.
    pub name: Arc<str>,
    /// When the daemon started, for the uptime.
    pub started: Instant,
    /// The state directory came from another machine, so this daemon must not sync.
    pub foreign: bool,
    /// The identity, for backups.
    pub identity: Identity,
    /// Held while a backup is made.
    pub backing_up: tokio::sync::Mutex<()>,
    /// The event log.
    pub log: Log,
    /// Messages and agents.
    pub agents: Agents,
    /// The paired machines.
    pub registry: Registry,
    /// The pairing sessions.
    pub pairing: Pairing,
    /// The connection to peers, or why there is none.
    pub network: Network,
    /// Problems that were found at start.
    pub found: Vec<Problem>,
    /// Requests of local programs. They run to their end here, even if their caller disconnects.
    pub handlers: TaskTracker,
    /// Cancelled when the daemon stops.
    pub stop: CancellationToken,
}

impl AdminContext {
    /// The name of a daemon, if it is this one, a peer, or what a peer was formerly.
    pub(super) fn machine(&self, daemon: DaemonId) -> Option<String> {
        if daemon == self.daemon {
            return Some(self.name.to_string());
        }
        let successor = || self.registry.get(*self.registry.former().get(&daemon)?);
        let peer = self.registry.get(daemon).or_else(successor);
        peer.map(|peer| self.name_of(&peer))
    }

    /// The label of a peer.
    pub(super) fn name_of(&self, peer: &Peer) -> String {
        match self.network.available() {
            Some(network) => network.sync().name_of(peer),
            None => {
                let own = (self.daemon, &*self.name);
                self.registry.label(peer, own, |peer| peer.name.clone())
            }
        }
    }

    /// The peer with this name or id, as a person typed it.
    pub(super) fn find(&self, typed: &str) -> Result<Peer, RpcError> {
        let found = match self.network.available() {
            Some(network) => network.sync().find(typed),
            None => self.registry.find(typed),
        };
        found.map_err(errors::registry)
    }

    /// Time since the start, in milliseconds.
    pub(super) fn uptime_ms(&self) -> u64 {
        u64::try_from(self.started.elapsed().as_millis()).unwrap_or(u64::MAX)
    }
}
