//! The table `origins`. There may be any number of them, so that nothing reads them all.

use std::cmp::Reverse;

use rusqlite::{Connection, OptionalExtension, Row, params};
use thrum_api::proof::Chain;
use thrum_api::{Origin, Sequence};

use super::column::{self, int, uint};
use crate::proof::chain_start;

/// How far `recent` may be behind `last`. There is an index of `recent` alone, so that few commits change it: each
/// page that a commit changes makes it longer.
pub(super) const RECENT_STEP: u64 = 250;

/// A row of `origins`.
#[derive(Debug, Clone, Copy)]
pub(super) struct OriginRow {
    pub(super) id: i64,
    /// Highest contiguous position held.
    pub(super) head: u64,
    /// The chain there.
    pub(super) chain: Chain,
    /// Highest position held.
    pub(super) top: u64,
    pub(super) forked: bool,
    /// Sequence of the last event of this origin in our log, even if its row was lost.
    pub(super) last: Sequence,
    /// `last`, or up to [`RECENT_STEP`] less; 0 if the head can't be sent. As it is in the database.
    pub(super) recent: Sequence,
}

/// An origin, if an event of it was ever stored.
pub(super) fn find(conn: &Connection, origin: Origin) -> rusqlite::Result<Option<OriginRow>> {
    conn.prepare_cached(
        "SELECT daemon_id, epoch, id, head, top, forked, last, recent, chain FROM origins
         WHERE daemon_id = ?1 AND epoch = ?2",
    )?
    .query_row(params![origin.daemon.to_bytes(), origin.epoch.ulid().to_bytes()], read)
    .map(|(_, row)| row)
    .optional()
}

/// The origin with this id.
pub(super) fn by_id(conn: &Connection, id: i64) -> rusqlite::Result<Option<(Origin, OriginRow)>> {
    conn.prepare_cached(
        "SELECT daemon_id, epoch, id, head, top, forked, last, recent, chain FROM origins WHERE id = ?1",
    )?
    .query_row([id], read)
    .optional()
}

/// The origins with the latest events whose heads can be sent: without forks, and with their first event.
pub(super) fn latest_with_head(
    conn: &Connection,
    max: usize,
) -> rusqlite::Result<Vec<(Origin, OriginRow)>> {
    // An origin that belongs to them may be behind others by `recent`, but only behind those whose last events are
    // less than a step older than its own. No two have the same last event, so that these are no more than the step.
    let mut origins: Vec<_> = conn
        .prepare_cached(
            "SELECT daemon_id, epoch, id, head, top, forked, last, recent, chain FROM origins
             WHERE recent > 0 ORDER BY recent DESC LIMIT ?1",
        )?
        .query_map([int(max as u64 + RECENT_STEP)], read)?
        .collect::<rusqlite::Result<_>>()?;
    origins.sort_by_key(|(_, row)| Reverse(row.last));
    origins.truncate(max);
    Ok(origins)
}

/// Whether more origins than this have events.
pub(super) fn are_more_than(conn: &Connection, count: usize) -> rusqlite::Result<bool> {
    conn.prepare_cached("SELECT 1 FROM origins WHERE top > 0 LIMIT 1 OFFSET ?1")?
        .exists([int(count as u64)])
}

/// Inserts an origin without events.
pub(super) fn insert(conn: &Connection, origin: Origin) -> rusqlite::Result<OriginRow> {
    let chain = chain_start(&origin);
    conn.prepare_cached(
        "INSERT INTO origins (daemon_id, epoch, head, chain, top, forked, last, recent)
         VALUES (?1, ?2, 0, ?3, 0, 0, 0, 0)",
    )?
    .execute(params![origin.daemon.to_bytes(), origin.epoch.ulid().to_bytes(), chain.0])?;
    let id = conn.last_insert_rowid();
    Ok(OriginRow {
        id,
        head: 0,
        chain,
        top: 0,
        forked: false,
        last: Sequence::ZERO,
        recent: Sequence::ZERO,
    })
}

/// Stores a changed row.
pub(super) fn update(conn: &Connection, row: &mut OriginRow) -> rusqlite::Result<()> {
    let recent = match row.recent {
        _ if row.forked || row.head == 0 => Sequence::ZERO,
        Sequence::ZERO => row.last,
        recent if recent.0 + RECENT_STEP < row.last.0 => row.last,
        recent => recent,
    };
    // SQLite writes an index whenever a statement names its column, even if the value stays.
    if recent != row.recent {
        conn.prepare_cached("UPDATE origins SET recent = ?2 WHERE id = ?1")?
            .execute(params![row.id, int(recent.0)])?;
        row.recent = recent;
    }
    conn.prepare_cached(
        "UPDATE origins SET head = ?2, top = ?3, forked = ?4, last = ?5, chain = ?6 WHERE id = ?1",
    )?
    .execute(params![
        row.id,
        int(row.head),
        int(row.top),
        row.forked,
        int(row.last.0),
        row.chain.0
    ])?;
    Ok(())
}

fn read(row: &Row<'_>) -> rusqlite::Result<(Origin, OriginRow)> {
    let origin =
        Origin { daemon: column::daemon_id(row.get(0)?), epoch: column::epoch(row.get(1)?) };
    let row = OriginRow {
        id: row.get(2)?,
        head: uint(row.get(3)?),
        top: uint(row.get(4)?),
        forked: row.get(5)?,
        last: Sequence(uint(row.get(6)?)),
        recent: Sequence(uint(row.get(7)?)),
        chain: column::chain(row.get(8)?),
    };
    Ok((origin, row))
}
