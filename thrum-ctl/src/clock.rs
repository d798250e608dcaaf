//! The clock of the client.

use std::time::{SystemTime, UNIX_EPOCH};

use thrum_api::Timestamp;

/// The current time of this machine. A clock beyond the years that can be written is at the last of them.
pub fn now() -> Timestamp {
    #[expect(clippy::disallowed_methods, reason = "thrumd::clock is thrumd's")]
    let now = SystemTime::now();
    at(now)
}

fn at(now: SystemTime) -> Timestamp {
    let millis = now.duration_since(UNIX_EPOCH).unwrap_or_default().as_millis();
    Timestamp::from_millis(i64::try_from(millis).unwrap_or(i64::MAX))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_clock_that_is_far_off_is_a_time() {
        let late = at(UNIX_EPOCH + Duration::from_secs(300_000_000_000));
        assert!(late.to_string().starts_with("9999-12-30"), "{late}");
        assert_eq!(at(UNIX_EPOCH - Duration::from_secs(1)).as_millis(), 0);
    }
}
