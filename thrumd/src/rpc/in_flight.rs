//! How many requests of one peer may be in flight at once.

use std::collections::BTreeMap;
use std::sync::Arc;

use parking_lot::Mutex;
use thrum_api::DaemonId;

/// In-flight requests by peer: being processed, or with an answer that is not written yet.
#[derive(Default)]
pub(super) struct InFlightRequests {
    counts: Mutex<BTreeMap<DaemonId, usize>>,
}

/// Permit for one request; given back when dropped.
pub(super) struct InFlightPermit {
    requests: Arc<InFlightRequests>,
    peer: DaemonId,
}

impl InFlightRequests {
    /// A permit for one more request of this peer, unless it has `max` already.
    pub(super) fn take(self: &Arc<Self>, peer: DaemonId, max: usize) -> Option<InFlightPermit> {
        let mut counts = self.counts.lock();
        let count = counts.entry(peer).or_default();
        if *count >= max {
            return None;
        }
        *count += 1;
        Some(InFlightPermit { requests: Arc::clone(self), peer })
    }
}

impl Drop for InFlightPermit {
    fn drop(&mut self) {
        let mut counts = self.requests.counts.lock();
        if let Some(count) = counts.get_mut(&self.peer) {
            *count -= 1;
            if *count == 0 {
                counts.remove(&self.peer);
            }
        }
    }
}
