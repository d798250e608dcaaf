//! What a transaction is to be measured by and what is logged of it, once it is committed.

use std::time::Duration;

use thrum_api::{DaemonId, EventId, Sequence, Timestamp};

use super::quarantine::QuarantineEntry;
use crate::message_id;
use crate::metrics::{LogMetrics, QuarantineReason};

/// What the open transaction did. Dropped with the state if it fails.
#[derive(Debug, Default)]
pub(super) struct Observed {
    /// When the events of other machines were written that it stores.
    pub(super) arrived: Vec<Timestamp>,
    /// The events that it moved to quarantine.
    pub(super) quarantined: Vec<Quarantined>,
    /// The origins that have forked with it.
    pub(super) forks: Vec<Fork>,
}

/// An event that was moved to quarantine.
#[derive(Debug)]
pub(super) struct Quarantined {
    kind: QuarantineReason,
    peer: DaemonId,
    sequence: Sequence,
    event_id: Option<EventId>,
    reason: String,
}

/// An origin that has two histories now.
#[derive(Debug)]
pub(super) struct Fork {
    pub(super) origin: DaemonId,
    /// Whom the event came from that shows it.
    pub(super) source: DaemonId,
    pub(super) event_id: EventId,
}

impl Observed {
    /// Counts and logs what was committed at this moment.
    pub(super) fn tell(&mut self, metrics: &LogMetrics, now: Timestamp) {
        for written in self.arrived.drain(..) {
            // Before our clock: nothing by ours.
            metrics.event_age.observe(Duration::from_millis(now.millis_since(written)));
        }
        for entry in self.quarantined.drain(..) {
            metrics.quarantined.inc(entry.kind);
            entry.log();
        }
        for fork in self.forks.drain(..) {
            fork.log();
        }
        // A first sync has thousands in each page.
        self.arrived.shrink_to(64);
    }
}

impl Quarantined {
    pub(super) fn of(entry: &QuarantineEntry<'_>) -> Self {
        let QuarantineEntry { peer, sequence, event_id, reason, kind, .. } = *entry;
        Self { kind, peer, sequence, event_id, reason: reason.to_owned() }
    }

    fn log(&self) {
        tracing::warn!(
            about = %self.peer, journal.message_id = message_id::QUARANTINED,
            journal.event_id = self.event_id.map(tracing::field::display),
            peer = %self.peer, sequence = %self.sequence, event_id = ?self.event_id,
            "an event was moved to quarantine: {}", self.reason
        );
    }
}

impl Fork {
    fn log(&self) {
        tracing::warn!(
            about = %self.source, journal.message_id = message_id::FORKED, journal.event_id = %self.event_id,
            "the log of {} has two histories: it was restored or copied, and both are kept", self.origin
        );
    }
}
