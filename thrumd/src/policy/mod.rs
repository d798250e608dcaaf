//! Pairing by the tailnet's policy: a grant with an application capability stands in for the code.
//!
//! Two persons allow it: one writes the grant in the tailnet's policy, the other runs
//! `thrum peer policy on` here. What a caller has been granted is read from our own tailscaled and
//! never believed from the request. A peer that was paired so is one as long as it has the grant:
//! `admits` looks when it calls, `keep` when the tailnet has news and every hour.

mod desk;
mod keep;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use thrum_api::local::TailnetKind;
use thrum_api::peer::reason;
use thrum_api::{DaemonId, ErrorCode, RpcError};
use tokio::sync::Notify;
use tokio::time::Instant;

use crate::peer::Registry;
use crate::report::Chain;
use crate::tailnet::{Caller, Tailnet, TailnetError};
use desk::Desk;

/// So long a grant that was seen is believed of a peer that keeps calling. A change of the
/// tailnet's policy doesn't cut connections that are open.
const BELIEVED: Duration = Duration::from_secs(30);
/// So many nodes are remembered as no longer granted.
const WITHDRAWN_MAX: usize = 256;

/// Pairing by policy. Clones share it.
#[derive(Clone)]
pub struct Policy {
    shared: Arc<Shared>,
}

struct Shared {
    registry: Registry,
    tailnet: Tailnet,
    daemon: DaemonId,
    name: Arc<str>,
    desk: Mutex<Desk>,
    /// When each peer was last seen to have its grant.
    seen: Mutex<BTreeMap<DaemonId, Instant>>,
    /// Nodes whose peers were removed, and why: they are told when they call again.
    withdrawn: Mutex<BTreeMap<String, String>>,
    /// A peer called that has lost its grant.
    look: Notify,
}

/// How a node stands with the tailnet's policy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Standing {
    /// No person allowed pairing by policy here, or the tailnet kind has none.
    Off,
    /// It has no grant of this name.
    NotGranted(String),
    /// It has a grant of this name.
    Granted(String),
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Policy {
    /// Pairing by policy as the registry says, which may be off.
    pub fn new(registry: Registry, tailnet: Tailnet, daemon: DaemonId, name: Arc<str>) -> Self {
        Self {
            shared: Arc::new(Shared {
                registry,
                tailnet,
                daemon,
                name,
                desk: Mutex::default(),
                seen: Mutex::default(),
                withdrawn: Mutex::default(),
                look: Notify::new(),
            }),
        }
    }

    /// The capability that stands in for a code; None while that is off. The loopback kind knows
    /// nobody, so that it is always off there.
    fn capability(&self) -> Option<String> {
        let policy = self.shared.registry.policy();
        let possible = self.shared.tailnet.kind() != TailnetKind::Loopback;
        (policy.on && possible).then_some(policy.capability)
    }

    /// How the node stands now, by what our tailscaled says. The grant's values narrow what it is
    /// for in later versions; here having it is all.
    async fn standing(&self, node: &str) -> Result<Standing, TailnetError> {
        let Some(capability) = self.capability() else { return Ok(Standing::Off) };
        let granted = self.shared.tailnet.grants(node, &capability).await?.is_some();
        Ok(if granted { Standing::Granted(capability) } else { Standing::NotGranted(capability) })
    }

    /// What a caller without a token is told of pairing by policy: whether it may, or nothing while
    /// that is off.
    pub async fn offer(&self, caller: &Caller) -> Option<bool> {
        let node = caller.node.as_ref()?;
        match self.standing(&node.stable_id).await {
            Ok(Standing::Granted(_)) => Some(true),
            Ok(Standing::NotGranted(_)) => Some(false),
            Ok(Standing::Off) => None,
            Err(error) => {
                tracing::warn!("can't tell what {} may: {}", caller.describe(), Chain(&error));
                None
            }
        }
    }

    /// Whether a peer whose token was right may go on. A peer that was paired by a code always may.
    ///
    /// # Errors
    /// What to answer it (fail closed): its grant is not to be seen, or the tailnet can't be asked.
    /// Neither is final. That it is a peer no more, it hears of [`Self::refusal`] once `keep` has
    /// looked twice: a node that is changed is away for a moment.
    pub async fn admits(&self, id: DaemonId, caller: &Caller) -> Result<(), RpcError> {
        let by_policy = self.shared.registry.get(id).and_then(|peer| peer.by_policy);
        let Some(capability) = by_policy else { return Ok(()) };
        if lock(&self.shared.seen).get(&id).is_some_and(|seen| seen.elapsed() < BELIEVED) {
            return Ok(());
        }
        let node = caller.node.as_ref().map(|node| node.stable_id.as_str()).unwrap_or_default();
        match self.standing(node).await {
            Ok(Standing::Granted(_)) => {
                lock(&self.shared.seen).insert(id, Instant::now());
                Ok(())
            }
            Ok(Standing::NotGranted(_) | Standing::Off) => {
                self.shared.look.notify_one();
                let message = format!(
                    "the tailnet's policy does not grant this machine {capability} at the moment; \
                     it is looked at again in a few seconds"
                );
                Err(RpcError::new(ErrorCode::INTERNAL, message))
            }
            Err(error) => Err(unknown(caller, &error)),
        }
    }

    /// What a caller is told whose token is of no peer any more, if it was removed because of its
    /// grant.
    pub fn refusal(&self, caller: &Caller) -> Option<RpcError> {
        let node = caller.node.as_ref()?;
        lock(&self.shared.withdrawn).get(&node.stable_id).map(|why| withdrawn(why))
    }

    /// A caller was let in, by whatever: why it was removed once is told no more.
    pub fn let_in(&self, caller: &Caller) {
        if let Some(node) = &caller.node {
            lock(&self.shared.withdrawn).remove(&node.stable_id);
        }
    }

    fn note_withdrawn(&self, node: String, why: String) {
        let mut withdrawn = lock(&self.shared.withdrawn);
        if withdrawn.len() >= WITHDRAWN_MAX {
            withdrawn.pop_first();
        }
        withdrawn.insert(node, why);
    }
}

/// The answer while nobody can tell what the caller may.
fn unknown(caller: &Caller, error: &TailnetError) -> RpcError {
    tracing::warn!("can't tell what {} may: {}", caller.describe(), Chain(error));
    let message = "what the tailnet's policy grants can't be known at the moment";
    RpcError::new(ErrorCode::INTERNAL, message)
}

fn withdrawn(why: &str) -> RpcError {
    RpcError::new(
        ErrorCode::NOT_AUTHENTICATED,
        format!("this machine was paired by the tailnet's policy and is a peer no more: {why}"),
    )
    .with("reason", reason::GRANT_WITHDRAWN)
    .hint("grant it the capability again and run `thrum peer join`, or pair with a code")
}
