//! Ids and positions as database columns: bytes, and SQLite's signed 64 bits.

use thrum_api::proof::{Chain, Signature};
use thrum_api::{DaemonId, Epoch, EventId, LogHash, LogPosition, Sequence};
use ulid::Ulid;

/// An event's id, or an epoch.
pub(crate) type Id = [u8; 16];
pub(crate) type Daemon = [u8; DaemonId::BYTES];

/// A position as a column. Positions beyond SQLite's range are refused before they get here.
pub(crate) fn int(position: u64) -> i64 {
    i64::try_from(position).unwrap_or(i64::MAX)
}

/// A column as a position.
pub(crate) fn uint(column: i64) -> u64 {
    u64::try_from(column).unwrap_or(0)
}

pub(crate) fn event_id(column: Id) -> EventId {
    EventId::from_ulid(Ulid::from_bytes(column))
}

pub(crate) fn daemon_id(column: Daemon) -> DaemonId {
    DaemonId::from_bytes(column)
}

pub(crate) fn epoch(column: Id) -> Epoch {
    Epoch::from_ulid(Ulid::from_bytes(column))
}

/// A hash as a column.
pub(crate) fn hash_int(hash: LogHash) -> i64 {
    hash.0.cast_signed()
}

pub(crate) fn hash(column: i64) -> LogHash {
    LogHash(column.cast_unsigned())
}

pub(crate) fn position(sequence: i64, hash_column: Option<i64>) -> LogPosition {
    LogPosition { sequence: Sequence(uint(sequence)), hash: hash_column.map(hash) }
}

pub(crate) fn chain(column: [u8; 32]) -> Chain {
    Chain(column)
}

pub(crate) fn signature(column: [u8; 64]) -> Signature {
    Signature(column)
}
