//! Single questions to the database that several readers and the writer ask.

use rusqlite::{Connection, OptionalExtension, params};
use serde_json::value::RawValue;
use thrum_api::{DaemonId, EventId, Head, LogPosition, Sequence, Timestamp};

use super::column::{self, Id, int};
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
    let Some(event_id) = position.event_id else { return Ok(true) };
    conn.prepare_cached(
        "SELECT 1 FROM events WHERE sequence = ?1 AND event_id = ?2
         UNION ALL SELECT 1 FROM gaps WHERE sequence = ?1 AND event_id = ?2",
    )?
    .exists(params![int(position.sequence.0), event_id.ulid().to_bytes()])
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
            "SELECT sequence, event_id, last_sync, epoch, withheld_at FROM checkpoints
             WHERE peer = ?1",
        )?
        .query_row([peer.ulid().to_bytes()], |row| {
            let last_sync: Option<i64> = row.get(2)?;
            Ok(Checkpoint {
                epoch: row.get::<_, Option<Id>>(3)?.map(column::epoch),
                position: column::position(row.get(0)?, row.get(1)?),
                last_sync: last_sync.map(Timestamp::from_millis),
                is_withheld: row.get::<_, Option<i64>>(4)?.is_some(),
                damaged_rows,
            })
        })
        .optional()?;
    Ok(stored.unwrap_or(Checkpoint { damaged_rows, ..Checkpoint::default() }))
}
