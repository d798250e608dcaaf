//! What the driver, its tasks and the public calls share.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use parking_lot::Mutex;
use thrum_api::local::PeerState;
use thrum_api::{DaemonId, names};
use tokio::sync::{Semaphore, mpsc, oneshot, watch};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::SyncCounters;
use super::client::{Answer, Client, ClientError};
use super::hub::{Failure, Input, LinkSnapshot, MonotonicTime};
use super::page_size::PageSize;
use super::pairings::Pairings;
use super::protocol::CheckpointMismatch;
use crate::log::{Applied, Log, LogError};
use crate::peer::{Peer, Registry, RegistryError};
use crate::tailnet::Tailnet;

/// What the driver is told. Its queue has a bound; who finds it full waits in a task of its own.
pub(super) enum Message {
    /// For the hub.
    Input(Input),
    /// Peers changed, or are no longer being joined.
    Peers,
    /// How it stands with each peer.
    Views(oneshot::Sender<Views>),
}

/// The hub's views, and how long ago its clock began.
pub(super) struct Views {
    pub(super) elapsed: Duration,
    pub(super) links: BTreeMap<DaemonId, LinkSnapshot>,
}

/// What was seen of one peer since start.
#[derive(Debug, Clone, Default)]
pub(super) struct Traffic {
    pub(super) events_received: u64,
    pub(super) round_trip: Option<Duration>,
    pub(super) version: Option<String>,
    /// How much of its log is asked for at once.
    pub(super) page: PageSize,
    /// When its log was last read from its start because our checkpoint matched by chance.
    pub(super) mismatch: CheckpointMismatch,
    /// Why it refused our token the last time.
    pub(super) refusal: Option<&'static str>,
}

#[derive(Default)]
pub(super) struct Counters {
    pub(super) pulls_sent: AtomicU64,
    pub(super) notifies_sent: AtomicU64,
    pub(super) events_received: AtomicU64,
    pub(super) events_duplicate: AtomicU64,
}

impl Counters {
    pub(super) fn read(&self) -> SyncCounters {
        SyncCounters {
            pulls_sent: self.pulls_sent.load(Ordering::Relaxed),
            notifies_sent: self.notifies_sent.load(Ordering::Relaxed),
            events_received: self.events_received.load(Ordering::Relaxed),
            events_duplicate: self.events_duplicate.load(Ordering::Relaxed),
        }
    }
}

pub(super) struct Shared {
    pub(super) log: Log,
    pub(super) registry: Registry,
    pub(super) tailnet: Tailnet,
    pub(super) client: Client,
    pub(super) name: Arc<str>,
    /// The port that our listener has; 0 while there is none.
    pub(super) port: watch::Receiver<u16>,
    /// The port that it will have; 0 if any will do.
    pub(super) wanted_port: u16,
    pub(super) started: Instant,
    pub(super) enabled: watch::Sender<bool>,
    /// How it stands with each peer that was talked to, told as it changes.
    pub(super) standing: watch::Sender<BTreeMap<DaemonId, PeerState>>,
    pub(super) inputs: mpsc::Sender<Message>,
    /// Nothing new is begun.
    pub(super) stop: CancellationToken,
    /// What is under way ends now.
    pub(super) abort: CancellationToken,
    pub(super) tasks: TaskTracker,
    pub(super) counters: Counters,
    pub(super) traffic: Mutex<BTreeMap<DaemonId, Traffic>>,
    /// Permits for pages after the first of a pull.
    pub(super) bulk: Semaphore,
    pub(super) pairings: Pairings,
}

impl Shared {
    /// Runs `work` beside the driver until it is done or `close` loses patience.
    pub(super) fn spawn(
        self: &Arc<Self>,
        work: impl Future<Output = ()> + Send + 'static,
    ) -> tokio::task::JoinHandle<()> {
        let abort = self.abort.clone();
        self.tasks.spawn(async move {
            tokio::select! {
                () = abort.cancelled() => {}
                () = work => {}
            }
        })
    }

    /// Tells the driver.
    pub(super) fn post(self: &Arc<Self>, message: Message) {
        if let Err(mpsc::error::TrySendError::Full(message)) = self.inputs.try_send(message) {
            let inputs = self.inputs.clone();
            self.spawn(async move {
                // The driver is gone only when everything is.
                inputs.send(message).await.unwrap_or_default();
            });
        }
    }

    pub(super) fn traffic(&self, peer: DaemonId, change: impl FnOnce(&mut Traffic)) {
        change(self.traffic.lock().entry(peer).or_default());
    }

    /// Time since start.
    pub(super) fn now(&self) -> MonotonicTime {
        MonotonicTime(self.started.elapsed())
    }

    /// Counts events that came over the wire.
    pub(super) fn count(&self, peer: DaemonId, applied: &Applied) {
        let number = |n: usize| u64::try_from(n).unwrap_or(u64::MAX);
        let received = number(applied.applied + applied.skipped + applied.quarantined);
        self.counters.events_received.fetch_add(received, Ordering::Relaxed);
        self.counters.events_duplicate.fetch_add(number(applied.skipped), Ordering::Relaxed);
        self.traffic(peer, |traffic| traffic.events_received += received);
    }

    /// Logs that events came, if any did.
    pub(super) fn log_synced(&self, method: &str, peer: DaemonId, total: &Applied) {
        let Applied { applied, skipped, quarantined, .. } = total;
        if applied + quarantined > 0 {
            tracing::info!("{method}: synced from {peer} — applied={applied} skipped={skipped}");
        }
        if *quarantined > 0 {
            tracing::warn!("{method}: {quarantined} events of {peer} were quarantined");
        }
    }

    /// A peer answered: what is seen by that.
    pub(super) async fn answered<R>(&self, peer: &Peer, all: &[SocketAddr], answer: &Answer<R>) {
        self.traffic(peer.daemon_id, |traffic| {
            traffic.round_trip = Some(answer.round_trip);
            traffic.refusal = None;
        });
        self.follow_address(peer, all, answer.address).await;
    }

    /// A request to a peer failed: remembers the reason if it refused our token.
    pub(super) fn note_refusal(&self, peer: DaemonId, error: &ClientError) {
        if matches!(error, ClientError::Refused { .. }) {
            self.traffic(peer, |traffic| traffic.refusal = error.refusal());
        }
    }

    /// Whether it was neither removed nor paired again since.
    pub(super) fn is_still(&self, peer: &Peer) -> bool {
        let now = self.registry.get(peer.daemon_id);
        now.is_some_and(|now| now.token.matches(peer.token.expose()))
    }

    /// Where to dial a peer: where the tailnet says that its node is, else its address.
    pub(super) async fn locate(&self, peer: &Peer) -> Result<Vec<SocketAddr>, ClientError> {
        let fail = |source| ClientError::Locate { peer: peer.name.clone(), source };
        let Some(node) = &peer.node else {
            return match self.registry.address_of(peer.daemon_id) {
                Some(address) => Ok(vec![address]),
                None => Ok(self.tailnet.resolve(&peer.address).await.map_err(fail)?.addresses),
            };
        };
        let found = self.tailnet.locate(node).await.map_err(fail)?;
        let addresses: Vec<IpAddr> =
            found.ok_or_else(|| ClientError::NotThere { peer: peer.name.clone() })?;
        let port = peer.address.rsplit_once(':').and_then(|(_, port)| port.parse().ok());
        let port = port.unwrap_or(thrum_api::limits::DEFAULT_PORT);
        Ok(addresses.into_iter().map(|ip| SocketAddr::new(ip, port)).collect())
    }

    /// What a peer is called for people: its name in the tailnet, else what it calls itself.
    pub(super) fn name_of(&self, peer: &Peer) -> String {
        self.tailnet.display_name(peer.node.as_deref(), &peer.name)
    }

    /// The peer that a person means: by its names in the tailnet, what it calls itself, or its id.
    pub(super) fn find(&self, typed: &str) -> Result<Peer, RegistryError> {
        self.registry.find_as(typed, |peer| {
            let node = peer.node.as_deref().and_then(|id| self.tailnet.node(id));
            node.map_or_else(Vec::new, |node| vec![node.short_name().to_owned(), node.name])
        })
    }

    /// A peer answered at this address: noted if it has moved. Only what the tailnet says of its
    /// node gets here.
    pub(super) async fn follow_address(&self, peer: &Peer, all: &[SocketAddr], now: SocketAddr) {
        let known = peer.address.parse().is_ok_and(|known| all.contains(&known));
        if peer.node.is_none() || known {
            return;
        }
        let noted = self.registry.update(peer.daemon_id, move |peer| {
            peer.address = now.to_string();
        });
        if let Err(error) = noted.await {
            tracing::warn!("can't note the new address of {}: {}", peer.name, chain(&error));
        }
    }

    /// What a peer calls itself.
    pub(super) async fn follow_name(&self, peer: &Peer, name: &str) {
        if name == peer.name || names::daemon(name).is_err() {
            return;
        }
        let name = name.to_owned();
        let changed = self.registry.update(peer.daemon_id, move |peer| peer.name = name).await;
        if let Err(error) = changed {
            tracing::warn!("can't note the new name of {}: {}", peer.name, chain(&error));
        }
    }
}

/// A failure of our own log.
pub(super) fn local_failure(error: &LogError) -> Failure {
    Failure::local(chain(error))
}

/// The failure of a request to a peer that was removed, or paired again, meanwhile.
pub(super) fn no_peer() -> Failure {
    // Nobody answered that.
    Failure::local("it is no peer any more".to_owned())
}

pub(super) fn chain(error: &dyn std::error::Error) -> String {
    crate::report::Chain(error).to_string()
}
