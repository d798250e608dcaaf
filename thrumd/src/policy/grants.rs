//! What the tailnet's policy grants to callers and peers.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use thrum_api::local::{PeerState, TailnetKind};
use thrum_api::peer::reason;
use thrum_api::{DaemonId, ErrorCode, RpcError};
use tokio::sync::{Notify, watch};
use tokio::time::Instant;

use crate::peer::{PendingPairings, Registry};
use crate::report::Chain;
use crate::tailnet::{Caller, Tailnet, TailnetError};

/// How long a checked grant is trusted while its peer keeps calling. A change of the tailnet's policy
/// doesn't cut open connections.
pub(super) const GRANT_TTL: Duration = Duration::from_secs(30);
/// How long a new token may stay unused.
pub(super) const PENDING_LIFETIME: Duration = Duration::from_secs(60);
/// How many nodes are remembered whose grant was withdrawn. A newer one replaces the oldest.
const WITHDRAWN_MAX: usize = 256;

/// Pairing by policy. Clones share it.
#[derive(Clone)]
pub struct Policy {
    pub(super) shared: Arc<Shared>,
}

pub(super) struct Shared {
    pub(super) registry: Registry,
    pub(super) tailnet: Tailnet,
    /// The state of each peer that was contacted.
    pub(super) peer_states: watch::Receiver<BTreeMap<DaemonId, PeerState>>,
    pub(super) pending: Mutex<PendingPairings>,
    /// When each peer was last seen to have its grant.
    pub(super) granted_at: Mutex<BTreeMap<DaemonId, Instant>>,
    /// Nodes whose peers were removed, and why: the answer when they call again. The oldest first.
    withdrawn: Mutex<Vec<(String, String)>>,
    /// Wakes the monitor: a peer called that has lost its grant.
    pub(super) recheck: Notify,
}

/// What the tailnet's policy grants to a node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum GrantStatus {
    /// Pairing by policy is off here, or the tailnet kind has no policy.
    Off,
    /// The node does not have this capability.
    NotGranted(String),
    /// The node has this capability.
    Granted(String),
}

impl Policy {
    /// Pairing by policy as the registry has it, which may be off.
    pub fn new(
        registry: Registry,
        tailnet: Tailnet,
        peer_states: watch::Receiver<BTreeMap<DaemonId, PeerState>>,
    ) -> Self {
        Self {
            shared: Arc::new(Shared {
                registry,
                tailnet,
                peer_states,
                pending: Mutex::new(PendingPairings::new(PENDING_LIFETIME)),
                granted_at: Mutex::default(),
                withdrawn: Mutex::default(),
                recheck: Notify::new(),
            }),
        }
    }

    /// The capability that replaces a code; None while that is off. Always off with the loopback
    /// kind, which has no identities.
    pub(super) fn capability(&self) -> Option<String> {
        let policy = self.shared.registry.policy();
        let possible = self.shared.tailnet.kind() != TailnetKind::Loopback;
        (policy.on && possible).then_some(policy.capability)
    }

    /// What our tailscaled reports for the node now. Having the grant is enough; later versions may use its
    /// values to narrow it.
    pub(super) async fn grant_status(&self, node: &str) -> Result<GrantStatus, TailnetError> {
        let Some(capability) = self.capability() else { return Ok(GrantStatus::Off) };
        let granted = self.shared.tailnet.grants(node, &capability).await?.is_some();
        Ok(match granted {
            true => GrantStatus::Granted(capability),
            false => GrantStatus::NotGranted(capability),
        })
    }

    /// What the node of a caller is granted now.
    ///
    /// # Errors
    /// The answer while the tailnet can't be asked (fail closed).
    pub(super) async fn grant_status_of(&self, caller: &Caller) -> Result<GrantStatus, RpcError> {
        let node = caller.node.as_ref().map(|node| node.stable_id.as_str()).unwrap_or_default();
        self.grant_status(node).await.map_err(|error| {
            tracing::warn!(about = %caller.address.ip(), "can't look up the grants of {}: {}", caller.describe(), Chain(&error));
            let message = "what the tailnet's policy grants can't be determined at the moment";
            RpcError::new(ErrorCode::INTERNAL, message)
        })
    }

    /// The answer to a caller without a token: whether it may pair by policy, or nothing while that is off.
    pub async fn offer(&self, caller: &Caller) -> Option<bool> {
        caller.node.as_ref()?;
        match self.grant_status_of(caller).await.ok()? {
            GrantStatus::Granted(_) => Some(true),
            GrantStatus::NotGranted(_) => Some(false),
            GrantStatus::Off => None,
        }
    }

    /// Checks whether a peer with a valid token may continue. A peer that was paired with a code always
    /// may.
    ///
    /// # Errors
    /// The answer (fail closed): its grant is missing now, or the tailnet can't be asked. It may retry,
    /// because a node that is being changed has no grant for a moment. Once the monitor has missed the
    /// grant twice, [`Self::refusal`] tells it that it was removed.
    pub async fn admits(&self, id: DaemonId, caller: &Caller) -> Result<(), RpcError> {
        let by_policy = self.shared.registry.get(id).and_then(|peer| peer.by_policy);
        let Some(capability) = by_policy else { return Ok(()) };
        let granted_at = self.shared.granted_at.lock().get(&id).copied();
        if granted_at.is_some_and(|at| at.elapsed() < GRANT_TTL) {
            return Ok(());
        }
        match self.grant_status_of(caller).await? {
            GrantStatus::Granted(_) => {
                self.shared.granted_at.lock().insert(id, Instant::now());
                Ok(())
            }
            GrantStatus::NotGranted(_) | GrantStatus::Off => {
                self.shared.recheck.notify_one();
                let message = format!(
                    "the tailnet's policy does not grant this machine {capability} at the moment; \
                     it is checked again in a few seconds"
                );
                Err(RpcError::new(ErrorCode::INTERNAL, message))
            }
        }
    }

    /// The answer to a caller that is no longer a peer because its grant was withdrawn.
    pub fn refusal(&self, caller: &Caller) -> Option<RpcError> {
        let node = caller.node.as_ref()?;
        let withdrawn = self.shared.withdrawn.lock();
        let (_, why) = withdrawn.iter().find(|(id, _)| *id == node.stable_id)?;
        let message = format!(
            "this machine was paired by the tailnet's policy and is no longer a peer: {why}"
        );
        Some(
            RpcError::new(ErrorCode::NOT_AUTHENTICATED, message)
                .with("reason", reason::GRANT_WITHDRAWN)
                .hint(
                    "grant it the capability again and run `thrum peer join`, or pair with a code",
                ),
        )
    }

    /// Forgets why the node of an authenticated caller was removed earlier.
    pub fn let_in(&self, caller: &Caller) {
        if let Some(node) = &caller.node {
            self.shared.withdrawn.lock().retain(|(id, _)| *id != node.stable_id);
        }
    }

    pub(super) fn note_withdrawn(&self, node: String, why: String) {
        let mut withdrawn = self.shared.withdrawn.lock();
        withdrawn.retain(|(id, _)| *id != node);
        if withdrawn.len() >= WITHDRAWN_MAX {
            withdrawn.remove(0);
        }
        withdrawn.push((node, why));
    }
}
