//! The idle timer of a connection.

use tokio::sync::watch;
use tokio::time::sleep;

use super::limits::Limits;

/// Measures the time from one answer (or the start) to the next request's head, including the time for
/// writing the answer. Hyper's `header_read_timeout` can't replace it: that has one limit for all
/// connections and does not run while an answer is being written.
pub(super) struct IdleTimer {
    limits: Limits,
    activity: watch::Sender<Activity>,
}

#[derive(Clone, Copy)]
struct Activity {
    phase: Phase,
    peer: bool,
}

#[derive(Clone, Copy, PartialEq)]
enum Phase {
    /// No request has come yet.
    Fresh,
    /// A request is being answered. It has its own time limits.
    Busy,
    /// The last request is answered.
    Idle,
}

/// A request that is being answered, until this is dropped.
pub(super) struct BusyGuard<'a>(&'a IdleTimer);

impl IdleTimer {
    pub(super) fn new(limits: Limits) -> Self {
        let activity = Activity { phase: Phase::Fresh, peer: false };
        Self { limits, activity: watch::Sender::new(activity) }
    }

    /// The head of a request has arrived.
    pub(super) fn request(&self) -> BusyGuard<'_> {
        self.activity.send_modify(|activity| activity.phase = Phase::Busy);
        BusyGuard(self)
    }

    /// The connection belongs to a peer, which may be idle for longer.
    pub(super) fn set_peer(&self) {
        self.activity.send_modify(|activity| activity.peer = true);
    }

    /// No request has come yet.
    pub(super) fn is_fresh(&self) -> bool {
        self.activity.borrow().phase == Phase::Fresh
    }

    /// No request is being answered.
    pub(super) fn is_idle(&self) -> bool {
        self.activity.borrow().phase != Phase::Busy
    }

    /// Returns when the connection has been idle for too long.
    pub(super) async fn expired(&self) {
        let mut changes = self.activity.subscribe();
        loop {
            let Activity { phase, peer } = *changes.borrow_and_update();
            let limit = if peer { self.limits.peer_idle } else { self.limits.unauthenticated_idle };
            tokio::select! {
                () = sleep(limit), if phase != Phase::Busy => return,
                // No error: the sender is ours.
                _ = changes.changed() => {}
            }
        }
    }
}

impl Drop for BusyGuard<'_> {
    fn drop(&mut self) {
        self.0.activity.send_modify(|activity| activity.phase = Phase::Idle);
    }
}
