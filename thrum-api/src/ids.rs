//! Ids and positions, each with its own type so that they can't be confused.

use std::fmt;
use std::str::FromStr;

use data_encoding::Encoding;
use data_encoding_macro::new_encoding;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use ulid::Ulid;

use crate::proof::Chain;
use crate::text_form::text_form;

/// The error for a text that is not an id.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{text:?} is not {wanted}")]
pub struct ParseIdError {
    text: String,
    wanted: &'static str,
}

impl ParseIdError {
    fn new(text: &str, wanted: &'static str) -> Self {
        Self { text: text.chars().take(64).collect(), wanted }
    }
}

/// Crockford's base32, in the bit order of RFC 4648. Unused last bits are zero.
const CROCKFORD: Encoding = new_encoding! { symbols: "0123456789ABCDEFGHJKMNPQRSTVWXYZ", };

/// The id of a daemon, that is of a `thrumd` with its state directory: its Ed25519 public key (RFC 8032), as `d_` and 52
/// characters of Crockford's base32. Not all of these are keys: what verifies a signature tells.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, JsonSchema)]
#[schemars(with = "String")]
pub struct DaemonId([u8; Self::BYTES]);

impl DaemonId {
    /// How many bytes an id has.
    pub const BYTES: usize = 32;

    /// The id with this public key.
    pub const fn from_bytes(public_key: [u8; Self::BYTES]) -> Self {
        Self(public_key)
    }

    /// The public key.
    pub const fn to_bytes(self) -> [u8; Self::BYTES] {
        self.0
    }
}

impl fmt::Display for DaemonId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "d_{}", CROCKFORD.encode_display(&self.0))
    }
}

impl FromStr for DaemonId {
    type Err = ParseIdError;

    fn from_str(text: &str) -> Result<Self, ParseIdError> {
        let wrong = || ParseIdError::new(text, "a daemon id (d_ and 52 characters)");
        let digits = text.strip_prefix("d_").ok_or_else(wrong)?;
        let mut bytes = [0; Self::BYTES];
        // Checked first: the decoder needs to know how long its output is.
        if CROCKFORD.decode_len(digits.len()) != Ok(bytes.len()) {
            return Err(wrong());
        }
        CROCKFORD.decode_mut(digits.as_bytes(), &mut bytes).map_err(|_| wrong())?;
        Ok(Self(bytes))
    }
}

text_form!(DaemonId);

macro_rules! ulid_id {
    ($(#[$doc:meta])* $name:ident, wanted $wanted:literal) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, JsonSchema)]
        #[schemars(with = "String")]
        pub struct $name(Ulid);

        impl $name {
            /// The id with this ULID.
            pub const fn from_ulid(ulid: Ulid) -> Self {
                Self(ulid)
            }

            /// The ULID of this id.
            pub const fn ulid(self) -> Ulid {
                self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(&self.0, f)
            }
        }

        impl FromStr for $name {
            type Err = ParseIdError;

            fn from_str(text: &str) -> Result<Self, ParseIdError> {
                let wrong = || ParseIdError::new(text, $wanted);
                let ulid = Ulid::from_string(text).map_err(|_| wrong())?;
                // Each id has one spelling: with lower case or an overflowing first digit, different
                // texts would be the same id.
                if ulid.to_string() != text {
                    return Err(wrong());
                }
                Ok(Self(ulid))
            }
        }

        text_form!($name);
    };
}

ulid_id! {
    /// The globally unique id of an event: a ULID.
    EventId, wanted "an event id (26 characters)"
}
ulid_id! {
    /// The epoch of a log: a ULID. A lost, restored or rolled-back database gets a new one. It is not a
    /// counter, because a restored database can't know the last value.
    Epoch, wanted "an epoch (26 characters)"
}

macro_rules! position {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(
            Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize,
            Deserialize, JsonSchema,
        )]
        #[serde(transparent)]
        pub struct $name(pub u64);

        impl $name {
            /// The position before the first one.
            pub const ZERO: Self = Self(0);

            /// The position after this one.
            pub const fn next(self) -> Self {
                Self(self.0.saturating_add(1))
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(&self.0, f)
            }
        }
    };
}

position! {
    /// Position in the log of the daemon that serves it: 1, 2, 3 ..., never reused.
    Sequence
}
position! {
    /// Position among the events of one origin: 1, 2, 3 ... without a gap, never changed.
    OriginSequence
}

/// The hash of a log up to a position: of the chain values of all events there, in their order. Two logs with the same
/// hash at the same position hold the same events up to there.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, JsonSchema)]
#[schemars(with = "String")]
pub struct LogHash(pub u64);

impl fmt::Display for LogHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

impl FromStr for LogHash {
    type Err = ParseIdError;

    fn from_str(text: &str) -> Result<Self, ParseIdError> {
        let wrong = || ParseIdError::new(text, "a hash of a log (16 lower-case hex characters)");
        let hash = u64::from_str_radix(text, 16).map(Self).map_err(|_| wrong())?;
        if hash.to_string() == text { Ok(hash) } else { Err(wrong()) }
    }
}

text_form!(LogHash);

/// The origin of an event: the daemon that created it, and the epoch of its log at that time.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
pub struct Origin {
    /// The daemon.
    #[serde(rename = "origin_daemon")]
    pub daemon: DaemonId,
    /// Its epoch.
    #[serde(rename = "origin_epoch")]
    pub epoch: Epoch,
}

/// The head of an origin: the highest position up to which all its events are held, and the value of its chain there.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
pub struct Head {
    /// The daemon that created the events.
    pub origin_daemon: DaemonId,
    /// The epoch of its log.
    pub origin_epoch: Epoch,
    /// The position up to which all events of this origin are held.
    pub origin_sequence: OriginSequence,
    /// The chain at that position.
    pub chain: Chain,
}

impl Head {
    /// The origin of this head.
    pub const fn origin(&self) -> Origin {
        Origin { daemon: self.origin_daemon, epoch: self.origin_epoch }
    }
}

/// A position in a daemon's log, with the hash of the log up to there; none at position 0. Log matching, as in Raft,
/// compares both.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
pub struct LogPosition {
    /// The position.
    pub sequence: Sequence,
    /// The hash of the log up to there.
    pub hash: Option<LogHash>,
}

impl LogPosition {
    /// Before the first event of any log.
    pub const START: Self = Self { sequence: Sequence::ZERO, hash: None };

    /// Whether both may be the same position of one log: where both have a hash, it is the same.
    pub fn agrees_with(self, other: Self) -> bool {
        self.sequence == other.sequence && self.hash.zip(other.hash).is_none_or(|(a, b)| a == b)
    }
}
