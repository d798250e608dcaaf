//! What events touch, as counts for those who follow that.

use std::sync::atomic::{AtomicUsize, Ordering};

/// What a page of the log has changed beside its end.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Touched {
    /// Who there is, what they do, or groups. That somebody was seen again doesn't count.
    pub(super) agents: bool,
    /// Messages: that there are new ones, and how far others got.
    pub(super) deliveries: bool,
    /// The views may be others.
    pub(super) replaced: bool,
}

/// How often something has changed. Whoever compares counts knows what is new.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct ChangeCounts {
    pub(super) agents: u64,
    pub(super) deliveries: u64,
    /// The views may be others.
    pub(super) replaced: u64,
}

impl ChangeCounts {
    pub(super) fn add(&mut self, touched: Touched) {
        self.agents += u64::from(touched.agents);
        self.deliveries += u64::from(touched.deliveries);
        self.replaced += u64::from(touched.replaced);
    }
}

/// How many follow the changes now.
#[derive(Debug, Default)]
pub(super) struct ChangeReaders(AtomicUsize);

impl ChangeReaders {
    pub(super) fn add(&self) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }

    pub(super) fn remove(&self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.load(Ordering::SeqCst) == 0
    }
}
