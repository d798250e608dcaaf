//! Connection slots: which connections stay open. Their number bounds memory, and an unauthenticated
//! connection never takes a peer's slot. Peers keep theirs as long as they like, but not all that there are: the
//! next peer, and the next machine to be paired, find a slot.
//!
//! No peer loses its only connection to another one. It would take that for a sign that this daemon died, connect
//! again to ask, and displace the next. Beyond what peers may keep, a connection therefore ends with its answer, which
//! says so.

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;

use parking_lot::Mutex;
use thrum_api::DaemonId;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::idle_timer::IdleTimer;
use super::limits::Limits;

/// All slots.
pub(super) struct ConnectionSlots {
    limits: Limits,
    table: Mutex<Table>,
}

#[derive(Default)]
struct Table {
    next: u64,
    // By number, so the first one is the oldest.
    taken: BTreeMap<u64, Taken>,
}

struct Taken {
    address: IpAddr,
    /// The peer, and whether its connection is idle. None for a stranger.
    peer: Option<(DaemonId, IdleTimer)>,
    /// The connection ends with its next answer: peers keep as many as they may.
    ends: bool,
    revoked: CancellationToken,
}

/// The slot of a connection, released on drop.
pub(super) struct ConnectionSlot {
    slots: Arc<ConnectionSlots>,
    number: u64,
    revoked: CancellationToken,
}

impl ConnectionSlots {
    pub(super) fn new(limits: Limits) -> Arc<Self> {
        Arc::new(Self { limits, table: Mutex::default() })
    }

    /// Takes a slot for a new connection, closing an old one if necessary. None if peers have all slots, which takes
    /// requests in all of them.
    pub(super) fn take(self: &Arc<Self>, address: IpAddr) -> Option<ConnectionSlot> {
        let mut table = self.table.lock();
        let is_strangers = |slot: &Taken| slot.peer.is_none();
        let from_there = |slot: &Taken| slot.peer.is_none() && slot.address == address;
        if table.count(from_there) >= self.limits.unauthenticated_per_address {
            table.revoke_oldest(from_there);
        }
        if table.count(is_strangers) >= self.limits.unauthenticated {
            table.revoke_oldest(is_strangers);
        }
        if table.taken.len() >= self.limits.connections && !table.revoke_oldest(is_strangers) {
            return None;
        }
        let (number, revoked) = (table.next, CancellationToken::new());
        table.next += 1;
        table
            .taken
            .insert(number, Taken { address, peer: None, ends: false, revoked: revoked.clone() });
        Some(ConnectionSlot { slots: Arc::clone(self), number, revoked })
    }

    /// Ends every connection.
    pub(super) fn revoke_all(&self) {
        let mut table = self.table.lock();
        while table.revoke_oldest(|_| true) {}
    }
}

impl Table {
    fn count(&self, which: impl Fn(&Taken) -> bool) -> usize {
        self.taken.values().filter(|slot| which(slot)).count()
    }

    fn revoke_oldest(&mut self, which: impl Fn(&Taken) -> bool) -> bool {
        let oldest = self.taken.iter().find(|(_, slot)| which(slot)).map(|(number, _)| *number);
        self.revoke(oldest)
    }

    /// Revokes the slot that was idle for longest, of the peer that has most. None has only one.
    fn revoke_idle(&mut self, which: impl Fn(DaemonId) -> bool) -> bool {
        let mut counts = BTreeMap::<_, usize>::new();
        for peer in self.taken.values().filter_map(Taken::peer) {
            *counts.entry(peer).or_default() += 1;
        }
        let idle = self.taken.iter().filter_map(|(number, slot)| {
            let (peer, since) = (slot.peer().filter(|peer| which(*peer))?, slot.idle_since()?);
            let count = counts.get(&peer).copied().filter(|count| *count > 1)?;
            Some((Reverse(count), since, *number))
        });
        let chosen = idle.min().map(|(.., number)| number);
        self.revoke(chosen)
    }

    fn revoke(&mut self, number: Option<u64>) -> bool {
        let Some(slot) = number.and_then(|number| self.taken.remove(&number)) else {
            return false;
        };
        slot.revoked.cancel();
        true
    }
}

impl Taken {
    fn peer(&self) -> Option<DaemonId> {
        self.peer.as_ref().map(|(peer, _)| *peer)
    }

    fn idle_since(&self) -> Option<Instant> {
        self.peer.as_ref().and_then(|(_, idle)| idle.idle_since())
    }
}

impl ConnectionSlot {
    /// Marks the connection as one of this peer. If peers keep too many, one of a peer that has others is closed, or
    /// this one ends with its answer.
    pub(super) fn assign(&self, peer: DaemonId, idle: &IdleTimer) {
        let limits = &self.slots.limits;
        let mut table = self.slots.table.lock();
        match table.taken.get_mut(&self.number) {
            Some(slot) if slot.peer() != Some(peer) => slot.peer = Some((peer, idle.clone())),
            _ => return,
        }
        let is_of_peer = |slot: &Taken| slot.peer() == Some(peer);
        if table.count(is_of_peer) > limits.connections_per_peer
            && !table.revoke_idle(|it| it == peer)
        {
            table.revoke_oldest(is_of_peer);
        }
        let kept = |slot: &Taken| slot.peer.is_some() && !slot.ends;
        if table.count(kept) > limits.peer_connections
            && !table.revoke_idle(|_| true)
            && let Some(slot) = table.taken.get_mut(&self.number)
        {
            slot.ends = true;
        }
    }

    /// Whether the connection ends with its next answer.
    pub(super) fn ends(&self) -> bool {
        self.slots.table.lock().taken.get(&self.number).is_some_and(|slot| slot.ends)
    }

    /// The peer whose connection it is.
    pub(super) fn peer(&self) -> Option<DaemonId> {
        self.slots.table.lock().taken.get(&self.number)?.peer()
    }

    /// The connection is no peer's any more.
    pub(super) fn unassign(&self) {
        if let Some(slot) = self.slots.table.lock().taken.get_mut(&self.number) {
            slot.peer = None;
        }
    }

    /// Returns when the slot is needed for another connection.
    pub(super) async fn revoked(&self) {
        self.revoked.cancelled().await;
    }
}

impl Drop for ConnectionSlot {
    fn drop(&mut self) {
        self.slots.table.lock().taken.remove(&self.number);
    }
}
