//! `pair.request` without a code.

use std::collections::BTreeMap;
use std::time::Duration;

use thrum_api::peer::{PairRequestParams, Paired, PairedStatus, reason};
use thrum_api::{DaemonId, ErrorCode, RpcError, Token};
use tokio::time::Instant;

use super::{Policy, Standing, lock, unknown};
use crate::ids;
use crate::peer::{Peer, calling_peer, joining_port};
use crate::report::Chain;
use crate::tailnet::{Caller, Node};

/// So long a token may stay unused before it is void.
const PENDING: Duration = Duration::from_secs(60);
/// So many nodes may be in the middle of it.
const PENDING_MAX: usize = 256;

/// Machines that were given a token and have not used it yet, by node. Only ever in memory.
#[derive(Default)]
pub(super) struct Desk {
    pending: BTreeMap<String, Pending>,
}

#[derive(Clone)]
struct Pending {
    peer: Peer,
    /// The token of whoever was paired under its daemon id when it asked. A pairing or a removal
    /// since then was somebody's decision, and outranks this.
    replaces: Option<Token>,
    since: Instant,
}

impl Desk {
    fn put(&mut self, node: String, peer: Peer, replaces: Option<Token>) {
        self.pending.retain(|_, pending| pending.since.elapsed() < PENDING);
        if self.pending.len() >= PENDING_MAX {
            self.pending.pop_first();
        }
        self.pending.insert(node, Pending { peer, replaces, since: Instant::now() });
    }

    fn get(&self, node: &str, token: &str) -> Option<Pending> {
        let pending = self.pending.get(node)?;
        let right = pending.peer.token.matches(token) && pending.since.elapsed() < PENDING;
        right.then(|| pending.clone())
    }
}

impl Pending {
    /// Whether it may be stored in the place of this one. One that has its token already is itself,
    /// stored by another first request.
    fn may_replace(&self, held: Option<&Peer>) -> bool {
        match (held, &self.replaces) {
            (None, replaces) => replaces.is_none(),
            (Some(held), replaces) => {
                let is = |token: &Token| held.token.matches(token.expose());
                is(&self.peer.token) || replaces.as_ref().is_some_and(is)
            }
        }
    }
}

impl Policy {
    /// `pair.request` without a code: the caller becomes pending if the tailnet's policy grants it
    /// the capability. Its first request with the token makes it a peer.
    ///
    /// # Errors
    /// What to answer the caller: off, not granted, or another machine's daemon id.
    pub async fn request(
        &self,
        caller: &Caller,
        params: PairRequestParams,
    ) -> Result<Paired, RpcError> {
        let port = joining_port(self.shared.daemon, &params)?;
        let refuse = |why: &'static str, message: String| {
            tracing::info!("[pairing] {} without a code refused: {message}", caller.describe());
            RpcError::new(ErrorCode::NO_PAIRING_SESSION, message)
                .with("reason", why)
                .hint("run `thrum peer add` on the other machine and join with its code")
        };
        let off = || {
            let message = "a code is needed: pairing by the tailnet's policy is off there";
            refuse(reason::POLICY_OFF, message.to_owned())
        };
        let node = caller.node.as_ref().ok_or_else(off)?;
        let capability = match self.standing(&node.stable_id).await {
            Ok(Standing::Granted(capability)) => capability,
            Ok(Standing::Off) => return Err(off()),
            Ok(Standing::NotGranted(capability)) => {
                let message = format!(
                    "a code is needed: the tailnet's policy does not grant {} {capability}",
                    node.name
                );
                return Err(refuse(reason::NOT_GRANTED, message).with("capability", capability));
            }
            Err(error) => return Err(unknown(caller, &error)),
        };
        let held = self.shared.registry.get(params.id);
        let Some(by_policy) = self.place(held.as_ref(), node, capability).await else {
            let message = "a code is needed: that daemon is paired as another machine";
            return Err(refuse(reason::OTHER_NODE, message.to_owned()));
        };
        let token = ids::token().map_err(|error| {
            tracing::error!("no token for a new peer: {}", Chain(&error));
            RpcError::new(ErrorCode::INTERNAL, "internal error")
        })?;
        let peer = calling_peer(token.clone(), caller, port, params.id, params.name);
        let peer = Peer { by_policy, ..peer };
        let replaces = held.map(|held| held.token);
        lock(&self.shared.desk).put(node.stable_id.clone(), peer, replaces);
        let (id, name) = (self.shared.daemon, self.shared.name.to_string());
        Ok(Paired { status: PairedStatus::Paired, token, id, name })
    }

    /// If this token is of a machine that is pending, stores it as a peer and answers its id. None if
    /// it is not, or what it was given for holds no more: a person may have turned this off, removed
    /// the machine or paired one under its daemon id since.
    ///
    /// # Errors
    /// What to answer the caller while the tailnet can't be asked (fail closed).
    pub async fn confirm(
        &self,
        token: &str,
        caller: &Caller,
    ) -> Result<Option<DaemonId>, RpcError> {
        let Some(node) = caller.node.as_ref() else { return Ok(None) };
        let Some(pending) = lock(&self.shared.desk).get(&node.stable_id, token) else {
            return Ok(None);
        };
        let id = pending.peer.daemon_id;
        let held = self.shared.registry.get(id);
        let by_policy = match self.standing(&node.stable_id).await {
            Ok(Standing::Granted(capability)) => self.place(held.as_ref(), node, capability).await,
            Ok(Standing::Off | Standing::NotGranted(_)) => None,
            Err(error) => return Err(unknown(caller, &error)),
        };
        let stored = match by_policy {
            Some(by_policy) => {
                let (peer, asked) = (Peer { by_policy, ..pending.peer.clone() }, pending.clone());
                // Once more when it is written: whoever decided meanwhile was first.
                self.shared.registry.put_if(peer, move |held| asked.may_replace(held)).await
            }
            None => Ok(false),
        };
        match stored {
            Ok(true) => {
                self.drop_pending(node, token);
                lock(&self.shared.seen).insert(id, Instant::now());
                let (who, address) = (caller.describe(), &pending.peer.address);
                tracing::info!("[pairing] Paired with {who} ({id}) at {address} by policy");
                Ok(Some(id))
            }
            Ok(false) => {
                self.drop_pending(node, token);
                let who = caller.describe();
                tracing::info!(
                    "[pairing] {who} ({id}) may no longer use the token that it asked for"
                );
                Ok(None)
            }
            Err(error) => {
                tracing::error!("[pairing] {id} could not be kept: {}", Chain(&error));
                Ok(None)
            }
        }
    }

    fn drop_pending(&self, node: &Node, token: &str) {
        let mut desk = lock(&self.shared.desk);
        if desk.get(&node.stable_id, token).is_some() {
            desk.pending.remove(&node.stable_id);
        }
    }

    /// By what a machine is paired that comes under the daemon id of `held`: by the capability, or
    /// by a person (Some(None)) who paired that very node before. None if it may not: a daemon id is
    /// only a claim, and whoever is paired under it must be that node. One that was paired by policy
    /// and has left the tailnet makes room.
    async fn place(
        &self,
        held: Option<&Peer>,
        node: &Node,
        capability: String,
    ) -> Option<Option<String>> {
        let Some(peer) = held else { return Some(Some(capability)) };
        match &peer.node {
            Some(bound) if *bound == node.stable_id => Some(peer.by_policy.clone()),
            Some(bound) if peer.by_policy.is_some() => {
                let gone = matches!(self.shared.tailnet.locate(bound).await, Ok(None));
                gone.then_some(Some(capability))
            }
            _ => None,
        }
    }
}
