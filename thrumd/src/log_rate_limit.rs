//! Rate limit for log lines that other machines can cause.

use std::collections::BTreeMap;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::time::Instant;

/// Lets one log line a minute through for each key (an address, a peer), after `burst` at first, and remembers a
/// bounded number of keys.
pub struct LogRateLimiter<K> {
    burst: u32,
    used: Mutex<BTreeMap<K, Used>>,
}

struct Used {
    /// When the lines of this key would be used up at one a minute.
    until: Instant,
    left_out: u64,
}

/// What a [`LogRateLimiter`] says of a line that may be logged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Admitted {
    /// How many lines of its key were left out since the last one.
    pub left_out: u64,
    /// Whether the next one has to wait.
    pub is_last: bool,
}

impl<K: Ord> LogRateLimiter<K> {
    const PAUSE: Duration = Duration::from_secs(60);
    const KEYS: usize = 256;

    /// A limiter that lets this many lines of a key through before it counts minutes.
    pub fn new(burst: u32) -> Self {
        Self { burst, used: Mutex::default() }
    }

    /// Whether a line about this key may be logged now.
    pub fn allows(&self, key: K) -> bool {
        self.admit(key).is_some()
    }

    /// As [`Self::allows`], with what a reader should know of the lines before and after.
    pub fn admit(&self, key: K) -> Option<Admitted> {
        let (mut all, now) = (self.used.lock(), Instant::now());
        if all.len() >= Self::KEYS {
            all.retain(|_, used| used.until > now);
            if all.len() >= Self::KEYS && !all.contains_key(&key) {
                return None;
            }
        }
        let used = all.entry(key).or_insert(Used { until: now, left_out: 0 });
        let (next, full) = (used.until.max(now) + Self::PAUSE, now + Self::PAUSE * self.burst);
        if next > full {
            used.left_out = used.left_out.saturating_add(1);
            return None;
        }
        used.until = next;
        let left_out = std::mem::take(&mut used.left_out);
        Some(Admitted { left_out, is_last: next + Self::PAUSE > full })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_key_has_its_burst_and_then_one_line_a_minute() {
        let lines = LogRateLimiter::new(2);
        let allowed = |lines: &LogRateLimiter<_>| (0..9).filter(|_| lines.allows("a")).count();
        assert_eq!(allowed(&lines), 2);
        assert!(lines.allows("b"), "each key has its own");
        for wanted in [1, 1] {
            tokio::time::advance(Duration::from_secs(60)).await;
            assert_eq!(allowed(&lines), wanted);
        }
        tokio::time::advance(Duration::from_secs(600)).await;
        assert_eq!(allowed(&lines), 2);
    }

    #[tokio::test(start_paused = true)]
    async fn the_number_of_keys_is_bounded() {
        let lines = LogRateLimiter::new(1);
        let allowed = |range: std::ops::Range<i32>| range.filter(|key| lines.allows(*key)).count();
        assert_eq!(allowed(0..1000), 256);
        tokio::time::advance(Duration::from_secs(60)).await;
        assert_eq!(allowed(1000..1010), 10);
    }
}
