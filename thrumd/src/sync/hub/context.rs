use thrum_api::Sequence;

use super::messages::OperationId;
use super::time::MonotonicTime;
use super::timing::Timing;

/// What the decisions about one peer depend on beside the state of its link.
pub(super) struct Context<'a> {
    pub(super) now: MonotonicTime,
    pub(super) timing: &'a Timing,
    /// Sync is enabled.
    pub(super) enabled: bool,
    /// The end of our log.
    pub(super) head: Sequence,
    pub(super) last_operation: &'a mut OperationId,
    pub(super) seed: u64,
}

impl Context<'_> {
    /// A new id.
    pub(super) fn operation(&mut self) -> OperationId {
        *self.last_operation += 1;
        *self.last_operation
    }

    /// The next number of a sequence that the seed decides (splitmix64).
    pub(super) fn draw(&mut self) -> u64 {
        let mut z = self.seed ^ self.operation().wrapping_mul(0x9e37_79b9_7f4a_7c15);
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }
}
