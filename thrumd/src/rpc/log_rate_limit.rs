//! Rate limit for log lines that unpaired callers can cause.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::time::Instant;

/// Lets one log line a minute through for each address, and remembers a bounded number of them.
#[derive(Default)]
pub(super) struct LogRateLimiter {
    last_line: Mutex<BTreeMap<IpAddr, Instant>>,
}

impl LogRateLimiter {
    const PAUSE: Duration = Duration::from_secs(60);
    const ADDRESSES: usize = 256;

    /// Whether a line about this address may be logged now.
    pub(super) fn allows(&self, address: IpAddr) -> bool {
        let (mut last_line, now) = (self.last_line.lock(), Instant::now());
        let is_recent = |last: &Instant| now < *last + Self::PAUSE;
        if last_line.get(&address).is_some_and(is_recent) {
            return false;
        }
        if last_line.len() >= Self::ADDRESSES {
            last_line.retain(|_, last| is_recent(last));
        }
        let allowed = last_line.len() < Self::ADDRESSES;
        if allowed {
            last_line.insert(address, now);
        }
        allowed
    }
}
