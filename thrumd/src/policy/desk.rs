//! `pair.request` without a code.

use std::collections::BTreeMap;
use std::time::Duration;

use thrum_api::peer::{PairRequestParams, Paired, PairedStatus, reason};
use thrum_api::{DaemonId, ErrorCode, RpcError};
use tokio::time::Instant;

use super::{Policy, Standing, lock};
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
    pending: BTreeMap<String, (Peer, Instant)>,
}

impl Desk {
    fn put(&mut self, node: String, peer: Peer) {
        self.pending.retain(|_, (_, since)| since.elapsed() < PENDING);
        if self.pending.len() >= PENDING_MAX {
            self.pending.pop_first();
        }
        self.pending.insert(node, (peer, Instant::now()));
    }

    fn get(&self, node: &str, token: &str) -> Option<Peer> {
        let (peer, since) = self.pending.get(node)?;
        let right = peer.token.matches(token) && since.elapsed() < PENDING;
        right.then(|| peer.clone())
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
            Err(error) => {
                tracing::warn!("can't tell what {} may: {}", caller.describe(), Chain(&error));
                let message = "what the tailnet's policy grants can't be known at the moment";
                return Err(RpcError::new(ErrorCode::INTERNAL, message));
            }
        };
        let by_policy = match self.known(params.id, node).await {
            Known::Stranger => Some(capability),
            Known::Same(by_policy) => by_policy,
            Known::Other => {
                let message = "a code is needed: that daemon is paired as another machine";
                return Err(refuse(reason::OTHER_NODE, message.to_owned()));
            }
        };
        let token = ids::token().map_err(|error| {
            tracing::error!("no token for a new peer: {}", Chain(&error));
            RpcError::new(ErrorCode::INTERNAL, "internal error")
        })?;
        let peer = calling_peer(token.clone(), caller, port, params.id, params.name);
        let peer = Peer { by_policy, ..peer };
        lock(&self.shared.desk).put(node.stable_id.clone(), peer);
        let (id, name) = (self.shared.daemon, self.shared.name.to_string());
        Ok(Paired { status: PairedStatus::Paired, token, id, name })
    }

    /// If this token is of a machine that is pending, stores it as a peer and answers its id.
    pub async fn confirm(&self, token: &str, caller: &Caller) -> Option<DaemonId> {
        let node = caller.node.as_ref()?;
        let peer = lock(&self.shared.desk).get(&node.stable_id, token)?;
        let (id, address) = (peer.daemon_id, peer.address.clone());
        // Two first requests at once store the same thing twice.
        match self.shared.registry.put(peer).await {
            Ok(_) => {
                lock(&self.shared.desk).pending.remove(&node.stable_id);
                lock(&self.shared.withdrawn).remove(&node.stable_id);
                lock(&self.shared.seen).insert(id, Instant::now());
                let who = caller.describe();
                tracing::info!("[pairing] Paired with {who} ({id}) at {address} by policy");
                Some(id)
            }
            Err(error) => {
                tracing::error!("[pairing] {id} could not be kept: {}", Chain(&error));
                None
            }
        }
    }

    /// A daemon id is only a claim. Whoever is paired under it must be that very node; one that was
    /// paired by policy and has left the tailnet makes room.
    async fn known(&self, id: DaemonId, node: &Node) -> Known {
        let Some(peer) = self.shared.registry.get(id) else { return Known::Stranger };
        match &peer.node {
            Some(bound) if *bound == node.stable_id => Known::Same(peer.by_policy),
            Some(bound) if peer.by_policy.is_some() => {
                match self.shared.tailnet.locate(bound).await {
                    Ok(None) => Known::Stranger,
                    _ => Known::Other,
                }
            }
            _ => Known::Other,
        }
    }
}

enum Known {
    Stranger,
    /// By a person (None) or by policy.
    Same(Option<String>),
    Other,
}
