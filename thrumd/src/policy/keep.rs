//! Peers that were paired by policy are peers as long as they have their grant.

use std::collections::BTreeMap;
use std::future::pending;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use thrum_api::DaemonId;
use thrum_api::local::TailnetKind;
use tokio::sync::watch;
use tokio::time::{Instant, sleep, sleep_until};
use tokio_util::sync::CancellationToken;

use super::{Policy, Standing, lock};
use crate::peer::Peer;
use crate::report::Chain;
use crate::sync::Sync;
use crate::tailnet::tailscaled::Nodes;

/// How often to look without being told.
const EVERY: Duration = Duration::from_secs(3600);
/// How soon to look again after the tailnet could not be asked, or a peer not be removed.
const AGAIN: Duration = Duration::from_secs(60);
/// News comes in bursts; and a grant must be away for this long, since a node that is changed is
/// away for a moment.
pub(super) const SETTLE: Duration = Duration::from_secs(2);
/// A node that is not in the tailnet for so long is not coming back.
pub(super) const GONE: Duration = Duration::from_secs(300);

/// What was found of one peer.
pub(super) enum Finding {
    Granted,
    /// Its node isn't in the tailnet.
    Absent,
    /// It is, without the grant.
    Lost(String),
    Unknown,
}

#[derive(Default)]
pub(super) struct Keeper {
    /// Since when a peer's node is not in the tailnet.
    absent: BTreeMap<DaemonId, Instant>,
    /// Since when a peer has no grant.
    lost: BTreeMap<DaemonId, Instant>,
}

impl Policy {
    /// Removes peers that were paired by policy when they lose their grant or leave the tailnet,
    /// until `stop` is cancelled. Sleeps while there are none.
    pub async fn keep(self, sync: Sync, stop: CancellationToken) {
        tokio::select! {
            () = stop.cancelled() => {}
            () = self.watch_over(&sync) => {}
        }
    }

    async fn watch_over(&self, sync: &Sync) {
        let mut registry = self.shared.registry.watch();
        let mut looks = self.shared.tailnet.looks();
        let mut keeper = Keeper::default();
        loop {
            registry.mark_unchanged();
            let next = self.look(&mut keeper, sync).await;
            // Other news is about what is no concern of ours.
            let concerned = next.is_some();
            let time = async {
                match next {
                    Some(next) => sleep_until(next).await,
                    None => pending().await,
                }
            };
            tokio::select! {
                () = time => {}
                told = registry.changed() => if told.is_err() { return },
                () = changed(&mut looks), if concerned => {}
                () = self.shared.look.notified() => {}
            }
            sleep(SETTLE).await;
        }
    }

    /// Looks at every peer that was paired by policy. Answers when to look again; None while there
    /// are none.
    pub(super) async fn look(&self, keeper: &mut Keeper, sync: &Sync) -> Option<Instant> {
        // Another kind of tailnet is tried out: nothing is known of the nodes.
        if self.shared.tailnet.kind() == TailnetKind::Loopback {
            return None;
        }
        let (mut next, mut lost) = (None, Vec::new());
        let mut peers = self.shared.registry.all();
        peers.retain(|peer| peer.by_policy.is_some());
        keeper.absent.retain(|id, _| peers.iter().any(|peer| peer.daemon_id == *id));
        keeper.lost.retain(|id, _| peers.iter().any(|peer| peer.daemon_id == *id));
        for peer in peers {
            let finding = self.find(&peer).await;
            let at = match keeper.judge(peer.daemon_id, &finding, Instant::now()) {
                Verdict::Stays(at) => at,
                Verdict::Goes => {
                    let why = match finding {
                        Finding::Lost(why) => why,
                        _ => "it has left the tailnet".to_owned(),
                    };
                    lost.push(self.remove(peer, why, sync));
                    continue;
                }
            };
            next = Some(next.map_or(at, |next: Instant| next.min(at)));
        }
        // All at once: each goodbye may take seconds, and none must wait for another's.
        if join_all(lost).await.contains(&false) {
            let at = Instant::now() + AGAIN;
            next = Some(next.map_or(at, |next| next.min(at)));
        }
        next
    }

    async fn find(&self, peer: &Peer) -> Finding {
        let node = peer.node.as_deref().unwrap_or_default();
        let known = match self.capability() {
            None => Ok(Some(Standing::Off)),
            Some(_) => match self.shared.tailnet.locate(node).await {
                Ok(None) => Ok(None),
                Ok(Some(_)) => self.standing(node).await.map(Some),
                Err(error) => Err(error),
            },
        };
        match known {
            Ok(None) => Finding::Absent,
            Ok(Some(Standing::Off)) => {
                Finding::Lost("pairing by the tailnet's policy was turned off there".to_owned())
            }
            Ok(Some(Standing::NotGranted(capability))) => {
                Finding::Lost(format!("the tailnet's policy no longer grants it {capability}"))
            }
            Ok(Some(Standing::Granted(capability))) => {
                self.granted(peer, capability).await;
                Finding::Granted
            }
            Err(error) => {
                tracing::debug!("grant of {}: {}", peer.name, Chain(&error));
                Finding::Unknown
            }
        }
    }

    /// Notes the grant, which may have another name than when it was paired.
    async fn granted(&self, peer: &Peer, capability: String) {
        lock(&self.shared.seen).insert(peer.daemon_id, Instant::now());
        let changed = self.shared.registry.update(peer.daemon_id, |peer| {
            // A person may have paired it with a code meanwhile.
            if peer.by_policy.is_some() {
                peer.by_policy = Some(capability);
            }
        });
        if let Err(error) = changed.await {
            tracing::warn!("can't note the grant of {}: {}", peer.name, Chain(&error));
        }
    }

    /// Forgets a peer and tells it. False if that failed and has to be tried again.
    async fn remove(&self, peer: Peer, why: String, sync: &Sync) -> bool {
        let id = peer.daemon_id;
        // A person may have paired it with a code while we looked.
        if self.shared.registry.get(id).is_none_or(|now| now.by_policy.is_none()) {
            return true;
        }
        lock(&self.shared.seen).remove(&id);
        let name = self.shared.tailnet.name_or(peer.node.as_deref(), &peer.name);
        // First, so that its next request hears the reason, whenever it comes.
        if let Some(node) = peer.node {
            self.note_withdrawn(node, why.clone());
        }
        match sync.withdraw(id).await {
            Ok(_) => tracing::warn!("[pairing] {name} ({id}) is no peer any more: {why}"),
            Err(error) => {
                tracing::error!("[pairing] can't remove {name} ({id}): {error}");
                return false;
            }
        }
        true
    }
}

pub(super) enum Verdict {
    /// And is looked at again then.
    Stays(Instant),
    Goes,
}

impl Keeper {
    /// What follows from what was found. Neither an absence nor a lost grant counts at first sight.
    pub(super) fn judge(&mut self, id: DaemonId, finding: &Finding, now: Instant) -> Verdict {
        let (since, patience) = match finding {
            Finding::Granted | Finding::Unknown => {
                self.absent.remove(&id);
                self.lost.remove(&id);
                let granted = matches!(finding, Finding::Granted);
                return Verdict::Stays(now + if granted { EVERY } else { AGAIN });
            }
            Finding::Absent => {
                self.lost.remove(&id);
                (*self.absent.entry(id).or_insert(now), GONE)
            }
            Finding::Lost(_) => {
                self.absent.remove(&id);
                (*self.lost.entry(id).or_insert(now), SETTLE)
            }
        };
        let end = since + patience;
        if now >= end { Verdict::Goes } else { Verdict::Stays(end) }
    }
}

async fn changed(looks: &mut Option<watch::Receiver<Arc<Nodes>>>) {
    let told = match looks {
        Some(looks) => looks.changed().await.is_ok(),
        None => false,
    };
    if !told {
        // A tailnet that is gone has no more news.
        pending().await
    }
}
