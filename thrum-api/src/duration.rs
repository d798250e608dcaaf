//! Parsing and formatting of durations and ages.

use std::time::Duration;

use crate::time::Timestamp;

/// The longest duration: 100 years. A longer one is a typing error.
pub const DURATION_MAX_DAYS: u64 = 100 * 366;
const UNITS: [(&str, u64); 5] =
    [("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1_000), ("ms", 1)];

/// Why a text is not a duration.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ParseDurationError {
    /// A number or a unit is missing or unknown.
    #[error("not a duration such as 500ms, 30s, 10m or 1h30m")]
    Malformed,
    /// Longer than [`DURATION_MAX_DAYS`].
    #[error("longer than {DURATION_MAX_DAYS} days")]
    TooLong,
}

/// Parses a duration: `10m`, `1h30m`, `500ms`.
///
/// # Errors
/// When it is malformed or too long.
pub fn parse_duration(text: &str) -> Result<Duration, ParseDurationError> {
    use ParseDurationError::{Malformed, TooLong};
    let mut rest = text;
    let mut total_ms: u64 = 0;
    if rest.is_empty() {
        return Err(Malformed);
    }
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit()).ok_or(Malformed)?;
        let (number, tail) = rest.split_at(digits);
        let letters = tail.find(|c: char| c.is_ascii_digit()).unwrap_or(tail.len());
        let (unit, tail) = tail.split_at(letters);
        let (_, unit_ms) = UNITS.iter().find(|(name, _)| *name == unit).ok_or(Malformed)?;
        if number.is_empty() {
            return Err(Malformed);
        }
        // It has only digits, so it is too large if it can't be parsed.
        let ms = number.parse::<u64>().ok().and_then(|number| number.checked_mul(*unit_ms));
        total_ms = ms
            .and_then(|ms| ms.checked_add(total_ms))
            .filter(|ms| *ms < DURATION_MAX_DAYS * 86_400_000)
            .ok_or(TooLong)?;
        rest = tail;
    }
    Ok(Duration::from_millis(total_ms))
}

/// The inverse of [`parse_duration`]: `1m1s`, `500ms`.
pub fn format_duration(duration: Duration) -> String {
    let mut rest = u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
    let mut text = String::new();
    for (unit, unit_ms) in UNITS {
        if rest >= unit_ms {
            text.push_str(&format!("{}{unit}", rest / unit_ms));
            rest %= unit_ms;
        }
    }
    if text.is_empty() { "0s".to_owned() } else { text }
}

/// A duration in its largest unit, rounded down: `4s`, `12m`, `3h`, `5d`.
pub fn rounded(millis: u64) -> String {
    match millis / 1000 {
        seconds @ 0..60 => format!("{seconds}s"),
        seconds @ 60..3600 => format!("{}m", seconds / 60),
        seconds @ 3600..86400 => format!("{}h", seconds / 3600),
        seconds => format!("{}d", seconds / 86400),
    }
}

/// An age: `30s ago`.
pub fn ago(then: Timestamp, now: Timestamp) -> String {
    format!("{} ago", rounded(now.millis_since(then)))
}

/// The age of something that may never have happened: `30s ago` or `never`.
pub fn ago_or_never(then: Option<Timestamp>, now: Timestamp) -> String {
    then.map_or_else(|| "never".to_owned(), |then| ago(then, now))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_have_units_and_can_be_joined() {
        assert_eq!(parse_duration("10m"), Ok(Duration::from_secs(600)));
        assert_eq!(parse_duration("1h30m"), Ok(Duration::from_secs(5400)));
        assert_eq!(parse_duration("5m0s"), Ok(Duration::from_secs(300)));
        assert_eq!(parse_duration("500ms"), Ok(Duration::from_millis(500)));
    }

    #[test]
    fn a_malformed_duration_is_told_apart_from_one_that_is_too_long() {
        for text in ["", "0", "10", "m", "10x", "-5s", "1.5h", "10 m", "1m5"] {
            assert_eq!(parse_duration(text), Err(ParseDurationError::Malformed), "{text}");
        }
        assert!(parse_duration("36599d").is_ok());
        for text in ["36600d", "99999d", "99999999999999999999d", "36599d24h"] {
            assert_eq!(parse_duration(text), Err(ParseDurationError::TooLong), "{text}");
        }
    }

    #[test]
    fn a_duration_is_written_as_it_was_typed() {
        for text in ["1m1s", "500ms", "10m", "1h30m", "2d", "1s250ms"] {
            assert_eq!(parse_duration(text).map(format_duration), Ok(text.to_owned()));
        }
        assert_eq!(parse_duration("61s").map(format_duration).as_deref(), Ok("1m1s"));
        assert_eq!(format_duration(Duration::ZERO), "0s");
    }

    #[test]
    fn ages_use_one_unit_and_never_run_backwards() {
        let at = Timestamp::from_millis;
        assert_eq!(ago(at(0), at(59_999)), "59s ago");
        assert_eq!(ago(at(0), at(60_000)), "1m ago");
        assert_eq!(ago(at(0), at(7_200_000)), "2h ago");
        assert_eq!(ago(at(0), at(200_000_000)), "2d ago");
        assert_eq!(ago(at(90_000), at(0)), "0s ago");
        assert_eq!(ago_or_never(None, at(0)), "never");
    }
}
