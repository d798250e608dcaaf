//! Pairings that become final. A machine that was set up anew takes the place of its old entry.

use std::collections::BTreeMap;

use thrum_api::{DaemonId, ErrorCode, RpcError, Token};

use super::peers_file::PeersFile;
use super::{Peer, PendingPairing, Registry, RegistryError};
use crate::message_id;
use crate::report::Chain;
use crate::tailnet::{Caller, Tailnet, TailnetError};

impl Registry {
    /// Stores a pending pairing as a peer, in the place of those that it succeeds. Returns their ids, or
    /// None if a person has decided otherwise since the pairing was requested.
    ///
    /// # Errors
    /// When the file can't be written.
    pub async fn put_pending(
        &self,
        pending: PendingPairing,
    ) -> Result<Option<Vec<DaemonId>>, RegistryError> {
        let id = pending.peer.daemon_id;
        let put = move |contents: &mut PeersFile| {
            pending.may_replace(&contents.displaced_by(&pending.peer)).then(|| {
                contents.put(pending.peer);
                contents.remove_predecessors(id)
            })
        };
        self.change_paired(id, put).await
    }

    /// Confirms a pairing that was stored as unconfirmed: the peer takes the place of those that it succeeds.
    /// Returns their ids, or None if the peer has another token now.
    ///
    /// # Errors
    /// When the file can't be written.
    pub async fn confirm(
        &self,
        id: DaemonId,
        token: Token,
    ) -> Result<Option<Vec<DaemonId>>, RegistryError> {
        let confirm = move |contents: &mut PeersFile| {
            let peer = &mut contents.peers.get_mut(&id)?.peer;
            if !peer.token.matches(token.expose()) {
                return None;
            }
            let was_unconfirmed = std::mem::take(&mut peer.unconfirmed);
            Some(if was_unconfirmed { contents.remove_predecessors(id) } else { Vec::new() })
        };
        self.change_paired(id, confirm).await
    }

    /// Changes the file by a pairing, which gives the ids of the replaced peers.
    async fn change_paired(
        &self,
        id: DaemonId,
        change: impl FnOnce(&mut PeersFile) -> Option<Vec<DaemonId>> + Send + 'static,
    ) -> Result<Option<Vec<DaemonId>>, RegistryError> {
        let replaced = self.change(change).await?;
        for old in replaced.iter().flatten() {
            tracing::info!(
                about = %id, journal.message_id = message_id::REMOVED, journal.daemon_id = %old,
                "[pairing] {id} takes the place of {old}: the same machine, set up anew; \
                 {old} is no longer a peer"
            );
        }
        for id in replaced.iter().flatten().chain(replaced.is_some().then_some(&id)) {
            self.forget_misuse(*id);
        }
        Ok(replaced)
    }

    /// The peers whose place this one would take.
    pub fn displaced_by(&self, peer: &Peer) -> Vec<Peer> {
        self.read(|contents| contents.displaced_by(peer).into_iter().cloned().collect())
    }

    /// The peer that has this one's daemon id on another node, if that is still in the tailnet. An id is only a
    /// claim. A machine that was removed from the tailnet and added again is a new node, and its old one is
    /// gone.
    ///
    /// # Errors
    /// When there is such a peer, and the tailnet can't be asked about its node now.
    pub fn holder_elsewhere(
        &self,
        peer: &Peer,
        tailnet: &Tailnet,
    ) -> Result<Option<Peer>, TailnetError> {
        let old = self.get(peer.daemon_id).filter(|old| peer.is_on_other_node(old));
        let Some(old) = old else { return Ok(None) };
        let found = tailnet.locate(old.node.as_deref().unwrap_or_default())?;
        Ok(found.map(|_| old))
    }

    /// The former ids of all peers, each with the present one. An id that is a peer again is not former.
    pub fn former(&self) -> BTreeMap<DaemonId, DaemonId> {
        self.read(|contents| {
            let peers = contents.peers.values().map(|entry| &entry.peer);
            let former = peers.flat_map(|peer| peer.former.iter().map(|id| (*id, peer.daemon_id)));
            former.filter(|(id, _)| !contents.peers.contains_key(id)).collect()
        })
    }
}

/// The answer to a caller whose daemon id is that of a peer on another node, while the tailnet can't be asked
/// whether that is still there. It says nothing about the caller.
pub fn tailnet_down(id: DaemonId, caller: &Caller, cause: &TailnetError) -> RpcError {
    tracing::warn!(
        about = %caller.address.ip(),
        "[pairing] {} can't be paired at the moment: {id} is paired as another node, and the tailnet can't be \
         asked whether that is still there: {}; it may try again",
        caller.describe(), Chain(cause)
    );
    let message = "the tailnet can't be asked there at the moment whether this is the machine that is paired \
                   with this daemon id";
    RpcError::new(ErrorCode::TAILNET_DOWN, message)
        .hint("ask again in a moment; if it goes on, run `thrum doctor` there")
}
