//! Who may stay connected. The number of seats bounds memory; strangers never take a peer's.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex};

use thrum_api::DaemonId;
use tokio_util::sync::CancellationToken;

use super::guard::lock;
use super::limits::Limits;

/// All seats.
pub(super) struct Seats {
    limits: Limits,
    room: Mutex<Room>,
}

#[derive(Default)]
struct Room {
    next: u64,
    // By number, so the first one is the oldest.
    taken: BTreeMap<u64, Taken>,
}

struct Taken {
    address: IpAddr,
    peer: Option<DaemonId>,
    cut: CancellationToken,
}

/// A connection's seat; given back when dropped.
pub(super) struct Seat {
    seats: Arc<Seats>,
    number: u64,
    cut: CancellationToken,
}

impl Seats {
    pub(super) fn new(limits: Limits) -> Arc<Self> {
        Arc::new(Self { limits, room: Mutex::default() })
    }

    /// A seat for a new connection, at the cost of an old one if need be. None if all are taken
    /// by peers.
    pub(super) fn take(self: &Arc<Self>, address: IpAddr) -> Option<Seat> {
        let mut room = lock(&self.room);
        let from_there = |seat: &Taken| seat.peer.is_none() && seat.address == address;
        if room.count(from_there) >= self.limits.strangers_per_address {
            room.cut_oldest(from_there);
        }
        if room.taken.len() >= self.limits.connections
            && !room.cut_oldest(|seat| seat.peer.is_none())
        {
            return None;
        }
        let (number, cut) = (room.next, CancellationToken::new());
        room.next += 1;
        room.taken.insert(number, Taken { address, peer: None, cut: cut.clone() });
        Some(Seat { seats: Arc::clone(self), number, cut })
    }

    /// Cuts every connection.
    pub(super) fn clear(&self) {
        let mut room = lock(&self.room);
        while room.cut_oldest(|_| true) {}
    }
}

impl Room {
    fn count(&self, which: impl Fn(&Taken) -> bool) -> usize {
        self.taken.values().filter(|seat| which(seat)).count()
    }

    fn cut_oldest(&mut self, which: impl Fn(&Taken) -> bool) -> bool {
        let oldest = self.taken.iter().find(|(_, seat)| which(seat)).map(|(number, _)| *number);
        let Some(seat) = oldest.and_then(|number| self.taken.remove(&number)) else {
            return false;
        };
        seat.cut.cancel();
        true
    }
}

impl Seat {
    /// This connection has shown the token of this peer.
    pub(super) fn is_of(&self, peer: DaemonId) {
        let mut room = lock(&self.seats.room);
        match room.taken.get_mut(&self.number) {
            Some(seat) if seat.peer != Some(peer) => seat.peer = Some(peer),
            _ => return,
        }
        let its = |seat: &Taken| seat.peer == Some(peer);
        if room.count(its) > self.seats.limits.connections_per_peer {
            room.cut_oldest(its);
        }
    }

    /// Returns when the seat is needed for someone else.
    pub(super) async fn lost(&self) {
        self.cut.cancelled().await;
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        lock(&self.seats.room).taken.remove(&self.number);
    }
}
