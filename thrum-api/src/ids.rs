//! Identities and positions, each a type of its own so that two kinds can't be mixed.

use std::fmt;
use std::str::FromStr;

use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use ulid::Ulid;

/// A text that should have been an id and isn't.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{text:?} is not {wanted}")]
pub struct ParseIdError {
    text: String,
    wanted: &'static str,
}

macro_rules! ulid_id {
    ($(#[$doc:meta])* $name:ident, prefix $prefix:literal, wanted $wanted:literal) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, JsonSchema)]
        #[schemars(with = "String")]
        pub struct $name(Ulid);

        impl $name {
            /// The id made of this ULID.
            pub const fn from_ulid(ulid: Ulid) -> Self {
                Self(ulid)
            }

            /// The ULID inside.
            pub const fn ulid(self) -> Ulid {
                self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!($prefix, "{}"), self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(self, f)
            }
        }

        impl FromStr for $name {
            type Err = ParseIdError;

            fn from_str(text: &str) -> Result<Self, ParseIdError> {
                let wrong = || ParseIdError {
                    text: text.chars().take(64).collect(),
                    wanted: $wanted,
                };
                let digits = text.strip_prefix($prefix).ok_or_else(wrong)?;
                let ulid = Ulid::from_string(digits).map_err(|_| wrong())?;
                // One spelling an id: lower case or an overflowing first digit would make two
                // texts equal here and different as bytes.
                if ulid.to_string() != digits {
                    return Err(wrong());
                }
                Ok(Self(ulid))
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = std::borrow::Cow::<str>::deserialize(deserializer)?;
                text.parse().map_err(serde::de::Error::custom)
            }
        }
    };
}

ulid_id! {
    /// Names one daemon, that is one running `thrumd` with its state directory: `d_` and a ULID.
    DaemonId, prefix "d_", wanted "a daemon id (d_ and 26 characters)"
}
ulid_id! {
    /// Names one event, everywhere and for ever: a ULID.
    EventId, prefix "", wanted "an event id (26 characters)"
}
ulid_id! {
    /// Names one incarnation of a log: a ULID. A wiped, restored or rolled-back database gets a
    /// new one. It is no counter, because a restored database can't know what it counted to.
    Epoch, prefix "", wanted "an epoch (26 characters)"
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
            /// Before the first position.
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
    /// Position in the log of the daemon that serves it: 1, 2, 3 ...; never reused.
    Sequence
}
position! {
    /// Position among the events of one origin: 1, 2, 3 ... without a gap; never changes.
    OriginSequence
}

/// Who created an event: a daemon and the epoch that its log had then.
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

/// For one origin, the highest contiguous place that is held, and the event there.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
pub struct Head {
    /// The daemon that created the events.
    pub origin_daemon: DaemonId,
    /// The epoch that it had.
    pub origin_epoch: Epoch,
    /// Everything of this origin up to here is held.
    pub origin_sequence: OriginSequence,
    /// The event at that place.
    pub event_id: EventId,
}

impl Head {
    /// The origin that this head is of.
    pub const fn origin(&self) -> Origin {
        Origin { daemon: self.origin_daemon, epoch: self.origin_epoch }
    }
}

/// A place in one daemon's log and the event there; no event at place 0.
///
/// Two logs that hold the same event at the same place were the same log up to there as far as
/// anyone can tell (log matching, as in Raft).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
pub struct Place {
    /// The position.
    pub sequence: Sequence,
    /// The event there.
    pub event_id: Option<EventId>,
}

impl Place {
    /// Before the first event of any log.
    pub const START: Self = Self { sequence: Sequence::ZERO, event_id: None };
}
