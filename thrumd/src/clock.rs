//! The machine's clock: the one place that reads it, and a wait for a moment.

use std::future::pending;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use thrum_api::Timestamp;
use tokio::time::Instant;

/// The first second after the year 9999, since 1970.
const YEAR_10_000: u64 = 253_402_300_800;

/// The wall clock now.
pub fn now() -> Timestamp {
    #[expect(clippy::disallowed_methods, reason = "this is the place that the ban points to")]
    let since_1970 = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO);
    Timestamp::from_millis(i64::try_from(since_1970.as_millis()).unwrap_or(i64::MAX))
}

/// Whether a moment can be written as the date of an HTTP answer: from 1970 to 9999. The HTTP library panics at others.
pub fn is_writable(moment: SystemTime) -> bool {
    moment.duration_since(UNIX_EPOCH).is_ok_and(|since| since.as_secs() < YEAR_10_000)
}

/// Whether the machine's clock is set to such a moment.
pub fn is_usable() -> bool {
    #[expect(clippy::disallowed_methods, reason = "this is the place that the ban points to")]
    is_writable(SystemTime::now())
}

/// Returns at this moment; without one, never.
pub async fn sleep_until(moment: Option<Instant>) {
    match moment {
        Some(moment) => tokio::time::sleep_until(moment).await,
        None => pending().await,
    }
}

/// A duration as text for status and log lines: `30s`, `5m0s`, `2h3m0s`.
pub fn format_duration(span: Duration) -> String {
    let seconds = span.as_secs();
    let (hours, minutes, rest) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
    match (hours, minutes) {
        (0, 0) => format!("{rest}s"),
        (0, _) => format!("{minutes}m{rest}s"),
        _ => format!("{hours}h{minutes}m{rest}s"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_years_1970_to_9999_are_usable() {
        let at = |seconds| is_writable(UNIX_EPOCH + Duration::from_secs(seconds));
        assert!(at(0) && at(YEAR_10_000 - 1));
        assert!(!at(YEAR_10_000) && !is_writable(UNIX_EPOCH - Duration::from_secs(1)));
    }
}
