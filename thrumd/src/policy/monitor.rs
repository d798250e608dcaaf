//! Removes peers that were paired by policy when they lose their grant or leave the tailnet.

use std::collections::BTreeMap;
use std::future::pending;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use thrum_api::DaemonId;
use thrum_api::local::TailnetKind;
use tokio::sync::watch;
use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;

use super::grants::{GrantStatus, Policy};
use crate::clock::sleep_until;
use crate::message_id;
use crate::peer::Peer;
use crate::report::Chain;
use crate::sync::Sync;
use crate::tailnet::tailscaled::NetMap;

/// How often the grants are checked without a notification.
const INTERVAL: Duration = Duration::from_secs(3600);
/// How soon to retry when the tailnet could not be asked, or a peer not be removed.
const RETRY: Duration = Duration::from_secs(60);
/// Changes come in bursts. A grant must be missing for this long, since a node that is being changed
/// has none for a moment.
pub(super) const SETTLE: Duration = Duration::from_secs(2);
/// How long a node must be absent from the tailnet until its peer is removed.
pub(super) const ABSENCE_LIMIT: Duration = Duration::from_secs(300);

/// The result of one check of a peer.
pub(super) enum Observation {
    Granted,
    /// Its node isn't in the tailnet.
    Absent,
    /// Its node has no grant, and why.
    Revoked(String),
    /// The tailnet could not be asked.
    Unknown,
}

/// Remembers since when peers miss their grant or their node.
#[derive(Default)]
pub(super) struct GrantMonitor {
    /// Since when a peer's node is not in the tailnet.
    absent: BTreeMap<DaemonId, Instant>,
    /// Since when a peer has no grant.
    pub(super) revoked: BTreeMap<DaemonId, Instant>,
}

impl Policy {
    /// Removes peers that were paired by policy when they lose their grant or leave the tailnet,
    /// until `stop` is cancelled. Sleeps while there are none.
    pub async fn monitor(self, sync: Sync, stop: CancellationToken) {
        tokio::select! {
            () = stop.cancelled() => {}
            () = self.check_repeatedly(&sync) => {}
        }
    }

    async fn check_repeatedly(&self, sync: &Sync) {
        let mut registry = self.shared.registry.watch();
        let mut nodes = self.shared.tailnet.netmap_updates();
        let mut monitor = GrantMonitor::default();
        loop {
            registry.mark_unchanged();
            let next = self.check_all(&mut monitor, sync).await;
            // Changes of the tailnet matter only while there are such peers.
            let any = next.is_some();
            tokio::select! {
                () = sleep_until(next) => {}
                changed = registry.changed() => if changed.is_err() { return },
                () = changed(&mut nodes), if any => {}
                () = self.shared.recheck.notified() => {}
            }
            sleep(SETTLE).await;
        }
    }

    /// Checks every peer that was paired by policy. Returns when to check again; None while there are
    /// none.
    pub(super) async fn check_all(
        &self,
        monitor: &mut GrantMonitor,
        sync: &Sync,
    ) -> Option<Instant> {
        // The peers were paired with another kind: nothing is known of their nodes.
        if self.shared.tailnet.kind() == TailnetKind::Loopback {
            return None;
        }
        let (mut checks, mut removals) = (Vec::new(), Vec::new());
        let mut peers = self.shared.registry.all();
        peers.retain(|peer| peer.by_policy.is_some());
        monitor.absent.retain(|id, _| peers.iter().any(|peer| peer.daemon_id == *id));
        monitor.revoked.retain(|id, _| peers.iter().any(|peer| peer.daemon_id == *id));
        for peer in peers {
            let observation = self.observe(&peer).await;
            match monitor.decide(peer.daemon_id, &observation, Instant::now()) {
                Decision::Keep(at) => checks.push(at),
                Decision::Remove => {
                    let why = match observation {
                        Observation::Revoked(why) => why,
                        _ => "it has left the tailnet".to_owned(),
                    };
                    removals.push(self.remove(peer, why, sync));
                }
            }
        }
        // In parallel: notifying a peer may take seconds and must not delay the others.
        if join_all(removals).await.contains(&false) {
            checks.push(Instant::now() + RETRY);
        }
        checks.into_iter().min()
    }

    async fn observe(&self, peer: &Peer) -> Observation {
        let node = peer.node.as_deref().unwrap_or_default();
        let status = match self.capability() {
            None => Ok(Some(GrantStatus::Off)),
            Some(_) => match self.shared.tailnet.locate(node) {
                Ok(None) => Ok(None),
                Ok(Some(_)) => self.grant_status(node).await.map(Some),
                Err(error) => Err(error),
            },
        };
        match status {
            Ok(None) => Observation::Absent,
            Ok(Some(GrantStatus::Off)) => Observation::Revoked(
                "pairing by the tailnet's policy was turned off there".to_owned(),
            ),
            Ok(Some(GrantStatus::NotGranted(capability))) => Observation::Revoked(format!(
                "the tailnet's policy no longer grants it {capability}"
            )),
            Ok(Some(GrantStatus::Granted(capability))) => {
                self.granted(peer, capability).await;
                Observation::Granted
            }
            Err(error) => {
                tracing::debug!("grant of {}: {}", peer.name, Chain(&error));
                Observation::Unknown
            }
        }
    }

    /// Records the grant, which may have another name than when the peer was paired.
    async fn granted(&self, peer: &Peer, capability: String) {
        self.shared.granted_at.lock().insert(peer.daemon_id, Instant::now());
        let changed = self.shared.registry.update(peer.daemon_id, |peer| {
            // A person may have paired it with a code meanwhile.
            if peer.by_policy.is_some() {
                peer.by_policy = Some(capability);
            }
        });
        if let Err(error) = changed.await {
            tracing::warn!(about = %peer.daemon_id, "can't store the grant of {}: {}", peer.name, Chain(&error));
        }
    }

    /// Removes a peer and notifies it. False if that failed and has to be retried.
    async fn remove(&self, peer: Peer, why: String, sync: &Sync) -> bool {
        let id = peer.daemon_id;
        // A person may have paired it with a code meanwhile.
        if self.shared.registry.get(id).is_none_or(|now| now.by_policy.is_none()) {
            return true;
        }
        self.shared.granted_at.lock().remove(&id);
        let name = self.shared.tailnet.display_name(peer.node.as_deref(), &peer.name);
        // Stored first, so that the answer to its next request contains the reason.
        if let Some(node) = peer.node {
            self.note_withdrawn(node, why.clone());
        }
        match sync.withdraw(id).await {
            Ok(_) => {
                tracing::warn!(about = %id, journal.message_id = message_id::REMOVED, journal.peer = name, "[pairing] {name} ({id}) is no longer a peer: {why}")
            }
            Err(error) => {
                tracing::error!(about = %id, "[pairing] can't remove {name} ({id}): {error}");
                return false;
            }
        }
        true
    }
}

/// What to do with a peer.
pub(super) enum Decision {
    /// Keep it, and check again then.
    Keep(Instant),
    Remove,
}

impl GrantMonitor {
    /// What follows from an observation. An absence or a missing grant must last for a while.
    pub(super) fn decide(
        &mut self,
        id: DaemonId,
        observation: &Observation,
        now: Instant,
    ) -> Decision {
        let (since, limit) = match observation {
            Observation::Granted | Observation::Unknown => {
                self.absent.remove(&id);
                self.revoked.remove(&id);
                let granted = matches!(observation, Observation::Granted);
                return Decision::Keep(now + if granted { INTERVAL } else { RETRY });
            }
            Observation::Absent => {
                self.revoked.remove(&id);
                (*self.absent.entry(id).or_insert(now), ABSENCE_LIMIT)
            }
            Observation::Revoked(_) => {
                self.absent.remove(&id);
                (*self.revoked.entry(id).or_insert(now), SETTLE)
            }
        };
        let end = since + limit;
        if now >= end { Decision::Remove } else { Decision::Keep(end) }
    }
}

async fn changed(nodes: &mut Option<watch::Receiver<Arc<NetMap>>>) {
    let changed = match nodes {
        Some(nodes) => nodes.changed().await.is_ok(),
        None => false,
    };
    if !changed {
        // The tailnet has ended, so nothing changes any further.
        pending().await
    }
}
