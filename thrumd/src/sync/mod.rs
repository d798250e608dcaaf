//! Sync: replicates this log to the peers and their logs to this one.
//!
//! `hub` decides when to act and `protocol` what to exchange; neither has I/O, a clock or randomness of its
//! own. `driver` and its tasks carry it out.

mod check;
mod client;
mod drain;
mod driver;
pub mod hub;
mod join;
mod notify;
mod page_size;
pub mod pairings;
mod progress;
pub mod protocol;
mod pull;
mod serve;
mod shared;
mod sleep;
mod state_line;
mod status;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use thrum_api::local::{PeerState, PeerStatus};
use thrum_api::peer::{Notified, NotifyParams, PullPage, PullParams, reason};
use thrum_api::{DaemonId, PairingCode, RpcError, Sequence, Timestamp, local};
use tokio::sync::{Semaphore, mpsc, watch};
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::clock;
use crate::metrics::{SyncMetrics, SyncRequest};
use crate::peer::{Peer, RegistryError};
use crate::stop_limits::PEER_REQUESTS;
use client::Client;
use driver::Driver;
use hub::{Input, Timing};
use pairings::Pairings;
pub(crate) use progress::PeerProgress;
use shared::{Message, Shared};
pub(crate) use status::PeerFigures;

/// Capacity of the driver's queue. The driver handles each input in microseconds.
const QUEUE: usize = 1024;

/// The running sync. Clones share it.
#[derive(Clone)]
pub(crate) struct Sync {
    shared: Arc<Shared>,
}

/// Counters since start, for `status`.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct SyncCounters {
    /// `sync.pull` requests sent.
    pub pulls_sent: u64,
    /// `sync.notify` requests sent.
    pub notifies_sent: u64,
    /// Events received over the wire.
    pub events_received: u64,
    /// Of those, events that were already in the log.
    pub events_duplicate: u64,
}

/// What sync needs from the rest of the daemon.
pub(crate) struct SyncParts {
    pub log: crate::log::Log,
    pub registry: crate::peer::Registry,
    pub tailnet: crate::tailnet::Tailnet,
    /// How often to pull without a notification.
    pub cadence: crate::config::Cadence,
    /// The name of this machine.
    pub name: Arc<str>,
    /// The port that the listener is bound to; 0 while there is none.
    pub listening_port: tokio::sync::watch::Receiver<u16>,
    /// The configured port of the listener; 0 picks a free one.
    pub wanted_port: u16,
}

impl Sync {
    /// Starts sync. It does nothing on the network until `enable`.
    pub fn start(parts: SyncParts) -> Self {
        Self::start_with(parts, sleep::system_clock)
    }

    /// Starts sync with another clock for detecting sleep.
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
            peer_states: watch::Sender::default(),
            progress: watch::Sender::default(),
            inputs,
            stop: CancellationToken::new(),
            abort: CancellationToken::new(),
            tasks: TaskTracker::new(),
            metrics: Arc::default(),
            traffic: Default::default(),
            bulk: Semaphore::new(pull::BULK_PAGES),
            pairings: Pairings::new(registry.clone()),
            registry,
        });
        let driver = Driver::new(Arc::clone(&shared), Timing::new(cadence), through_sleep);
        shared.spawn(driver.run(queue));
        Self { shared }
    }

    /// Turns sync on.
    pub fn enable(&self) {
        self.shared.enabled.send_if_modified(|on| !std::mem::replace(on, true));
    }

    /// Whether sync is on, as it changes.
    pub fn enabled(&self) -> watch::Receiver<bool> {
        self.shared.enabled.subscribe()
    }

    /// Answers an authenticated `sync.pull`.
    pub async fn serve_pull(
        &self,
        peer: DaemonId,
        params: PullParams,
    ) -> Result<PullPage, RpcError> {
        serve::pull(&self.shared, peer, params).await
    }

    /// Answers an authenticated `sync.notify`, once its events are on disk or a pull was started for them.
    pub async fn serve_notify(
        &self,
        peer: DaemonId,
        params: NotifyParams,
    ) -> Result<Notified, RpcError> {
        serve::notify(&self.shared, peer, params).await
    }

    /// Ends the back-off of a peer that made an authenticated request.
    pub async fn heard_from(&self, peer: DaemonId) {
        self.shared.traffic(peer, |traffic| traffic.last_contact = Some(clock::now()));
        self.shared.post(Message::Input(Input::RequestReceived(peer))).await;
    }

    /// Looks up and probes a host, before the person is asked for its code.
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

    /// Removes a peer and notifies it, best effort (2 s at most).
    pub async fn remove(&self, typed: &str) -> Result<local::PeerRemoveResult, RpcError> {
        join::remove(&self.shared, typed, None).await
    }

    /// Removes a peer that lost the grant by which it was paired.
    pub async fn withdraw(&self, peer: DaemonId) -> Result<local::PeerRemoveResult, RpcError> {
        join::remove(&self.shared, &peer.to_string(), Some(reason::GRANT_WITHDRAWN)).await
    }

    /// Pulls and notifies now, and ends back-offs. None means every peer.
    pub async fn sync_now(&self, peer: Option<DaemonId>) {
        self.shared.post(Message::Input(Input::SyncNow(peer))).await;
    }

    /// The label of a peer: its name, with its id where the name is not plain or not unique.
    pub fn name_of(&self, peer: &Peer) -> String {
        self.shared.name_of(peer)
    }

    /// The labels of all peers.
    pub fn names(&self) -> BTreeMap<DaemonId, String> {
        self.shared.names()
    }

    /// Finds a peer by its name in the tailnet, the name that it reports, or its daemon id.
    ///
    /// # Errors
    /// When no peer or several peers match.
    pub fn find(&self, typed: &str) -> Result<Peer, RegistryError> {
        self.shared.find(typed)
    }

    /// Checks the connectivity of a peer step by step.
    pub async fn check(&self, peer: &Peer) -> local::PeerCheckResult {
        check::check(&self.shared, peer).await
    }

    /// The status of each peer, by name.
    pub async fn status(&self) -> Vec<PeerStatus> {
        status::status(&self.shared).await
    }

    /// As [`Self::status`], with what `/metrics` tells beyond that.
    pub async fn figures(&self) -> Vec<(PeerStatus, PeerFigures)> {
        status::figures(&self.shared).await
    }

    /// Since when each peer that can't be reached now could not be.
    pub async fn silent(&self) -> BTreeMap<DaemonId, Timestamp> {
        status::silent(&self.shared).await
    }

    /// The state of each peer that was contacted, as it changes.
    pub fn peer_states(&self) -> watch::Receiver<BTreeMap<DaemonId, PeerState>> {
        self.shared.peer_states.subscribe()
    }

    /// How far each peer has come in this log.
    pub fn progress(&self) -> BTreeMap<DaemonId, PeerProgress> {
        self.shared.progress.borrow().clone()
    }

    /// The same as it changes, with all that is told of peers.
    pub fn progress_changes(&self) -> watch::Receiver<BTreeMap<DaemonId, PeerProgress>> {
        self.shared.progress.subscribe()
    }

    /// Waits until each of these peers has this log on its disk up to a position, or can't be reached. One that was sent
    /// it and has not said so is asked. Dropping the future stops waiting.
    pub async fn reached(&self, peers: &BTreeSet<DaemonId>, position: Sequence) {
        progress::reached(&self.shared, peers, position).await;
    }

    /// Counters since start.
    pub fn counters(&self) -> SyncCounters {
        let metrics = &self.shared.metrics;
        SyncCounters {
            pulls_sent: metrics.requests.get(SyncRequest::Pull),
            notifies_sent: metrics.requests.get(SyncRequest::Notify),
            events_received: metrics.events_received.get(),
            events_duplicate: metrics.events_duplicate.get(),
        }
    }

    /// The instruments of sync.
    pub fn metrics(&self) -> &Arc<SyncMetrics> {
        &self.shared.metrics
    }

    /// Drains before exit: waits until every reachable peer has confirmed this log, 2 s at most. Peers must
    /// still be served meanwhile.
    pub async fn drain(&self) {
        drain::drain(&self.shared).await;
    }

    /// Stops sync. No new requests are made; those in flight get a second.
    pub async fn close(&self) {
        self.shared.stop.cancel();
        self.shared.tasks.close();
        if timeout(PEER_REQUESTS, self.shared.tasks.wait()).await.is_err() {
            self.shared.abort.cancel();
            self.shared.tasks.wait().await;
        }
    }
}
