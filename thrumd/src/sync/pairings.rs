//! Pairings on the joining side: stored first, then confirmed by the peer or undone.

use std::collections::{BTreeMap, BTreeSet};

use parking_lot::Mutex;
use thrum_api::{DaemonId, Token};
use tokio::sync::MutexGuard;

use super::hub::PairingState;
use crate::peer::{Peer, Registry, RegistryError};
use crate::report::Chain;

/// The pairings of this daemon.
pub struct Pairings {
    registry: Registry,
    /// Peers that are being joined. The hub ignores them until the join is decided.
    joining: Mutex<BTreeSet<DaemonId>>,
    /// The peers that unconfirmed pairings have replaced.
    replaced: Mutex<BTreeMap<DaemonId, Peer>>,
    /// Serialises joins and the completion of joins: two at once would leave half a pairing each. One lock
    /// for all peers, because only the answer to a join tells which peer it is.
    join_lock: tokio::sync::Mutex<()>,
}

impl Pairings {
    /// The pairings in this registry.
    pub fn new(registry: Registry) -> Self {
        Self {
            registry,
            joining: Mutex::default(),
            replaced: Mutex::default(),
            join_lock: tokio::sync::Mutex::default(),
        }
    }

    /// Waits until no other join is running.
    pub async fn join_lock(&self) -> MutexGuard<'_, ()> {
        self.join_lock.lock().await
    }

    /// Hides this peer from the hub until `end_join`.
    pub fn begin_join(&self, id: DaemonId) {
        self.joining.lock().insert(id);
    }

    /// Shows this peer to the hub: its join is decided, or left to the next contact.
    pub fn end_join(&self, id: DaemonId) {
        self.joining.lock().remove(&id);
    }

    /// Stores a peer that was joined, and remembers the one that it replaces. True if there was one. Needs
    /// the join lock.
    ///
    /// # Errors
    /// When the registry can't be written.
    pub async fn store(&self, peer: Peer) -> Result<bool, RegistryError> {
        let id = peer.daemon_id;
        let old = self.registry.get(id);
        self.registry.put(peer).await?;
        let Some(old) = old else { return Ok(false) };
        let mut replaced = self.replaced.lock();
        if old.unconfirmed {
            replaced.entry(id).or_insert(old);
        } else {
            replaced.insert(id, old);
        }
        Ok(true)
    }

    /// Records that a peer accepted this token: it takes the place of the peers that it succeeds. Returns
    /// their ids, or None if the token was replaced meanwhile. Needs the join lock.
    pub async fn confirm(&self, id: DaemonId, token: Token) -> Option<Vec<DaemonId>> {
        match self.registry.confirm(id, token).await {
            Ok(Some(replaced)) => {
                self.forget_replaced(id);
                Some(replaced)
            }
            Ok(None) => None,
            Err(error) => {
                // The next contact confirms it.
                tracing::warn!(about = %id, "can't store that {id} is paired: {}", Chain(&error));
                Some(Vec::new())
            }
        }
    }

    /// Undoes a pairing whose token the other side doesn't know, and restores the peer that it replaced.
    /// Needs the join lock.
    pub async fn undo(&self, id: DaemonId, token: Token) {
        let is_it = move |peer: &Peer| peer.token.matches(token.expose());
        let old = self.replaced.lock().get(&id).cloned();
        let undone = match old {
            Some(old) => self.registry.put_if(old, move |held| held.is_some_and(is_it)).await,
            None => self.registry.remove_if(id, is_it).await,
        };
        match undone {
            Ok(true) => self.forget_replaced(id),
            Ok(false) => {}
            Err(error) => {
                tracing::warn!(about = %id, "can't undo the pairing with {id}: {}", Chain(&error));
            }
        }
    }

    /// Records whether the peer with this token removed us.
    pub async fn mark_removed(&self, id: DaemonId, token: Token, removed: bool) {
        let mark = move |peer: &mut Peer| {
            if peer.token.matches(token.expose()) {
                peer.removed_us = removed;
            }
        };
        if let Err(error) = self.registry.update(id, mark).await {
            tracing::warn!(about = %id, "can't store that {id} removed us: {}", Chain(&error));
        }
    }

    /// Forgets the peer that was replaced: the new pairing is final, or the peer was removed.
    pub fn forget_replaced(&self, id: DaemonId) {
        self.replaced.lock().remove(&id);
    }

    /// The peers that the hub may see.
    pub fn settled(&self) -> Vec<Peer> {
        let joining = self.joining.lock().clone();
        self.registry.all().into_iter().filter(|it| !joining.contains(&it.daemon_id)).collect()
    }
}

/// The token of each peer that the hub knows, and how often it changed. The hub's actions about a pairing
/// concern that token, which the registry may have replaced meanwhile.
#[derive(Default)]
pub struct KnownTokens(BTreeMap<DaemonId, (Token, u32)>);

impl KnownTokens {
    /// The hub's input for these peers, which are all that there are.
    pub fn update(&mut self, peers: &[Peer]) -> BTreeMap<DaemonId, PairingState> {
        let mut states = BTreeMap::new();
        for peer in peers {
            let first = || (peer.token.clone(), 0);
            let (token, generation) = self.0.entry(peer.daemon_id).or_insert_with(first);
            if !token.matches(peer.token.expose()) {
                (*token, *generation) = (peer.token.clone(), generation.wrapping_add(1));
            }
            let state = PairingState {
                generation: *generation,
                unconfirmed: peer.unconfirmed,
                removed_us: peer.removed_us,
            };
            states.insert(peer.daemon_id, state);
        }
        self.0.retain(|peer, _| states.contains_key(peer));
        states
    }

    /// The token of a peer as the hub knows it.
    pub fn token(&self, peer: DaemonId) -> Option<Token> {
        self.0.get(&peer).map(|(token, _)| token.clone())
    }
}
