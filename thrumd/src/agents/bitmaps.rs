//! The bitmap index of messages: where those of a project are, and those of all projects.
//!
//! A row has 64 positions of the log, one bit each. So a message costs a fraction of a row however the log is paged
//! through, and what a page of the log brings is written in a few rows.

use std::collections::BTreeMap;

use rusqlite::{Connection, params};

/// Positions in a row: the bits of an integer.
const ROW_BITS: i64 = 64;
/// The project of the rows that have the messages of all projects. No project has this id.
pub(super) const ALL_PROJECTS: i64 = 0;

const BEFORE: &str = "SELECT block, bits FROM message_bitmaps
     WHERE project = ?1 AND block <= ?2 ORDER BY block DESC";
const AFTER: &str = "SELECT block, bits FROM message_bitmaps
     WHERE project = ?1 AND block >= ?2 ORDER BY block";
const ADD: &str = "INSERT INTO message_bitmaps (project, block, bits) VALUES (?1, ?2, ?3)
     ON CONFLICT (project, block) DO UPDATE SET bits = bits | excluded.bits";
const HAS: &str =
    "SELECT 1 FROM message_bitmaps WHERE project = ?1 AND block = ?2 AND (bits & ?3) <> 0";

/// As in `inbox`: none may scan rows whose number grows with the log.
#[cfg(test)]
pub(super) const QUERIES: &[&str] = &[BEFORE, AFTER, HAS];

/// Messages of a page of the log, until they are written.
#[derive(Default)]
pub(super) struct NewMessages(BTreeMap<(i64, i64), i64>);

impl NewMessages {
    pub(super) fn add(&mut self, project: i64, sequence: i64) {
        let (block, bit) = place(sequence);
        for project in [ALL_PROJECTS, project] {
            *self.0.entry((project, block)).or_default() |= bit;
        }
    }

    /// Writes what was added since the last time.
    pub(super) fn write(&mut self, connection: &Connection) -> rusqlite::Result<()> {
        let mut add = connection.prepare_cached(ADD)?;
        for ((project, block), bits) in std::mem::take(&mut self.0) {
            add.execute([project, block, bits])?;
        }
        Ok(())
    }
}

/// Removes a message. Does nothing if it is not there.
pub(super) fn remove(connection: &Connection, project: i64, sequence: i64) -> rusqlite::Result<()> {
    let (block, bit) = place(sequence);
    for project in [ALL_PROJECTS, project] {
        let without = "UPDATE message_bitmaps SET bits = bits & ~?3
             WHERE project = ?1 AND block = ?2";
        connection.prepare_cached(without)?.execute([project, block, bit])?;
        let empty = "DELETE FROM message_bitmaps WHERE project = ?1 AND block = ?2 AND bits = 0";
        connection.prepare_cached(empty)?.execute([project, block])?;
    }
    Ok(())
}

/// Whether the message at a position is one of the project.
pub(super) fn has(connection: &Connection, project: i64, sequence: i64) -> rusqlite::Result<bool> {
    let (block, bit) = place(sequence);
    connection.prepare_cached(HAS)?.exists(params![project, block, bit])
}

/// Where the newest messages are, of those before a position; the newest first.
pub(super) fn before(
    connection: &Connection,
    project: i64,
    before: i64,
    limit: usize,
) -> rusqlite::Result<Vec<i64>> {
    let Some(last) = before.checked_sub(1).filter(|last| *last >= 0) else { return Ok(Vec::new()) };
    let (block, bit) = place(last);
    // Its bits up to this one. That of the sign is the last.
    let mask = bit.wrapping_sub(1) | bit;
    collect(connection, BEFORE, (project, block, mask), limit, |bits| {
        ROW_BITS - 1 - i64::from(bits.leading_zeros())
    })
}

/// Where the oldest messages are, of those after a position; the oldest first.
pub(super) fn after(
    connection: &Connection,
    project: i64,
    after: i64,
    limit: usize,
) -> rusqlite::Result<Vec<i64>> {
    let Some(first) = after.checked_add(1) else { return Ok(Vec::new()) };
    let (block, bit) = place(first.max(0));
    // Its bits from this one on.
    let mask = !bit.wrapping_sub(1);
    collect(connection, AFTER, (project, block, mask), limit, |bits| {
        i64::from(bits.trailing_zeros())
    })
}

/// The positions in rows from `block` on, of which only the bits in `mask` count. `next`: which bit comes first.
fn collect(
    connection: &Connection,
    query: &str,
    (project, block, mask): (i64, i64, i64),
    limit: usize,
    next: impl Fn(i64) -> i64,
) -> rusqlite::Result<Vec<i64>> {
    let mut places = Vec::new();
    let mut query = connection.prepare_cached(query)?;
    let mut rows = query.query([project, block])?;
    while places.len() < limit
        && let Some(row) = rows.next()?
    {
        let (at, mut bits): (i64, i64) = (row.get(0)?, row.get(1)?);
        if at == block {
            bits &= mask;
        }
        while bits != 0 && places.len() < limit {
            let bit = next(bits);
            places.push(at * ROW_BITS + bit);
            bits &= !(1 << bit);
        }
    }
    Ok(places)
}

/// The row of a position, and its bit there.
const fn place(sequence: i64) -> (i64, i64) {
    (sequence.div_euclid(ROW_BITS), 1 << sequence.rem_euclid(ROW_BITS))
}
