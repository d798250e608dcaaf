//! The local surface on the Unix socket: everything that programs on this machine can ask.

mod ago;
mod connections;
mod dispatch;
mod errors;
mod events;
mod held;
mod http;
mod line;
mod messages;
mod metrics;
mod network;
mod peers;
mod policy;
mod problems;
mod query;
mod reach;
mod socket;
mod status;

#[cfg(test)]
mod tests;

use std::sync::{Arc, Mutex, PoisonError};

use thrum_api::local::Problem;
use thrum_api::{DaemonId, ErrorCode, RpcError, Timestamp};
use tokio::sync::watch;
use tokio::time::Instant;

use crate::agents::Agents;
use crate::config::Config;
use crate::log::Log;
use crate::peer::{Pairing, Peer, Registry};

pub use held::HeldSocket;
pub use http::serve;
pub use line::status_line;
pub use network::{Link, Network, NetworkParts};
pub use problems::problem;
pub use socket::{LocalSocket, SocketError};

/// What the local surface needs of the rest of the daemon.
pub struct Surface {
    /// The settings.
    pub config: Config,
    /// Who we are.
    pub daemon: DaemonId,
    /// What we call ourselves.
    pub name: Arc<str>,
    /// When we started, for the uptime.
    pub started: Instant,
    /// The state directory came from another machine, so that we must not sync.
    pub foreign: bool,
    /// The log.
    pub log: Log,
    /// Messages and agents.
    pub agents: Agents,
    /// Who is paired.
    pub registry: Registry,
    /// Who is pairing.
    pub pairing: Pairing,
    /// The way to peers, or why there is none.
    pub network: Network,
    /// What the start found that a person should know.
    pub found: Vec<Problem>,
    /// The last write that the disk refused, until one succeeds.
    pub disk: DiskTrouble,
    /// Becomes true once, when the daemon stops.
    pub stop: watch::Sender<bool>,
}

impl Surface {
    /// What a daemon calls itself, if it is this one or a peer.
    fn machine(&self, daemon: DaemonId) -> Option<String> {
        if daemon == self.daemon {
            return Some(self.name.to_string());
        }
        self.registry.get(daemon).map(|peer| self.name_of(&peer))
    }

    /// What a peer is called for people.
    fn name_of(&self, peer: &Peer) -> String {
        match self.network.link() {
            Some(link) => link.sync().name_of(peer),
            None => peer.name.clone(),
        }
    }

    /// The peer that a person means.
    fn find(&self, typed: &str) -> Result<Peer, RpcError> {
        let found = match self.network.link() {
            Some(link) => link.sync().find(typed),
            None => self.registry.find(typed),
        };
        found.map_err(errors::registry)
    }

    /// How long we have been running, in milliseconds.
    fn uptime_ms(&self) -> u64 {
        u64::try_from(self.started.elapsed().as_millis()).unwrap_or(u64::MAX)
    }
}

/// Remembers that the disk refused a write, so that `status` can say so.
#[derive(Debug, Default)]
pub struct DiskTrouble(Mutex<Option<(Timestamp, String)>>);

impl DiskTrouble {
    /// Takes notice of how a write ended.
    fn saw<T>(&self, outcome: &Result<T, RpcError>) {
        let mut trouble = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match outcome {
            Ok(_) => *trouble = None,
            Err(error) if error.code == ErrorCode::STORAGE => {
                let since = trouble.take().map_or_else(crate::clock::now, |(since, _)| since);
                *trouble = Some((since, error.message.clone()));
            }
            Err(_) => {}
        }
    }

    /// Since when, and what was said.
    fn now(&self) -> Option<(Timestamp, String)> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}
