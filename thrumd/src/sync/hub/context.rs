use std::collections::BTreeSet;

use thrum_api::{DaemonId, Sequence};

use super::failure::FailureKind;
use super::messages::{Action, OperationId};
use super::time::MonotonicTime;
use super::timing::Timing;
use crate::backoff::Failures;

/// What the decisions about one peer depend on beside the state of its link, and where their actions go.
pub(super) struct Context<'a> {
    pub(super) now: MonotonicTime,
    pub(super) timing: &'a Timing,
    pub(super) peer: DaemonId,
    /// Sync is enabled.
    pub(super) enabled: bool,
    /// The end of our log.
    pub(super) head: Sequence,
    /// The peers that can be reached.
    pub(super) connected: &'a BTreeSet<DaemonId>,
    pub(super) actions: &'a mut Vec<Action>,
    pub(super) last_operation: &'a mut OperationId,
    pub(super) seed: u64,
}

impl Context<'_> {
    /// A new id.
    pub(super) fn operation(&mut self) -> OperationId {
        *self.last_operation += 1;
        *self.last_operation
    }

    /// Counts a failure. One of our own log is retried sooner.
    pub(super) fn record(&mut self, failures: &mut Failures<MonotonicTime>, kind: FailureKind) {
        let backoff = match kind {
            FailureKind::Local => &self.timing.local_backoff,
            _ => &self.timing.backoff,
        };
        let draw = self.draw();
        failures.record(self.now, backoff, draw);
    }

    /// The next number of a sequence that the seed decides (splitmix64).
    fn draw(&mut self) -> u64 {
        let mut z = self.seed ^ self.operation().wrapping_mul(0x9e37_79b9_7f4a_7c15);
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }
}
