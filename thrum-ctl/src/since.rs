//! The beginning of a period, as people type it.

use std::time::Duration;

use thrum_api::Timestamp;

use crate::format::duration_argument;

/// Since when: a duration ago, or a time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Since {
    /// So long ago.
    Ago(Duration),
    /// At this time.
    At(Timestamp),
}

impl Since {
    /// The time, if it is `now`.
    pub fn at(self, now: Timestamp) -> Timestamp {
        match self {
            Self::Ago(duration) => {
                let millis = i64::try_from(duration.as_millis()).unwrap_or(i64::MAX);
                Timestamp::from_millis(now.as_millis().saturating_sub(millis))
            }
            Self::At(time) => time,
        }
    }
}

/// Parses a duration (`2h`), a day (`2026-11-30`, UTC) or a time of RFC 3339.
///
/// # Errors
/// When it is none of them, with an example of each.
pub fn since_argument(text: &str) -> Result<Since, String> {
    let day = || format!("{text}T00:00:00Z").parse();
    if let Ok(time) = text.parse().or_else(|_| day()) {
        return Ok(Since::At(time));
    }
    duration_argument(text).map(Since::Ago).map_err(|_| {
        format!("{text:?} is no time; write it like 2h, 2026-11-30 or 2026-11-30T14:00:00Z")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn since_is_a_duration_a_day_or_a_time() {
        let now = Timestamp::from_millis(10_000_000);
        let at = |text: &str| since_argument(text).unwrap().at(now).as_millis();
        assert_eq!(at("1h"), 6_400_000);
        assert_eq!(at("1970-01-02"), 86_400_000);
        assert_eq!(at("1970-01-01T00:00:01Z"), 1000);
        assert!(since_argument("2h ago").unwrap_err().contains("2026-11-30"));
        assert!(since_argument("2026-13-01").unwrap_err().contains("2026-11-30"));
    }
}
