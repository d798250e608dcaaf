//! Pairing by policy: `pair.request` without a code, and the first request with the resulting token.

use thrum_api::peer::reason;
use thrum_api::{DaemonId, ErrorCode, RpcError};
use tokio::time::Instant;

use super::grants::{GrantStatus, Policy};
use crate::peer::{Peer, Replaces};
use crate::report::Chain;
use crate::tailnet::{Caller, Node};

impl Policy {
    /// `pair.request` without a code: the caller becomes pending as this peer if the tailnet's policy
    /// grants it the capability. Its first request with the token makes it a peer.
    ///
    /// # Errors
    /// The answer to the caller: off, not granted, or another machine's daemon id.
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
        let Some(by_policy) = self.marking(&displaced, node, capability).await else {
            let message = "a code is needed: that daemon is paired as another machine";
            return Err(refuse(reason::OTHER_NODE, message.to_owned()));
        };
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
            GrantStatus::Granted(capability) => self.marking(&displaced, node, capability).await,
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
            tracing::info!(about = %id, "[pairing] Paired with {who} ({id}) at {address} by policy");
        } else {
            tracing::info!(about = %id, "[pairing] {who} ({id}) may no longer use the token that it asked for");
        }
        Ok(stored.map(|_| id))
    }

    /// The capability to store for a machine that takes the place of `displaced`: `Some(None)` if a person
    /// paired that node before, None if it may not pair. A daemon id is only a claim, so the machine must be the
    /// node that is paired under it. A node that was paired by policy and has left the tailnet may be
    /// replaced.
    async fn marking(
        &self,
        displaced: &[Peer],
        node: &Node,
        capability: String,
    ) -> Option<Option<String>> {
        let mut marking = Some(capability);
        for peer in displaced {
            let bound = peer.node.as_ref()?;
            if *bound == node.stable_id {
                marking = marking.filter(|_| peer.by_policy.is_some());
            } else {
                let gone = matches!(self.shared.tailnet.locate(bound).await, Ok(None));
                if peer.by_policy.is_none() || !gone {
                    return None;
                }
            }
        }
        Some(marking)
    }
}
