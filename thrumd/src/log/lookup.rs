//! Single questions to the database that several readers and the writer ask.

use std::collections::BTreeSet;

use rusqlite::{Connection, OptionalExtension, params};
use serde_json::value::RawValue;
use thrum_api::proof::Chain;
use thrum_api::{DaemonId, Head, LogHash, LogPosition, Sequence, Timestamp};

use super::column::{self, Id, int, uint};
use super::hash;
use super::origins::OriginRow;
use super::state::{Meta, count_gaps};
use super::types::Checkpoint;
use crate::proof::chain_next;

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

/// The hash of the log before the row at a position, if there is a row before it or none has to be.
pub(super) fn hash_before(
    conn: &Connection,
    sequence: Sequence,
) -> rusqlite::Result<Option<LogHash>> {
    match Sequence(sequence.0.saturating_sub(1)) {
        Sequence::ZERO => Ok(Some(hash::FIRST)),
        before => Ok(at(conn, before)?.and_then(|before| before.hash)),
    }
}

/// Whether that is a position of this log (log matching).
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
    if position.hash.is_none() {
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
    let mut damaged: BTreeSet<(i64, u64)> = conn
        .prepare_cached("SELECT sequence, version FROM gaps WHERE sequence <= ?1")?
        .query_map([int(position.sequence.0)], |row| Ok((row.get(0)?, row.get(1).map(uint)?)))?
        .collect::<rusqlite::Result<_>>()?;
    let before = found.iter().filter(|sequence| **sequence <= position.sequence);
    damaged.extend(before.map(|sequence| (int(sequence.0), 0)));
    // Once more can be proved, a peer whose checkpoint is behind that may lack it.
    let fold = |hash, (sequence, version)| hash::without(hash, uint(sequence), version);
    let hash = position.hash.map(|hash| damaged.into_iter().fold(hash, fold));
    Ok(LogPosition { hash, ..position })
}

/// The position with this sequence, also if the row there was damaged.
pub(super) fn at(conn: &Connection, sequence: Sequence) -> rusqlite::Result<Option<LogPosition>> {
    if sequence == Sequence::ZERO {
        return Ok(Some(LogPosition::START));
    }
    conn.prepare_cached(
        "SELECT sequence, hash FROM events WHERE sequence = ?1
         UNION ALL SELECT sequence, hash FROM gaps WHERE sequence = ?1",
    )?
    .query_row([int(sequence.0)], |row| Ok(column::position(row.get(0)?, row.get(1)?)))
    .optional()
}

/// Whether the chain of this origin, which never forked here, has this value at that position.
pub(super) fn holds_head(
    conn: &Connection,
    origin: &OriginRow,
    head: &Head,
) -> rusqlite::Result<bool> {
    let held = match head.origin_sequence.0 {
        at if at == origin.head && at > 0 => Some(origin.chain),
        at => chain_at(conn, origin.id, at)?,
    };
    Ok(held == Some(head.chain))
}

/// The chain of an origin at a position whose event is held; of any of them, if it forked there.
pub(super) fn chain_at(
    conn: &Connection,
    origin: i64,
    position: u64,
) -> rusqlite::Result<Option<Chain>> {
    conn.prepare_cached(
        "SELECT previous, body FROM events WHERE origin = ?1 AND origin_sequence = ?2",
    )?
    .query_row(params![origin, int(position)], |row| {
        Ok(chain_next(column::chain(row.get(0)?), row.get_ref(1)?.as_blob()?))
    })
    .optional()
}

/// The checkpoint for a peer's log.
pub(super) fn checkpoint(conn: &Connection, peer: DaemonId) -> rusqlite::Result<Checkpoint> {
    let damaged_rows = count_gaps(conn)?;
    let stored = conn
        .prepare_cached(
            "SELECT sequence, last_sync, epoch, coalesce(withheld_at, refused_at), hash, held
             FROM checkpoints
             WHERE peer = ?1",
        )?
        .query_row([peer.to_bytes()], |row| {
            let last_sync: Option<i64> = row.get(1)?;
            Ok(Checkpoint {
                epoch: row.get::<_, Option<Id>>(2)?.map(column::epoch),
                position: column::position(row.get(0)?, row.get(4)?),
                held: Sequence(uint(row.get(5)?)),
                last_sync: last_sync.map(Timestamp::from_millis),
                is_withheld: row.get::<_, Option<i64>>(3)?.is_some(),
                damaged_rows,
            })
        })
        .optional()?;
    Ok(stored.unwrap_or(Checkpoint { damaged_rows, ..Checkpoint::default() }))
}

/// The position up to which we hold a peer's log, if we can say so: not while something before that was not taken.
pub(super) fn held_of(conn: &Connection, peer: DaemonId) -> rusqlite::Result<Option<Sequence>> {
    let held = conn
        .prepare_cached(
            "SELECT sequence FROM checkpoints
             WHERE peer = ?1 AND withheld_at IS NULL AND refused_at IS NULL",
        )?
        .query_row([peer.to_bytes()], |row| row.get(0))
        .optional()?;
    Ok(held.map(uint).map(Sequence))
}
