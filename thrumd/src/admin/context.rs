//! The state that every local request uses.

use std::collections::BTreeMap;
use std::sync::Arc;

use thrum_api::local::Problem;
use thrum_api::{DaemonId, RpcError, Timestamp, label};
use tokio::sync::watch;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::errors;
use super::narrow_sockets::NarrowSockets;
use super::network::Network;
use super::wake_switch::WakeSwitch;
use crate::agents::{Agents, Search};
use crate::config::Config;
use crate::log::Log;
use crate::metrics::LocalMetrics;
use crate::peer::{Identity, Pairing, Peer, Registry, RegistryError};

/// The parts of the daemon that the local API works with.
pub struct AdminContext {
    /// The settings.
    pub config: Config,
    pub daemon: DaemonId,
    /// The name of this daemon.
    pub name: Arc<str>,
    /// When the daemon started, for the uptime.
    pub started: Instant,
    /// The same by the wall clock as it was then, for who compares the starts of a daemon: counted back from now it would
    /// move with each correction of the clock.
    pub started_at: Timestamp,
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
    /// The search in messages.
    pub search: Search,
    /// The narrow sockets.
    pub sockets: NarrowSockets,
    /// Where idle sessions are not woken.
    pub wake_switch: WakeSwitch,
    /// The paired machines.
    pub registry: Registry,
    /// The pairing sessions.
    pub pairing: Pairing,
    /// The connection to peers, or why there is none.
    pub network: Network,
    /// Problems that were found at start.
    pub found: Vec<Problem>,
    /// Counts requests of local programs.
    pub metrics: Arc<LocalMetrics>,
    /// Why nothing is served at `metrics_listen`, while it isn't.
    pub metrics_problem: watch::Sender<Option<Problem>>,
    /// Counts how often the quarantine was cleared: the problem is gone then.
    pub quarantine_cleared: watch::Sender<u64>,
    /// Requests of local programs. They run to their end here, even if their caller disconnects.
    pub handlers: TaskTracker,
    /// Cancelled when the daemon stops.
    pub stop: CancellationToken,
}

impl AdminContext {
    /// The name of a daemon, if it is this one, a peer, what a peer was formerly, or one that has told its name.
    pub(super) fn machine(&self, daemon: DaemonId) -> Option<String> {
        if daemon == self.daemon {
            return Some(self.name.to_string());
        }
        let successor = || self.registry.get(*self.registry.former().get(&daemon)?);
        let peer = self.registry.get(daemon).or_else(successor);
        peer.map(|peer| self.name_of(&peer)).or_else(|| self.told_name(daemon))
    }

    /// The name that a daemon which is no peer has told of itself, with its id if others have it, too.
    fn told_name(&self, daemon: DaemonId) -> Option<String> {
        let (name, same) = self.agents.told_name(daemon)?;
        let peers = self.registry.all();
        let peers = peers.iter().map(|peer| (peer.daemon_id, peer.name.as_str()));
        let others = peers.chain([(self.daemon, &*self.name)]);
        let others = others.chain(same.into_iter().map(|other| (other, name.as_str())));
        Some(label::label(&name, daemon, others))
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

    /// The labels of all peers.
    pub(super) fn names(&self) -> BTreeMap<DaemonId, String> {
        match self.network.available() {
            Some(network) => network.sync().names(),
            None => self.registry.labels((self.daemon, &*self.name), |peer| peer.name.clone()),
        }
    }

    /// The peer with this name or id, as a person typed it.
    pub(super) fn find(&self, typed: &str) -> Result<Peer, RpcError> {
        self.find_peer(typed).map_err(errors::registry)
    }

    /// As [`Self::find`], for callers that go on without one.
    pub(super) fn find_peer(&self, typed: &str) -> Result<Peer, RegistryError> {
        match self.network.available() {
            Some(network) => network.sync().find(typed),
            None => self.registry.find(typed),
        }
    }

    /// Time since the start, in milliseconds.
    pub(super) fn uptime_ms(&self) -> u64 {
        u64::try_from(self.started.elapsed().as_millis()).unwrap_or(u64::MAX)
    }
}
