//! Numbers and times as people read and write them.

use std::time::Duration;

use thrum_api::Timestamp;

/// A hundred years, below which every time is.
const DURATION_MAX_DAYS: u64 = 100 * 366;

/// Reads `10m`, `1h30m`, `500ms`.
///
/// # Errors
/// When a unit is missing or unknown, and when it is longer than a hundred years.
pub fn parse_duration(text: &str) -> Result<Duration, String> {
    let wrong = || format!("{text:?} is no duration; write it like 500ms, 30s, 10m or 1h30m");
    let too_long = || format!("{text:?} is too long; {DURATION_MAX_DAYS}d are more than enough");
    let mut rest = text;
    let mut total_ms: u64 = 0;
    if rest == "0" {
        return Ok(Duration::ZERO);
    }
    if rest.is_empty() {
        return Err(wrong());
    }
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit()).ok_or_else(wrong)?;
        let (number, tail) = rest.split_at(digits);
        let letters = tail.find(|c: char| c.is_ascii_digit()).unwrap_or(tail.len());
        let (unit, tail) = tail.split_at(letters);
        let unit_ms: u64 = match unit {
            "ms" => 1,
            "s" => 1_000,
            "m" => 60_000,
            "h" => 3_600_000,
            "d" => 86_400_000,
            _ => return Err(wrong()),
        };
        if number.is_empty() {
            return Err(wrong());
        }
        // Only digits are left: what can't be parsed has too many.
        let number = number.parse::<u64>().ok();
        total_ms = number
            .and_then(|number| number.checked_mul(unit_ms))
            .and_then(|ms| ms.checked_add(total_ms))
            .filter(|ms| *ms < DURATION_MAX_DAYS * 86_400_000)
            .ok_or_else(too_long)?;
        rest = tail;
    }
    Ok(Duration::from_millis(total_ms))
}

/// The same the other way round, without loss: `1m1s`, `500ms`.
pub fn exact(duration: Duration) -> String {
    let mut rest = u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
    let mut text = String::new();
    for (unit, unit_ms) in
        [("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1_000), ("ms", 1)]
    {
        if rest >= unit_ms {
            text.push_str(&format!("{}{unit}", rest / unit_ms));
            rest %= unit_ms;
        }
    }
    if text.is_empty() { "0s".to_owned() } else { text }
}

/// A length of time in its largest unit, rounded down: `4s`, `12m`, `3h`, `5d`.
pub fn span(millis: u64) -> String {
    match millis / 1000 {
        seconds @ 0..60 => format!("{seconds}s"),
        seconds @ 60..3600 => format!("{}m", seconds / 60),
        seconds @ 3600..86400 => format!("{}h", seconds / 3600),
        seconds => format!("{}d", seconds / 86400),
    }
}

/// How long ago that was: `30s ago`.
pub fn ago(then: Timestamp, now: Timestamp) -> String {
    format!("{} ago", span(now.millis_since(then)))
}

/// The same of something that may never have been.
pub fn ago_or_never(then: Option<Timestamp>, now: Timestamp) -> String {
    then.map_or_else(|| "never".to_owned(), |then| ago(then, now))
}

/// A number with its thousands set apart: `48,201`.
pub fn count(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// A number that may be unknown.
pub fn count_or_unknown(number: Option<u64>) -> String {
    number.map_or_else(|| "?".to_owned(), count)
}

/// A number of things: `1 event`, `2 events`.
pub fn counted(number: u64, thing: &str) -> String {
    let plural = if number == 1 { "" } else { "s" };
    format!("{} {thing}{plural}", count(number))
}

/// A size in binary units: `71 MiB`.
pub fn size(bytes: u64) -> String {
    const KIB: u64 = 1024;
    const MIB: u64 = 1024 * KIB;
    const GIB: u64 = 1024 * MIB;
    match bytes {
        0..KIB => format!("{bytes} B"),
        KIB..MIB => format!("{} KiB", bytes / KIB),
        MIB..GIB => format!("{} MiB", bytes / MIB),
        _ => format!("{}.{} GiB", bytes / GIB, bytes % GIB * 10 / GIB),
    }
}

/// Microseconds as milliseconds with two decimals: `0.84 ms`.
pub fn micros(micros: u64) -> String {
    format!("{}.{:02} ms", micros / 1000, micros % 1000 / 10)
}

/// An id short enough for a screen, still recognisable: `d_01K..7Q`.
pub fn short_id(id: &str) -> String {
    let keep = if id.starts_with("d_") { 5 } else { 3 };
    let chars: Vec<char> = id.chars().collect();
    if chars.len() <= keep + 4 {
        return id.to_owned();
    }
    let head: String = chars[..keep].iter().collect();
    let tail: String = chars[chars.len() - 2..].iter().collect();
    format!("{head}..{tail}")
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
        assert_eq!(parse_duration("0"), Ok(Duration::ZERO));
    }

    #[test]
    fn what_is_no_duration_is_refused_with_an_example() {
        for text in ["", "10", "m", "10x", "-5s", "1.5h", "10 m", "1m5"] {
            let error = parse_duration(text).expect_err(text);
            assert!(error.contains("1h30m"), "{error}");
        }
    }

    #[test]
    fn a_duration_is_written_as_it_was_typed() {
        for text in ["1m1s", "500ms", "10m", "1h30m", "2d", "1s250ms"] {
            assert_eq!(parse_duration(text).map(exact), Ok(text.to_owned()));
        }
        assert_eq!(parse_duration("61s").map(exact).as_deref(), Ok("1m1s"));
        assert_eq!(exact(Duration::ZERO), "0s");
    }

    #[test]
    fn what_is_too_long_is_told_apart_from_what_is_no_duration() {
        assert!(parse_duration("36599d").is_ok());
        for text in ["36600d", "99999d", "99999999999999999999d", "36599d24h"] {
            let error = parse_duration(text).expect_err(text);
            assert!(error.contains("too long") && !error.contains("no duration"), "{error}");
        }
    }

    #[test]
    fn numbers_are_set_for_reading() {
        assert_eq!(count(0), "0");
        assert_eq!(count(999), "999");
        assert_eq!(count(48_201), "48,201");
        assert_eq!(count(1_000_000), "1,000,000");
        assert_eq!(counted(1, "event"), "1 event");
        assert_eq!(size(74_448_896), "71 MiB");
        assert_eq!(size(3 << 29), "1.5 GiB");
        assert_eq!(micros(840), "0.84 ms");
        assert_eq!(micros(12_345), "12.34 ms");
    }

    #[test]
    fn ages_use_one_unit_and_never_run_backwards() {
        let at = Timestamp::from_millis;
        assert_eq!(ago(at(0), at(30_000)), "30s ago");
        assert_eq!(ago(at(0), at(7_200_000)), "2h ago");
        assert_eq!(ago(at(90_000), at(0)), "0s ago");
        assert_eq!(ago_or_never(None, at(0)), "never");
    }

    #[test]
    fn an_id_is_shortened_from_the_middle() {
        assert_eq!(short_id("d_01KABCDEFGHJKMNPQRSTVWXY7Q"), "d_01K..7Q");
        assert_eq!(short_id("01KABCDEFGHJKMNPQRSTVWXY7Q"), "01K..7Q");
        assert_eq!(short_id("abc"), "abc");
    }
}
