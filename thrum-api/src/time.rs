//! Wall-clock times and hybrid logical clocks in their wire formats.

use std::fmt;
use std::str::FromStr;

use schemars::JsonSchema;

use crate::text_form::text_form;

/// A wall-clock time in milliseconds since 1970, written as RFC 3339 in UTC. It is for display, and
/// nothing is ordered by a remote one.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, JsonSchema)]
#[schemars(with = "String")]
pub struct Timestamp(jiff::Timestamp);

impl Timestamp {
    /// The time this many milliseconds after 1970, clamped to the supported range.
    pub fn from_millis(millis: i64) -> Self {
        let nearest = if millis < 0 { jiff::Timestamp::MIN } else { jiff::Timestamp::MAX };
        Self(jiff::Timestamp::from_millisecond(millis).unwrap_or(nearest))
    }

    /// Milliseconds since 1970.
    pub fn as_millis(self) -> i64 {
        self.0.as_millisecond()
    }

    /// Milliseconds since `earlier`, or zero if that is later.
    pub fn millis_since(self, earlier: Self) -> u64 {
        u64::try_from(self.as_millis().saturating_sub(earlier.as_millis())).unwrap_or(0)
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:.3}", self.0)
    }
}

impl FromStr for Timestamp {
    type Err = jiff::Error;

    fn from_str(text: &str) -> Result<Self, jiff::Error> {
        text.parse().map(Self)
    }
}

text_form!(Timestamp);

/// A hybrid logical clock value: 48 bits of milliseconds, 16 bits of counter.
///
/// Written as `0192f3a1b2c3-0004`, so that the text sorts like the value. Together with origin and origin
/// sequence, it decides which of two writers was last.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, JsonSchema)]
#[schemars(with = "String")]
pub struct Hlc(u64);

impl Hlc {
    /// The value with this time (milliseconds since 1970) and counter.
    pub const fn new(millis: u64, counter: u16) -> Self {
        Self((millis << 16) | counter as u64)
    }

    /// Its time in milliseconds since 1970.
    pub const fn millis(self) -> u64 {
        self.0 >> 16
    }

    /// The smallest value after this one that is not before `now_millis`.
    #[must_use]
    pub const fn tick(self, now_millis: u64) -> Self {
        let next = self.0.saturating_add(1);
        let now = Self::new(now_millis, 0).0;
        Self(if now > next { now } else { next })
    }

    /// The value as one number, for storing.
    pub const fn to_bits(self) -> u64 {
        self.0
    }

    /// The value of a stored number.
    pub const fn from_bits(bits: u64) -> Self {
        Self(bits)
    }
}

impl fmt::Display for Hlc {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:012x}-{:04x}", self.millis(), self.0 & 0xffff)
    }
}

/// The error for a text that is not a hybrid logical clock value.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("not a clock value (12 hex digits, a dash, 4 hex digits)")]
pub struct ParseHlcError;

impl FromStr for Hlc {
    type Err = ParseHlcError;

    fn from_str(text: &str) -> Result<Self, ParseHlcError> {
        let (millis, counter) = text.split_once('-').ok_or(ParseHlcError)?;
        // `from_str_radix` would accept a sign.
        let hex = |text: &str| text.bytes().all(|c| c.is_ascii_hexdigit());
        if millis.len() != 12 || counter.len() != 4 || !hex(millis) || !hex(counter) {
            return Err(ParseHlcError);
        }
        let millis = u64::from_str_radix(millis, 16).map_err(|_| ParseHlcError)?;
        let counter = u16::from_str_radix(counter, 16).map_err(|_| ParseHlcError)?;
        Ok(Self::new(millis, counter))
    }
}

text_form!(Hlc);
