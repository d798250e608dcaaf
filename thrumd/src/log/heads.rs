//! Heads: the last event held of each origin.

use std::collections::BTreeSet;

use rusqlite::{Connection, params};
use thrum_api::limits::HEADS_MAX;
use thrum_api::{Head, Origin, OriginSequence};

use super::column::{self, Id, int};
use super::lookup::{holds_head, was_damaged};
use super::origins::{self, OriginRow};
use super::state::Meta;
use super::types::Missing;

/// Heads that are safe to send: without forked origins. At most 1000; leaving out further ones costs
/// traffic but never an event. The origins with the latest events are sent, because old epochs don't change.
pub(super) fn heads(conn: &Connection) -> rusqlite::Result<Vec<Head>> {
    let mut origins = origins::latest_with_head(conn, HEADS_MAX)?;
    origins.sort_by_key(|(origin, _)| *origin);
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
    let (mut missing, mut needs_pull) = (BTreeSet::new(), false);
    for head in heads {
        let row = origins::find(conn, head.origin())?;
        let forked = row.is_some_and(|row| row.forked);
        let held = match row {
            Some(row) if !forked && head.origin_sequence.0 <= row.head => {
                holds_head(conn, row.id, head)?
            }
            _ => false,
        };
        if !held {
            missing.insert(head.origin());
            needs_pull |= !forked;
        }
    }
    Ok(Missing { origins: missing.into_iter().collect(), needs_pull })
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
    let own = origins::find(conn, meta.own_origin())?;
    let held = own.map_or(Ok(false), |own| holds_head(conn, own.id, head))?;
    Ok(!held && !was_damaged(conn, head.event_id)?)
}
