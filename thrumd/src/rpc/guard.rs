//! Two small counters: requests of a peer at once, and how often a stranger is worth a log line.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use thrum_api::DaemonId;
use tokio::time::Instant;

pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Requests that are worked on, or whose answers are not written yet, by peer.
#[derive(Default)]
pub(super) struct Slots {
    busy: Mutex<BTreeMap<DaemonId, usize>>,
}

/// One of them; given back when dropped.
pub(super) struct Slot {
    slots: Arc<Slots>,
    peer: DaemonId,
}

impl Slots {
    /// One more request of this peer, unless it has `max` already.
    pub(super) fn take(self: &Arc<Self>, peer: DaemonId, max: usize) -> Option<Slot> {
        let mut busy = lock(&self.busy);
        let count = busy.entry(peer).or_default();
        if *count >= max {
            return None;
        }
        *count += 1;
        Some(Slot { slots: Arc::clone(self), peer })
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        let mut busy = lock(&self.slots.busy);
        if let Some(count) = busy.get_mut(&self.peer) {
            *count -= 1;
            if *count == 0 {
                busy.remove(&self.peer);
            }
        }
    }
}

/// Lets one log line a minute through for each address, and remembers a bounded number of them.
#[derive(Default)]
pub(super) struct Quiet {
    told: Mutex<BTreeMap<IpAddr, Instant>>,
}

impl Quiet {
    const PAUSE: Duration = Duration::from_secs(60);
    const ADDRESSES: usize = 256;

    /// Whether a line about this address may be logged now.
    pub(super) fn allows(&self, address: IpAddr) -> bool {
        let (mut told, now) = (lock(&self.told), Instant::now());
        if told.get(&address).is_some_and(|last| now < *last + Self::PAUSE) {
            return false;
        }
        if told.len() >= Self::ADDRESSES {
            told.retain(|_, last| now < *last + Self::PAUSE);
        }
        let room = told.len() < Self::ADDRESSES;
        if room {
            told.insert(address, now);
        }
        room
    }
}
