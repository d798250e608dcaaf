//! The page size: how many events a pull asks for at once. Fewer from a peer whose last page did not arrive
//! completely.

use std::time::Duration;

use thrum_api::limits::PULL_MAX_EVENTS;

/// The factor by which a page is smaller after one that failed, and larger after a quick one.
const STEP: u32 = 8;
/// After a page that arrived within this time, the next may be larger.
const QUICK: Duration = Duration::from_secs(5);

/// The size of the next page. Kept for each peer from one pull to the next.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct PageSize {
    /// None: as many as the protocol allows.
    limit: Option<u32>,
}

impl PageSize {
    const MAX: u32 = PULL_MAX_EVENTS as u32;

    /// The `limit` of `sync.pull`.
    pub(super) fn limit(self) -> Option<u32> {
        self.limit
    }

    /// A page of this size broke off, took too long, or could not be written here.
    pub(super) fn shrink(&mut self) {
        self.limit = Some((self.limit.unwrap_or(Self::MAX) / STEP).max(1));
    }

    /// A page arrived after this time.
    pub(super) fn arrived(&mut self, after: Duration) {
        if after <= QUICK {
            self.limit = self.limit.map(|limit| limit * STEP).filter(|limit| *limit < Self::MAX);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_page_size_shrinks_after_each_failed_page() {
        let mut size = PageSize::default();
        let mut asked = Vec::new();
        for _ in 0..5 {
            size.shrink();
            asked.push(size.limit().unwrap());
        }
        assert_eq!(asked, [125, 15, 1, 1, 1]);
    }

    #[test]
    fn slow_pages_keep_the_size_and_quick_pages_grow_to_the_maximum() {
        let mut size = PageSize::default();
        for _ in 0..3 {
            size.shrink();
        }
        size.arrived(Duration::from_secs(40));
        assert_eq!(size.limit(), Some(1));
        let mut asked = Vec::new();
        for _ in 0..5 {
            size.arrived(Duration::from_millis(20));
            asked.push(size.limit());
        }
        assert_eq!(asked, [Some(8), Some(64), Some(512), None, None]);
    }
}
