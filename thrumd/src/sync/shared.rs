//! State that the driver, its tasks and the public calls share.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use thrum_api::local::{PeerState, unsigned};
use thrum_api::peer::{PeerInfo, PeerInfoParams, SyncPeerInfo};
use thrum_api::{DaemonId, Timestamp, names};
use tokio::sync::{Semaphore, mpsc, oneshot, watch};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::client::{Answer, Bounds, Callee, Client, ClientError};
use super::hub::{Input, LinkSnapshot, MonotonicTime};
use super::page_size::PageSize;
use super::pairings::Pairings;
use super::progress::PeerProgress;
use super::protocol::Rereads;
use crate::clock;
use crate::log::{Applied, Log};
use crate::message_id;
use crate::metrics::SyncMetrics;
use crate::peer::{Peer, Registry, RegistryError};
use crate::tailnet::Tailnet;

/// A name that a peer reports sooner after its last one is not stored.
const RENAME_PAUSE: Duration = Duration::from_secs(60);

/// After a notification with events that nobody signed, those in notifications of that peer are not read for this long.
pub(super) const UNSIGNED_PAUSE: Duration = Duration::from_secs(5);

/// A message to the driver. Its queue is bounded; a sender that finds it full waits.
pub(super) enum Message {
    /// An input for the hub.
    Input(Input),
    /// Peers changed, or a join has ended.
    Peers,
    /// Asks for a snapshot of each link.
    Snapshots(oneshot::Sender<Snapshots>),
}

/// Bytes of a version at most.
const VERSION_MAX: usize = 64;

/// Snapshots of the hub's links, and the time since its clock began.
#[derive(Default)]
pub(super) struct Snapshots {
    pub(super) elapsed: Duration,
    pub(super) links: BTreeMap<DaemonId, LinkSnapshot>,
}

/// What was observed of one peer since start.
#[derive(Debug, Clone, Default)]
pub(super) struct Traffic {
    pub(super) events_received: u64,
    pub(super) round_trip: Option<Duration>,
    /// When it last answered or called.
    pub(super) last_contact: Option<Timestamp>,
    /// When its log was last read to its end, by the wall clock as it was then: counted back from now it would move with
    /// each sleep of this machine.
    pub(super) last_sync: Option<Timestamp>,
    pub(super) version: Option<String>,
    /// The page size for pulls from it.
    pub(super) page: PageSize,
    /// When its log was last read from its start because events of it were withheld.
    pub(super) rereads: Rereads,
    /// Why it last refused our token.
    pub(super) refusal: Option<&'static str>,
    /// When the name was stored that it last reported.
    renamed: Option<Instant>,
    /// When it last sent a notification with events that its origins did not sign.
    pub(super) sent_unsigned: Option<Instant>,
}

impl Traffic {
    /// Whether the events of its notifications are left unread. Each run's signature costs time, and a peer can send as many
    /// as it likes; in a pause after those that were not signed they cost nothing. What is left out is pulled.
    pub(super) fn leaves_events(&self, now: Instant) -> bool {
        self.sent_unsigned.is_some_and(|at| now < at + UNSIGNED_PAUSE)
    }

    /// Notes the version that it told. What is no version would be a label of the metrics all the same.
    pub(super) fn told_version(&mut self, version: String) {
        let is_one = (1..=VERSION_MAX).contains(&version.len())
            && version.bytes().all(|byte| byte.is_ascii_alphanumeric() || b".+-".contains(&byte));
        self.version = is_one.then_some(version);
    }
}

pub(super) struct Shared {
    pub(super) log: Log,
    pub(super) registry: Registry,
    pub(super) tailnet: Tailnet,
    pub(super) client: Client,
    pub(super) name: Arc<str>,
    /// The port that the listener is bound to; 0 while there is none.
    pub(super) port: watch::Receiver<u16>,
    /// The configured port; 0 picks a free one.
    pub(super) wanted_port: u16,
    pub(super) started: Instant,
    pub(super) enabled: watch::Sender<bool>,
    /// The state of each peer that was contacted.
    pub(super) peer_states: watch::Sender<BTreeMap<DaemonId, PeerState>>,
    /// How far each peer has come in this log, and how it is with it.
    pub(super) progress: watch::Sender<BTreeMap<DaemonId, PeerProgress>>,
    pub(super) inputs: mpsc::Sender<Message>,
    /// Cancelled when nothing new may begin.
    pub(super) stop: CancellationToken,
    /// Cancelled when running tasks must end.
    pub(super) abort: CancellationToken,
    pub(super) tasks: TaskTracker,
    pub(super) metrics: Arc<SyncMetrics>,
    pub(super) traffic: Mutex<BTreeMap<DaemonId, Traffic>>,
    /// Permits for bulk pages.
    pub(super) bulk: Semaphore,
    pub(super) pairings: Pairings,
}

impl Shared {
    /// Runs `work` in a task that `close` waits for, and aborts after a while.
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

    /// Sends a message to the driver. It is in the queue when this returns, so that the messages of one caller keep
    /// their order, and a peer waits that sends more than the driver takes.
    pub(super) async fn post(&self, message: Message) {
        // Fails only if the driver has ended, when nothing is left to do.
        self.inputs.send(message).await.unwrap_or_default();
    }

    pub(super) fn traffic(&self, peer: DaemonId, change: impl FnOnce(&mut Traffic)) {
        change(self.traffic.lock().entry(peer).or_default());
    }

    /// Time since start.
    pub(super) fn now(&self) -> MonotonicTime {
        MonotonicTime(self.started.elapsed())
    }

    /// Counts events that were received.
    pub(super) fn count(&self, peer: DaemonId, applied: &Applied) {
        let number = |n: usize| u64::try_from(n).unwrap_or(u64::MAX);
        let received = number(applied.applied + applied.skipped + applied.refused);
        self.metrics.events_received.inc_by(received);
        self.metrics.events_duplicate.inc_by(number(applied.skipped));
        self.metrics.rollbacks.inc_by(u64::from(applied.new_epoch));
        self.traffic(peer, |traffic| traffic.events_received += received);
    }

    /// Logs how many events were received, if any.
    pub(super) fn log_synced(&self, method: &str, peer: DaemonId, total: &Applied) {
        let Applied { applied, skipped, refused, .. } = total;
        if applied + refused > 0 {
            tracing::info!(about = %peer, journal.method = method, "{method}: synced from {peer} — applied={applied} skipped={skipped}");
        }
        if *refused > 0 {
            tracing::warn!(about = %peer, journal.message_id = message_id::UNSIGNED, journal.method = method, "{method}: {}: {refused}, which were not taken", unsigned(peer));
        }
    }

    /// Records that a peer answered.
    pub(super) async fn answered<R>(&self, peer: &Peer, all: &[SocketAddr], answer: &Answer<R>) {
        self.traffic(peer.daemon_id, |traffic| {
            traffic.round_trip = Some(answer.round_trip);
            traffic.last_contact = Some(clock::now());
            traffic.refusal = None;
        });
        self.follow_address(peer, all, answer.address).await;
    }

    /// Records why a peer refused our token, if that is why a request failed.
    pub(super) fn note_refusal(&self, peer: DaemonId, error: &ClientError) {
        if matches!(error, ClientError::Refused { .. }) {
            self.traffic(peer, |traffic| traffic.refusal = error.refusal());
        }
    }

    /// Whether the peer is still paired with the same token.
    pub(super) fn is_still(&self, peer: &Peer) -> bool {
        let now = self.registry.get(peer.daemon_id);
        now.is_some_and(|now| now.token.matches(peer.token.expose()))
    }

    /// The addresses to dial a peer at: those of its node in the tailnet, else its stored address.
    pub(super) async fn locate(&self, peer: &Peer) -> Result<Vec<SocketAddr>, ClientError> {
        let fail = |source| ClientError::Locate { peer: peer.name.clone(), source };
        let Some(node) = &peer.node else {
            return match self.registry.address_of(peer.daemon_id) {
                Some(address) => Ok(vec![address]),
                None => Ok(self.tailnet.resolve(&peer.address).await.map_err(fail)?.addresses),
            };
        };
        let found = self.tailnet.locate(node).map_err(fail)?;
        let addresses: Vec<IpAddr> =
            found.ok_or_else(|| ClientError::NotThere { peer: peer.name.clone() })?;
        let port = peer.address.rsplit_once(':').and_then(|(_, port)| port.parse().ok());
        let port = port.unwrap_or(thrum_api::limits::DEFAULT_PORT);
        Ok(addresses.into_iter().map(|ip| SocketAddr::new(ip, port)).collect())
    }

    /// Asks a daemon for its name and version; without a token it refuses.
    pub(super) async fn peer_info(
        &self,
        of: Callee<'_>,
        addresses: &[SocketAddr],
    ) -> Result<Answer<PeerInfo>, ClientError> {
        let params = PeerInfoParams::default();
        self.client.call::<SyncPeerInfo>(of, addresses, &params, Bounds::SMALL).await
    }

    /// Snapshots of the links. When the driver has stopped there are none: then sync is off.
    pub(super) async fn snapshots(&self) -> Snapshots {
        let (answer, snapshots) = oneshot::channel();
        // The driver drops the answer if it has ended.
        self.post(Message::Snapshots(answer)).await;
        snapshots.await.unwrap_or_default()
    }

    /// The label of a peer: its name in the tailnet, else the name that it reports, with its id where that is
    /// not plain or not unique.
    pub(super) fn name_of(&self, peer: &Peer) -> String {
        self.registry.label(peer, (self.log.daemon(), &self.name), |peer| {
            self.tailnet.display_name(peer.node.as_deref(), &peer.name)
        })
    }

    /// The labels of all peers.
    pub(super) fn names(&self) -> BTreeMap<DaemonId, String> {
        self.registry.labels((self.log.daemon(), &self.name), |peer| {
            self.tailnet.display_name(peer.node.as_deref(), &peer.name)
        })
    }

    /// Finds a peer by its names in the tailnet, the name that it reports, or its daemon id.
    pub(super) fn find(&self, typed: &str) -> Result<Peer, RegistryError> {
        self.registry.find_as(typed, |peer| {
            let node = peer.node.as_deref().and_then(|id| self.tailnet.node(id));
            node.map_or_else(Vec::new, |node| vec![node.short_name().to_owned(), node.name])
        })
    }

    /// Stores the address at which a peer answered, if it has moved. `now` always comes from the tailnet.
    pub(super) async fn follow_address(&self, peer: &Peer, all: &[SocketAddr], now: SocketAddr) {
        let known = peer.address.parse().is_ok_and(|known| all.contains(&known));
        if peer.node.is_none() || known {
            return;
        }
        let noted = self.registry.update(peer.daemon_id, move |peer| {
            peer.address = now.to_string();
        });
        if let Err(error) = noted.await {
            tracing::warn!(about = %peer.daemon_id, "can't store the new address of {}: {}", peer.name, chain(&error));
        }
    }

    /// Stores the name that a peer reports, if it is another one. A peer that reports a new one with every request
    /// must not have the file written for each.
    pub(super) async fn follow_name(&self, peer: &Peer, name: &str) {
        let Some(name) = names::daemon(name).ok().filter(|name| *name != peer.name) else { return };
        let (mut may_rename, now) = (false, Instant::now());
        self.traffic(peer.daemon_id, |traffic| {
            may_rename = traffic.renamed.is_none_or(|at| now >= at + RENAME_PAUSE);
            if may_rename {
                traffic.renamed = Some(now);
            }
        });
        if !may_rename {
            return;
        }
        let changed = self.registry.update(peer.daemon_id, move |peer| peer.name = name).await;
        if let Err(error) = changed {
            tracing::warn!(about = %peer.daemon_id, "can't store the new name of {}: {}", peer.name, chain(&error));
        }
    }
}

pub(super) fn chain(error: &dyn std::error::Error) -> String {
    crate::report::Chain(error).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_version_is_kept_as_one() {
        let kept = |version: &str| {
            let mut traffic = Traffic { version: Some("0.1.0".to_owned()), ..Traffic::default() };
            traffic.told_version(version.to_owned());
            traffic.version
        };
        for version in ["1", "0.2.0-rc.1+g3f", &"1".repeat(VERSION_MAX)] {
            assert_eq!(kept(version).as_deref(), Some(version));
        }
        for other in ["", "1 2", "1\n", "1\"", "\u{661}", &"1".repeat(VERSION_MAX + 1)] {
            assert_eq!(kept(other), None, "{other:?}");
        }
    }
}
