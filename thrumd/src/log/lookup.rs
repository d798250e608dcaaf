//! Single questions to the database that several readers and the writer ask.

use std::collections::BTreeSet;

use rusqlite::{Connection, OptionalExtension, params};
use serde_json::value::RawValue;
use thrum_api::{DaemonId, EventId, Head, LogPosition, Sequence, Timestamp};

use super::column::{self, Id, int, uint};
use super::hash;
use super::state::{Meta, count_gaps};
use super::types::Checkpoint;

/// What was read, and the sequences of damaged rows that were found on the way.
pub(super) struct ReadResult<T> {
    pub(super) answer: T,
    pub(super) damaged: Vec<Sequence>,
}

/// An event's bytes as they are served; None if they are not a JSON object: the row is damaged.
pub(super) fn raw(bytes: &[u8]) -> Option<Box<RawValue>> {
    let text = str::from_utf8(bytes).ok()?;
    if !text.starts_with('{') {
        return None;
    }
    RawValue::from_string(text.to_owned()).ok()
}

/// Whether this log holds that event at that position (log matching).
pub(super) fn holds(
    conn: &Connection,
    meta: &Meta,
    position: LogPosition,
) -> rusqlite::Result<bool> {
    if position.sequence == Sequence::ZERO {
        return Ok(true);
    }
    if position.sequence > meta.head.sequence {
        return Ok(false);
    }
    if position.event_id.is_none() && position.hash.is_none() {
        return Ok(true);
    }
    let Some(there) = at(conn, position.sequence)? else { return Ok(false) };
    // A peer that was told of it before a row was damaged has that row, too.
    Ok(position.agrees_with(there) || position.agrees_with(told(conn, there, &[])?))
}

/// A position as peers are told it: its hash shows which rows before it are damaged, so that it is not taken for the
/// same position of a copy in which they are whole. `found`: damaged rows that are not in quarantine yet.
pub(super) fn told(
    conn: &Connection,
    position: LogPosition,
    found: &[Sequence],
) -> rusqlite::Result<LogPosition> {
    let mut damaged: BTreeSet<i64> = conn
        .prepare_cached("SELECT sequence FROM gaps WHERE sequence <= ?1")?
        .query_map([int(position.sequence.0)], |row| row.get(0))?
        .collect::<rusqlite::Result<_>>()?;
    let before = found.iter().filter(|sequence| **sequence <= position.sequence);
    damaged.extend(before.map(|sequence| int(sequence.0)));
    let hash = position.hash.map(|hash| damaged.into_iter().map(uint).fold(hash, hash::without));
    Ok(LogPosition { hash, ..position })
}

/// The position with this sequence, with the event that is there, or was before its row was damaged.
pub(super) fn at(conn: &Connection, sequence: Sequence) -> rusqlite::Result<Option<LogPosition>> {
    if sequence == Sequence::ZERO {
        return Ok(Some(LogPosition::START));
    }
    conn.prepare_cached(
        "SELECT sequence, event_id, hash FROM events WHERE sequence = ?1
         UNION ALL SELECT sequence, event_id, hash FROM gaps WHERE sequence = ?1",
    )?
    .query_row([int(sequence.0)], |row| Ok(column::position(row.get(0)?, row.get(1)?, row.get(2)?)))
    .optional()
}

/// Whether this log holds that event at that position of its origin.
pub(super) fn holds_head(conn: &Connection, origin: i64, head: &Head) -> rusqlite::Result<bool> {
    conn.prepare_cached(
        "SELECT 1 FROM events WHERE event_id = ?1 AND origin = ?2 AND origin_sequence = ?3",
    )?
    .exists(params![head.event_id.ulid().to_bytes(), origin, int(head.origin_sequence.0)])
}

/// Whether a row that held this event was found damaged and moved to quarantine.
pub(super) fn was_damaged(conn: &Connection, event: EventId) -> rusqlite::Result<bool> {
    conn.prepare_cached("SELECT 1 FROM gaps WHERE event_id = ?1")?.exists([event.ulid().to_bytes()])
}

/// The checkpoint for a peer's log.
pub(super) fn checkpoint(conn: &Connection, peer: DaemonId) -> rusqlite::Result<Checkpoint> {
    let damaged_rows = count_gaps(conn)?;
    let stored = conn
        .prepare_cached(
            "SELECT sequence, event_id, last_sync, epoch, withheld_at, hash, held FROM checkpoints
             WHERE peer = ?1",
        )?
        .query_row([peer.ulid().to_bytes()], |row| {
            let last_sync: Option<i64> = row.get(2)?;
            Ok(Checkpoint {
                epoch: row.get::<_, Option<Id>>(3)?.map(column::epoch),
                position: column::position(row.get(0)?, row.get(1)?, row.get(5)?),
                held: Sequence(uint(row.get(6)?)),
                last_sync: last_sync.map(Timestamp::from_millis),
                is_withheld: row.get::<_, Option<i64>>(4)?.is_some(),
                damaged_rows,
            })
        })
        .optional()?;
    Ok(stored.unwrap_or(Checkpoint { damaged_rows, ..Checkpoint::default() }))
}

/// The position up to which we hold a peer's log, if we can say so: not while something before that was not taken.
pub(super) fn held_of(conn: &Connection, peer: DaemonId) -> rusqlite::Result<Option<Sequence>> {
    let held = conn
        .prepare_cached("SELECT sequence FROM checkpoints WHERE peer = ?1 AND withheld_at IS NULL")?
        .query_row([peer.ulid().to_bytes()], |row| row.get(0))
        .optional()?;
    Ok(held.map(uint).map(Sequence))
}
