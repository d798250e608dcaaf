//! Heads: the last event held of each origin.

use std::collections::BTreeSet;

use rusqlite::{Connection, OptionalExtension, params};
use thrum_api::limits::HEADS_MAX;
use thrum_api::{Head, Origin, OriginSequence};

use super::column::{self, Id, int, uint};
use super::lookup::{holds_head, was_damaged};
use super::state::{Meta, OriginRow, read_origins};
use super::types::Missing;

/// Heads that are safe to send: without forked origins. At most 1000; leaving out further ones costs
/// traffic but never an event. The newest origins come first, because old epochs don't change.
pub(super) fn heads(conn: &Connection) -> rusqlite::Result<Vec<Head>> {
    let mut origins: Vec<(Origin, OriginRow)> =
        read_origins(conn)?.into_iter().filter(|(_, row)| !row.forked && row.head > 0).collect();
    if origins.len() > HEADS_MAX {
        origins.sort_by_key(|(_, row)| std::cmp::Reverse(row.id));
        origins.truncate(HEADS_MAX);
        origins.sort_by_key(|(origin, _)| *origin);
    }
    with_events(conn, &origins)
}

/// The heads of these origins, with the ids of their events.
pub(super) fn with_events(
    conn: &Connection,
    origins: &[(Origin, OriginRow)],
) -> rusqlite::Result<Vec<Head>> {
    let mut statement = conn
        .prepare_cached("SELECT event_id FROM events WHERE origin = ?1 AND origin_sequence = ?2")?;
    let mut heads = Vec::with_capacity(origins.len());
    for (origin, row) in origins {
        let id: Id = statement.query_row(params![row.id, int(row.head)], |row| row.get(0))?;
        heads.push(Head {
            origin_daemon: origin.daemon,
            origin_epoch: origin.epoch,
            origin_sequence: OriginSequence(row.head),
            event_id: column::event_id(id),
        });
    }
    Ok(heads)
}

/// Which of these heads are missing here.
pub(super) fn missing(conn: &Connection, heads: &[Head]) -> rusqlite::Result<Missing> {
    let mut statement = conn.prepare_cached(
        "SELECT id, head, forked FROM origins WHERE daemon_id = ?1 AND epoch = ?2",
    )?;
    let (mut origins, mut needs_pull) = (BTreeSet::new(), false);
    for head in heads {
        let daemon = head.origin_daemon.ulid().to_bytes();
        let epoch = head.origin_epoch.ulid().to_bytes();
        let row: Option<(i64, i64, bool)> = statement
            .query_row(params![daemon, epoch], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))
            .optional()?;
        let forked = row.is_some_and(|(_, _, forked)| forked);
        let held = match row {
            Some((origin, ours, false)) if head.origin_sequence.0 <= uint(ours) => {
                holds_head(conn, origin, head)?
            }
            _ => false,
        };
        if !held {
            origins.insert(head.origin());
            needs_pull |= !forked;
        }
    }
    Ok(Missing { origins: origins.into_iter().collect(), needs_pull })
}

/// Whether a peer's head shows that our log was rolled back: it names an event of our present origin
/// that we never wrote. One that we wrote and lost to damage shows nothing.
pub(super) fn shows_rollback(conn: &Connection, head: &Head) -> rusqlite::Result<bool> {
    let meta = Meta::expect(conn)?;
    if head.origin() != meta.own_origin() {
        return Ok(false);
    }
    if head.origin_sequence.0 > meta.own_sequence {
        return Ok(true);
    }
    let own = read_origins(conn)?.get(&meta.own_origin()).map(|row| row.id);
    let held = own.map_or(Ok(false), |own| holds_head(conn, own, head))?;
    Ok(!held && !was_damaged(conn, head.event_id)?)
}
