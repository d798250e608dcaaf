//! Rate limit for log lines that other machines can cause.

use std::collections::BTreeMap;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::time::Instant;

/// Lets one log line a minute through for each key (an address, a peer), after `burst` at first, and remembers a
/// bounded number of keys.
pub struct LogRateLimiter<K> {
    burst: u32,
    /// When the lines of a key would be used up at one a minute.
    used_until: Mutex<BTreeMap<K, Instant>>,
}

impl<K: Ord> LogRateLimiter<K> {
    const PAUSE: Duration = Duration::from_secs(60);
    const KEYS: usize = 256;

    /// A limiter that lets this many lines of a key through before it counts minutes.
    pub fn new(burst: u32) -> Self {
        Self { burst, used_until: Mutex::default() }
    }

    /// Whether a line about this key may be logged now.
    pub fn allows(&self, key: K) -> bool {
        let (mut used_until, now) = (self.used_until.lock(), Instant::now());
        if used_until.len() >= Self::KEYS {
            used_until.retain(|_, until| *until > now);
            if used_until.len() >= Self::KEYS && !used_until.contains_key(&key) {
                return false;
            }
        }
        let until = used_until.entry(key).or_insert(now);
        let next = (*until).max(now) + Self::PAUSE;
        let allowed = next <= now + Self::PAUSE * self.burst;
        if allowed {
            *until = next;
        }
        allowed
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
