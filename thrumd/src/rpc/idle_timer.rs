//! The idle timer of a connection.

use std::time::Duration;

use tokio::sync::watch;
use tokio::time::{Instant, sleep};

use super::limits::Limits;

/// Measures how long the other side does nothing: sends no request, or doesn't read its answer. A peer may send none
/// for as long as it likes: both daemons keep the connection, and the kernel tells them when it ends. Hyper's
/// `header_read_timeout` can't replace this: it has one limit for all connections and does not run while an answer is
/// being written. Clones measure the same connection.
#[derive(Clone)]
pub(super) struct IdleTimer {
    limits: Limits,
    activity: watch::Sender<Activity>,
}

#[derive(Clone, Copy)]
struct Activity {
    /// No request has come yet.
    fresh: bool,
    /// A request is being answered. It has its own time limits.
    busy: bool,
    /// Answers that are not written yet.
    unwritten: u32,
    peer: bool,
    /// When the last answer was written.
    answered: Instant,
}

/// A request that is being answered, until this is dropped.
pub(super) struct BusyGuard(watch::Sender<Activity>);

/// An answer that is being written, until this is dropped.
pub(super) struct WritingGuard(watch::Sender<Activity>);

impl IdleTimer {
    pub(super) fn new(limits: Limits) -> Self {
        let (fresh, answered) = (true, Instant::now());
        let activity = Activity { fresh, busy: false, unwritten: 0, peer: false, answered };
        Self { limits, activity: watch::Sender::new(activity) }
    }

    /// The head of a request has arrived.
    pub(super) fn request(&self) -> BusyGuard {
        self.activity.send_modify(|it| (it.fresh, it.busy) = (false, true));
        BusyGuard(self.activity.clone())
    }

    /// Whether the connection belongs to a peer.
    pub(super) fn set_peer(&self, peer: bool) {
        self.activity.send_if_modified(|it| std::mem::replace(&mut it.peer, peer) != peer);
    }

    /// No request has come yet.
    pub(super) fn is_fresh(&self) -> bool {
        self.activity.borrow().fresh
    }

    /// Since when no request is being answered and every answer is written. None if that is not so.
    pub(super) fn idle_since(&self) -> Option<Instant> {
        let now = *self.activity.borrow();
        (!now.busy && now.unwritten == 0).then_some(now.answered)
    }

    /// How long the other side may now do nothing. None: as long as it likes.
    fn limit(&self, now: Activity) -> Option<Duration> {
        match now {
            Activity { busy: true, .. } => None,
            Activity { peer: false, .. } => Some(self.limits.unauthenticated_idle),
            Activity { unwritten: 0, .. } => None,
            _ => Some(self.limits.peer_reading),
        }
    }

    /// Returns when the other side has done nothing for too long.
    pub(super) async fn expired(&self) {
        let mut changes = self.activity.subscribe();
        loop {
            let limit = self.limit(*changes.borrow_and_update());
            tokio::select! {
                () = sleep(limit.unwrap_or_default()), if limit.is_some() => return,
                // No error: the sender is ours.
                _ = changes.changed() => {}
            }
        }
    }
}

impl BusyGuard {
    /// The answer is there, and is written next.
    pub(super) fn answered(self) -> WritingGuard {
        self.0.send_modify(|it| it.unwritten += 1);
        WritingGuard(self.0.clone())
    }
}

impl Drop for BusyGuard {
    fn drop(&mut self) {
        self.0.send_modify(|it| it.busy = false);
    }
}

impl Drop for WritingGuard {
    fn drop(&mut self) {
        self.0.send_modify(|it| (it.unwritten, it.answered) = (it.unwritten - 1, Instant::now()));
    }
}
