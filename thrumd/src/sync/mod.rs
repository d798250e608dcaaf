//! Keeps this log and the logs of the peers the same.
//!
//! `hub` decides when something is done and `protocol` what is exchanged (no I/O, no clock, no randomness
//! of their own); `driver` and its tasks carry it out.

mod check;
pub mod client;
mod drain;
mod driver;
pub mod hub;
mod join;
mod notify;
mod page_size;
pub mod pairings;
pub mod protocol;
mod pull;
mod serve;
mod shared;
mod sleep;
mod status;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::sync::Arc;

use thrum_api::local::{PeerState, PeerStatus};
use thrum_api::peer::{Notified, NotifyParams, PullPage, PullParams, reason};
use thrum_api::{DaemonId, PairingCode, RpcError, local};
use tokio::sync::{Semaphore, mpsc, watch};
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::peer::{Peer, RegistryError};
use crate::stop_limits::PEER_REQUESTS;
use client::Client;
use driver::Driver;
use hub::{Input, Timing};
use pairings::Pairings;
use shared::{Message, Shared};

/// Inputs that wait for the driver; it takes each in microseconds.
const QUEUE: usize = 1024;

/// The running sync. Clones share it.
#[derive(Clone)]
pub struct Sync {
    shared: Arc<Shared>,
}

/// Counters since start, for `status` and metrics.
#[derive(Debug, Clone, Copy, Default)]
pub struct SyncCounters {
    /// `sync.pull` requests sent.
    pub pulls_sent: u64,
    /// `sync.notify` requests sent.
    pub notifies_sent: u64,
    /// Events received over the wire.
    pub events_received: u64,
    /// Of those, held already.
    pub events_duplicate: u64,
}

/// What sync needs of the rest of the daemon.
pub struct SyncParts {
    /// The log.
    pub log: crate::log::Log,
    /// The peers.
    pub registry: crate::peer::Registry,
    /// The tailnet.
    pub tailnet: crate::tailnet::Tailnet,
    /// How often to look without being told.
    pub cadence: crate::config::Cadence,
    /// What this machine calls itself.
    pub name: Arc<str>,
    /// The port that our listener really has; 0 while there is none.
    pub listening_port: tokio::sync::watch::Receiver<u16>,
    /// The port that our listener is to have; 0 if any will do.
    pub wanted_port: u16,
}

impl Sync {
    /// Starts. Does nothing on the network until `enable`.
    pub fn start(parts: SyncParts) -> Self {
        Self::start_with(parts, sleep::system_clock)
    }

    /// The same with another clock to notice sleep by.
    fn start_with(parts: SyncParts, through_sleep: sleep::Clock) -> Self {
        let SyncParts { log, registry, tailnet, cadence, name, listening_port, wanted_port } =
            parts;
        let (inputs, queue) = mpsc::channel(QUEUE);
        let shared = Arc::new(Shared {
            log,
            client: Client::new(tailnet.clone()),
            tailnet,
            name,
            port: listening_port,
            wanted_port,
            started: tokio::time::Instant::now(),
            enabled: watch::Sender::new(false),
            standing: watch::Sender::default(),
            inputs,
            stop: CancellationToken::new(),
            abort: CancellationToken::new(),
            tasks: TaskTracker::new(),
            counters: Default::default(),
            traffic: Default::default(),
            bulk: Semaphore::new(pull::BULK_PAGES),
            pairings: Pairings::new(registry.clone()),
            registry,
        });
        let driver = Driver::new(Arc::clone(&shared), Timing::new(cadence), through_sleep);
        shared.spawn(driver.run(queue));
        Self { shared }
    }

    /// Begins talking to peers.
    pub fn enable(&self) {
        self.shared.enabled.send_if_modified(|on| !std::mem::replace(on, true));
    }

    /// Whether it is on, as it changes.
    pub fn enabled(&self) -> watch::Receiver<bool> {
        self.shared.enabled.subscribe()
    }

    /// A peer's `sync.pull`, already authenticated.
    pub async fn serve_pull(
        &self,
        peer: DaemonId,
        params: PullParams,
    ) -> Result<PullPage, RpcError> {
        serve::pull(&self.shared, peer, params).await
    }

    /// A peer's `sync.notify`, already authenticated. Answers when what it brought is on disk or a
    /// pull was started for it.
    pub async fn serve_notify(
        &self,
        peer: DaemonId,
        params: NotifyParams,
    ) -> Result<Notified, RpcError> {
        serve::notify(&self.shared, peer, params).await
    }

    /// An authenticated request came from this peer: ends its back-off.
    pub fn heard_from(&self, peer: DaemonId) {
        self.shared.post(Message::Input(Input::RequestReceived(peer)));
    }

    /// Looks up and probes a host before its code is asked for.
    pub async fn resolve(&self, address: &str) -> Result<local::PeerResolveResult, RpcError> {
        join::resolve(&self.shared, address).await
    }

    /// Sends `pair.request`, stores the peer as unconfirmed, makes the first authenticated request
    /// and starts syncing.
    pub async fn join(
        &self,
        address: &str,
        code: impl Into<Option<PairingCode>>,
    ) -> Result<local::PeerJoinResult, RpcError> {
        join::join(&self.shared, address, code.into()).await
    }

    /// Removes a peer and tells it, best effort (2 s at most).
    pub async fn remove(&self, typed: &str) -> Result<local::PeerRemoveResult, RpcError> {
        join::remove(&self.shared, typed, None).await
    }

    /// The same for a peer that lost the grant by which it was paired.
    pub async fn withdraw(&self, peer: DaemonId) -> Result<local::PeerRemoveResult, RpcError> {
        join::remove(&self.shared, &peer.to_string(), Some(reason::GRANT_WITHDRAWN)).await
    }

    /// Pulls now, and tells our news; ends back-offs. None means every peer.
    pub fn sync_now(&self, peer: Option<DaemonId>) {
        self.shared.post(Message::Input(Input::SyncNow(peer)));
    }

    /// What a peer is called for people: its name in the tailnet, else what it calls itself.
    pub fn name_of(&self, peer: &Peer) -> String {
        self.shared.name_of(peer)
    }

    /// The peer that a person means: by name in the tailnet, what it calls itself, or daemon id.
    ///
    /// # Errors
    /// When nobody or several are called that.
    pub fn find(&self, typed: &str) -> Result<Peer, RegistryError> {
        self.shared.find(typed)
    }

    /// Looks at every link of the way to a peer.
    pub async fn check(&self, peer: &Peer) -> local::PeerCheckResult {
        check::check(&self.shared, peer).await
    }

    /// How it stands with each peer, by name.
    pub async fn status(&self) -> Vec<PeerStatus> {
        status::status(&self.shared).await
    }

    /// How it stands with each peer that was talked to, as it changes.
    pub fn standing(&self) -> watch::Receiver<BTreeMap<DaemonId, PeerState>> {
        self.shared.standing.subscribe()
    }

    /// Counters since start.
    pub fn counters(&self) -> SyncCounters {
        self.shared.counters.read()
    }

    /// Asks every peer whether it holds this log and waits for those that answer, 2 s at most. For
    /// the end, while peers are still served.
    pub async fn drain(&self) {
        drain::drain(&self.shared).await;
    }

    /// Stops: no new requests; those under way get a second.
    pub async fn close(&self) {
        self.shared.stop.cancel();
        self.shared.tasks.close();
        if timeout(PEER_REQUESTS, self.shared.tasks.wait()).await.is_err() {
            self.shared.abort.cancel();
            self.shared.tasks.wait().await;
        }
    }
}
