//! Limits of what one call reads and answers.

use thrum_api::limits::PULL_MAX_EVENTS;
use thrum_api::{Sequence, SequencedEvent};

use super::lookup::raw;

/// How much one call reads at most: rows, and bytes of events (SQLite reads a large body even if
/// it is not asked for). The call then says that there is more.
pub(super) struct ScanBudget {
    rows: u64,
    bytes: usize,
}

impl ScanBudget {
    pub(super) const ROWS: u64 = 20_000;

    pub(super) fn new() -> Self {
        Self { rows: Self::ROWS, bytes: 64 * 1024 * 1024 }
    }

    /// Counts one more row; false if that is too much.
    pub(super) fn take(&mut self, body: &[u8]) -> bool {
        self.bytes = self.bytes.saturating_sub(body.len());
        self.take_rows(1)
    }

    /// Counts so many rows whose bodies are not read; false if that is too much.
    pub(super) fn take_rows(&mut self, rows: u64) -> bool {
        let enough = self.rows > 0 && self.bytes > 0;
        self.rows = self.rows.saturating_sub(rows);
        enough
    }
}

/// Maximum bytes of events that a local reader gets at once, after the first one.
pub(super) const LIST_MAX_BYTES: usize = 4 * 1024 * 1024;

/// Collects events up to a count and a number of bytes.
pub(super) struct Collector {
    pub(super) events: Vec<SequencedEvent>,
    pub(super) damaged: Vec<Sequence>,
    limit: usize,
    bytes: usize,
}

impl Collector {
    pub(super) fn new(limit: usize) -> Self {
        let limit = limit.clamp(1, PULL_MAX_EVENTS);
        Self { events: Vec::new(), damaged: Vec::new(), limit, bytes: 0 }
    }

    /// Adds an event; false if it exceeds the limits. The first one always fits.
    pub(super) fn add(&mut self, sequence: Sequence, body: &[u8]) -> bool {
        let full = self.events.len() >= self.limit || self.bytes + body.len() > LIST_MAX_BYTES;
        if full && !self.events.is_empty() {
            return false;
        }
        match raw(body) {
            Some(event) => {
                self.bytes += body.len();
                self.events.push(SequencedEvent { sequence, event });
            }
            None => self.damaged.push(sequence),
        }
        true
    }
}
