//! Pairing by policy: `pair.request` without a code, and the first request with the resulting token.

use thrum_api::local::PeerState;
use thrum_api::peer::reason;
use thrum_api::{DaemonId, ErrorCode, RpcError};
use tokio::time::Instant;

use super::grants::{GrantStatus, Policy};
use crate::clock;
use crate::message_id;
use crate::peer::{Peer, Replaces, tailnet_down};
use crate::report::Chain;
use crate::tailnet::{Caller, Node};

/// How many daemons of one node may be peers by policy, each with a port of its own.
pub(super) const OF_NODE_MAX: usize = 16;
/// How long a daemon that was paired by policy keeps its place from another one at the same node and port.
pub(super) const SUCCESSION_PAUSE_MS: u64 = 60_000;

/// Why a code is needed although the tailnet's policy grants the capability: the reason and the words.
type CodeNeeded = (&'static str, &'static str);
const OTHER_NODE: CodeNeeded =
    (reason::OTHER_NODE, "a code is needed: that daemon is paired as another machine");
const OTHER_ID: CodeNeeded = (
    reason::OTHER_ID,
    "a code is needed: that machine is paired under another daemon id, with a code, or that daemon answers",
);
const TOO_MANY: CodeNeeded = (
    reason::TOO_MANY,
    "a code is needed: that machine was paired without one as another daemon less than a minute ago, or as \
     16 daemons",
);

impl Policy {
    /// `pair.request` without a code: the caller becomes pending as this peer if the tailnet's policy
    /// grants it the capability. Its first request with the token makes it a peer.
    ///
    /// # Errors
    /// The answer to the caller: off, not granted, another machine's daemon id, or another daemon's place.
    pub async fn request(&self, caller: &Caller, peer: Peer) -> Result<(), RpcError> {
        let refuse = |reason: &'static str, message: String| {
            tracing::info!(about = %caller.address.ip(), "[pairing] {} without a code refused: {message}", caller.describe());
            RpcError::new(ErrorCode::NO_PAIRING_SESSION, message)
                .with("reason", reason)
                .hint("run `thrum peer add` on the other machine and join with its code")
        };
        let off = || {
            let message = "a code is needed: pairing by the tailnet's policy is off there";
            refuse(reason::POLICY_OFF, message.to_owned())
        };
        let node = caller.node.as_ref().ok_or_else(off)?;
        let capability = match self.grant_status_of(caller).await? {
            GrantStatus::Granted(capability) => capability,
            GrantStatus::Off => return Err(off()),
            GrantStatus::NotGranted(capability) => {
                let message = format!(
                    "a code is needed: the tailnet's policy does not grant {} {capability}",
                    node.name
                );
                return Err(refuse(reason::NOT_GRANTED, message).with("capability", capability));
            }
        };
        let displaced = self.shared.registry.displaced_by(&peer);
        let elsewhere = self.is_elsewhere(&peer, caller)?;
        let by_policy = self
            .marking(&peer, &displaced, elsewhere, node, capability)
            .map_err(|(reason, message)| refuse(reason, message.to_owned()))?;
        let peer = Peer { by_policy, ..peer };
        let replaces = Replaces::Only(displaced.into_iter().map(|peer| peer.token).collect());
        self.shared.pending.lock().insert(Instant::now(), peer, caller, replaces);
        Ok(())
    }

    /// If this token is of a pending machine, stores it as a peer and returns its id. None if it is
    /// not, or no longer may: a person may have turned this off, removed the machine or paired one
    /// under its daemon id since.
    ///
    /// # Errors
    /// What to answer the caller while the tailnet can't be asked (fail closed).
    pub async fn confirm(
        &self,
        token: &str,
        caller: &Caller,
    ) -> Result<Option<DaemonId>, RpcError> {
        let Some(node) = caller.node.as_ref() else { return Ok(None) };
        let pending = self.shared.pending.lock().get(Instant::now(), token, caller).cloned();
        let Some(mut pending) = pending else { return Ok(None) };
        let id = pending.peer.daemon_id;
        let displaced = self.shared.registry.displaced_by(&pending.peer);
        let by_policy = match self.grant_status_of(caller).await? {
            GrantStatus::Granted(capability) => {
                let elsewhere = self.is_elsewhere(&pending.peer, caller)?;
                self.marking(&pending.peer, &displaced, elsewhere, node, capability).ok()
            }
            GrantStatus::Off | GrantStatus::NotGranted(_) => None,
        };
        let (who, address) = (caller.describe(), pending.peer.address.clone());
        let stored = match by_policy {
            Some(by_policy) => {
                pending.peer.by_policy = by_policy;
                self.shared.registry.put_pending(pending).await
            }
            None => Ok(None),
        };
        let stored = match stored {
            Ok(stored) => stored,
            Err(error) => {
                tracing::error!(about = %id, "[pairing] can't store peer {id}: {}", Chain(&error));
                return Ok(None);
            }
        };
        self.shared.pending.lock().remove(token);
        if stored.is_some() {
            self.shared.granted_at.lock().insert(id, Instant::now());
            tracing::info!(about = %id, journal.message_id = message_id::PAIRED, journal.peer = who, "[pairing] Paired with {who} ({id}) at {address} by policy");
        } else {
            tracing::info!(about = %id, "[pairing] {who} ({id}) may no longer use the token that it asked for");
        }
        Ok(stored.map(|_| id))
    }

    /// Whether the peer with this daemon id is another node that is still in the tailnet.
    ///
    /// # Errors
    /// What to answer the caller while the tailnet can't be asked.
    fn is_elsewhere(&self, peer: &Peer, caller: &Caller) -> Result<bool, RpcError> {
        let holder = self.shared.registry.holder_elsewhere(peer, &self.shared.tailnet);
        let holder = holder.map_err(|error| tailnet_down(peer.daemon_id, caller, &error))?;
        Ok(holder.is_some())
    }

    /// The capability to store for a machine that takes the place of `displaced`; None if a person paired that
    /// daemon before. `elsewhere`: one of them is another node, which is still in the tailnet.
    ///
    /// A daemon id is only a claim, so the machine must be the node that is paired under it; a node that was
    /// paired by policy and has left the tailnet may be replaced. A node and a port are no more than a claim,
    /// either: any program of the machine can give a new daemon id. So that takes the place of no daemon that
    /// a person has paired or that answers, and a machine becomes few peers, and not often a new one.
    fn marking(
        &self,
        peer: &Peer,
        displaced: &[Peer],
        elsewhere: bool,
        node: &Node,
        capability: String,
    ) -> Result<Option<String>, CodeNeeded> {
        let mut marking = Some(capability);
        for old in displaced {
            let bound = old.node.as_ref().ok_or(OTHER_NODE)?;
            if old.daemon_id != peer.daemon_id {
                if old.by_policy.is_none() || self.answers(old.daemon_id) {
                    return Err(OTHER_ID);
                }
                let age = clock::now().as_millis() - old.paired_at.as_millis();
                if u64::try_from(age).is_ok_and(|age| age < SUCCESSION_PAUSE_MS) {
                    return Err(TOO_MANY);
                }
            } else if *bound == node.stable_id {
                marking = marking.filter(|_| old.by_policy.is_some());
            } else if old.by_policy.is_none() || elsewhere {
                return Err(OTHER_NODE);
            }
        }
        let is_of_node = |it: &Peer| {
            it.by_policy.is_some() && it.node.as_deref() == Some(node.stable_id.as_str())
        };
        let stays = |it: &Peer| displaced.iter().all(|old| old.daemon_id != it.daemon_id);
        let others =
            self.shared.registry.all().into_iter().filter(|it| is_of_node(it) && stays(it));
        if others.count() >= OF_NODE_MAX {
            return Err(TOO_MANY);
        }
        Ok(marking)
    }

    /// Whether a peer answered when it was last contacted.
    fn answers(&self, peer: DaemonId) -> bool {
        let states = self.shared.peer_states.borrow();
        states.get(&peer).is_some_and(|it| matches!(it, PeerState::InSync | PeerState::CatchingUp))
    }
}
