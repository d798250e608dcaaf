//! What a transaction is to be measured by, once it is committed.

use std::time::Duration;

use thrum_api::Timestamp;

use crate::metrics::{LogMetrics, QuarantineReason};

/// What the open transaction did. Dropped with the state if it fails.
#[derive(Debug, Default)]
pub(super) struct Observed {
    /// When the events of other machines were written that it stores.
    pub(super) arrived: Vec<Timestamp>,
    /// Why it moved events to quarantine.
    pub(super) quarantined: Vec<QuarantineReason>,
}

impl Observed {
    /// Counts what was committed at this moment.
    pub(super) fn count(&mut self, metrics: &LogMetrics, now: Timestamp) {
        for written in self.arrived.drain(..) {
            // Before our clock: nothing by ours.
            metrics.event_age.observe(Duration::from_millis(now.millis_since(written)));
        }
        for reason in self.quarantined.drain(..) {
            metrics.quarantined.inc(reason);
        }
        // A first sync has thousands in each page.
        self.arrived.shrink_to(64);
    }
}
