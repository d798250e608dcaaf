//! The machine's clock: the one place that reads it, and a wait for a moment.

use std::future::pending;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use thrum_api::Timestamp;
use tokio::time::Instant;

/// The wall clock now.
pub fn now() -> Timestamp {
    #[expect(clippy::disallowed_methods, reason = "this is the place that the ban points to")]
    let since_1970 = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO);
    Timestamp::from_millis(i64::try_from(since_1970.as_millis()).unwrap_or(i64::MAX))
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
