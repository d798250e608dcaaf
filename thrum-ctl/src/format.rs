//! Formats numbers, sizes and ids for people.

use std::time::Duration;

use thrum_api::duration::{DURATION_MAX_DAYS, ParseDurationError, parse_duration, rounded};
use thrum_api::local::{PeerState, StatusResult};
use thrum_api::{EventId, Timestamp};

/// Parses a duration of the command line; `0` needs no unit.
///
/// # Errors
/// When it is invalid, with an example, and when it is too long.
pub fn duration_argument(text: &str) -> Result<Duration, String> {
    match parse_duration(text) {
        _ if text == "0" => Ok(Duration::ZERO),
        Ok(duration) => Ok(duration),
        Err(ParseDurationError::Malformed) => {
            Err(format!("{text:?} is not a duration; write it like 500ms, 30s, 10m or 1h30m"))
        }
        Err(ParseDurationError::TooLong) => {
            Err(format!("{text:?} is too long; the maximum is {DURATION_MAX_DAYS} days"))
        }
    }
}

/// The name of a peer's state.
pub const fn peer_state(state: PeerState) -> &'static str {
    match state {
        PeerState::InSync => "in sync",
        PeerState::CatchingUp => "catching up",
        PeerState::BackingOff => "backing off",
        PeerState::NeverReached => "not reached yet",
        PeerState::RemovedUs => "removed us",
        PeerState::LogChanged => "log changed",
        PeerState::Off => "off",
    }
}

/// A number with thousands separators: `48,201`.
pub fn count(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
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
pub fn counted(number: impl TryInto<u64>, thing: &str) -> String {
    let number = number.try_into().unwrap_or(u64::MAX);
    let plural = if number == 1 { "" } else { "s" };
    format!("{} {thing}{plural}", count(number))
}

/// Events that the views of a daemon read in about a second.
const MOMENT_EVENTS: u64 = 10_000;

/// How far the views are, if they are behind the log by more than a moment: `1 of 20,000`.
pub fn views_behind(status: &StatusResult) -> Option<String> {
    let (read, head) = (status.views.read_seq?.0, status.log.head_seq.0);
    (head.saturating_sub(read) > MOMENT_EVENTS)
        .then(|| format!("{} of {}", count(read), count(head)))
}

/// What people are told while the views are behind by what [`views_behind`] says.
pub fn until_readable(behind: &str) -> String {
    format!("messages can be read when all events are indexed: {behind} so far")
}

/// How many more machines: `1 more machine`, `2 more machines`.
pub fn more_machines(number: u32) -> String {
    format!("{number} more {}", if number == 1 { "machine" } else { "machines" })
}

/// A number of tries: `1 try`, `2 tries`.
pub fn tries(number: u32) -> String {
    format!("{number} {}", if number == 1 { "try" } else { "tries" })
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

/// How many characters at the end of a message's id are shown, and typed.
const MESSAGE_ID_CHARS: usize = 6;

/// A message's id as it is shown: its last characters, which are enough to name it.
pub fn message_id(id: EventId) -> String {
    let mut text = id.to_string();
    text.split_off(text.len().saturating_sub(MESSAGE_ID_CHARS))
}

/// An age without a word after it: `4m`, `yesterday`, `5d`.
pub fn age(then: Timestamp, now: Timestamp) -> String {
    const DAY: u64 = 86_400_000;
    match now.millis_since(then) {
        millis if (DAY..2 * DAY).contains(&millis) => "yesterday".to_owned(),
        millis => rounded(millis),
    }
}

/// An age in a sentence: `4m ago`, `yesterday`.
pub fn since(then: Timestamp, now: Timestamp) -> String {
    match age(then, now) {
        day if day == "yesterday" => day,
        age => format!("{age} ago"),
    }
}

/// A word for a shell, as a person copies it. What others wrote is made visible before.
pub fn shell_word(text: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./:".contains(c);
    if text.chars().all(plain) {
        text.to_owned()
    } else {
        format!("'{}'", text.replace('\'', "'\\''"))
    }
}

/// An abbreviated id: `d_01K..7G`.
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
    fn a_wrong_duration_is_refused_with_an_example_and_zero_needs_no_unit() {
        assert_eq!(duration_argument("0"), Ok(Duration::ZERO));
        assert_eq!(duration_argument("10m"), Ok(Duration::from_secs(600)));
        assert!(duration_argument("10").unwrap_err().contains("1h30m"));
        assert!(duration_argument("99999d").unwrap_err().contains("too long"));
    }

    #[test]
    fn numbers_and_sizes_are_formatted() {
        assert_eq!(count(0), "0");
        assert_eq!(count(999), "999");
        assert_eq!(count(48_201), "48,201");
        assert_eq!(count(1_000_000), "1,000,000");
        assert_eq!(counted(1, "event"), "1 event");
        assert_eq!((tries(1).as_str(), tries(3).as_str()), ("1 try", "3 tries"));
        assert_eq!(size(74_448_896), "71 MiB");
        assert_eq!(size(3 << 29), "1.5 GiB");
        assert_eq!(micros(840), "0.84 ms");
        assert_eq!(micros(12_345), "12.34 ms");
    }

    #[test]
    fn an_age_is_short_and_the_day_before_has_a_name() {
        let ago = |millis| age(Timestamp::from_millis(0), Timestamp::from_millis(millis));
        assert_eq!(ago(240_000), "4m");
        assert_eq!(ago(86_399_000), "23h");
        assert_eq!(ago(86_400_000), "yesterday");
        assert_eq!(ago(172_800_000), "2d");
        let at = Timestamp::from_millis;
        assert_eq!(
            (since(at(0), at(5000)), since(at(0), at(90_000_000))),
            ("5s ago".to_owned(), "yesterday".to_owned())
        );
    }

    #[test]
    fn a_message_is_named_by_the_end_of_its_id() {
        let id: EventId = "01K000000000000000007QX2AB".parse().unwrap();
        assert_eq!(message_id(id), "7QX2AB");
    }

    #[test]
    fn an_id_is_shortened_from_the_middle() {
        assert_eq!(short_id("d_01KABCDEFGHJKMNPQRSTVWXY000000000000000000000000007G"), "d_01K..7G");
        assert_eq!(short_id("01KABCDEFGHJKMNPQRSTVWXY7Q"), "01K..7Q");
        assert_eq!(short_id("abc"), "abc");
    }
}
