//! Heads: what is held of each origin, and what a peer is told of it.

use std::collections::{BTreeMap, BTreeSet};

use rusqlite::{Connection, OptionalExtension, params};
use thrum_api::limits::{HEADS_MAX, NOTIFY_MAX_BYTES, NOTIFY_MAX_EVENTS};
use thrum_api::{DaemonId, EventId, Head, Origin, Place, SequencedEvent};

use super::column::{self, Id, int, uint};
use super::page::{Read, holds, holds_head, raw};
use super::state::{Meta, OriginRow, count_gaps, read_origins};
use super::types::{Checkpoint, Missing, News};

/// Heads that are safe to send: of no forked origin. At most 1000; further ones are left out, which
/// costs traffic but never an event. The origins met last go first: old epochs rest.
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

fn with_events(conn: &Connection, origins: &[(Origin, OriginRow)]) -> rusqlite::Result<Vec<Head>> {
    let mut statement = conn
        .prepare_cached("SELECT event_id FROM events WHERE origin = ?1 AND origin_sequence = ?2")?;
    let mut heads = Vec::with_capacity(origins.len());
    for (origin, row) in origins {
        let id: Id = statement.query_row(params![row.id, int(row.head)], |row| row.get(0))?;
        heads.push(Head {
            origin_daemon: origin.daemon,
            origin_epoch: origin.epoch,
            origin_sequence: column::origin_sequence(int(row.head)),
            event_id: column::event_id(id),
        });
    }
    Ok(heads)
}

/// What of these heads is not held here.
pub(super) fn missing(conn: &Connection, heads: &[Head]) -> rusqlite::Result<Missing> {
    let mut statement = conn.prepare_cached(
        "SELECT id, head, forked FROM origins WHERE daemon_id = ?1 AND epoch = ?2",
    )?;
    let (mut missing, mut owed) = (BTreeSet::new(), false);
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
            missing.insert(head.origin());
            owed |= !forked;
        }
    }
    Ok(Missing { origins: missing.into_iter().collect(), owed })
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
    Ok(!held && !was_set_aside(conn, head.event_id)?)
}

/// Whether a row that held this event was set aside.
pub(super) fn was_set_aside(conn: &Connection, event: EventId) -> rusqlite::Result<bool> {
    conn.prepare_cached("SELECT 1 FROM gaps WHERE event_id = ?1")?.exists([event.ulid().to_bytes()])
}

/// Heads that say all of this log; None if they can't, or are too many.
fn whole(
    conn: &Connection,
    origins: &BTreeMap<Origin, OriginRow>,
) -> rusqlite::Result<Option<Vec<Head>>> {
    let told = |row: &OriginRow| !row.forked && row.head == row.top;
    if !origins.values().all(told) {
        return Ok(None);
    }
    let held = origins.iter().filter(|(_, row)| row.top > 0);
    let held: Vec<_> = held.map(|(origin, row)| (*origin, *row)).collect();
    if held.len() > HEADS_MAX {
        return Ok(None);
    }
    with_events(conn, &held).map(Some)
}

/// What to tell a peer which holds our log up to `after`.
pub(super) fn news(
    conn: &Connection,
    peer: DaemonId,
    after: Place,
) -> rusqlite::Result<Read<News>> {
    let meta = Meta::expect(conn)?;
    let origins = read_origins(conn)?;
    let heads = whole(conn, &origins)?;
    let peer: Id = peer.ulid().to_bytes();
    let matches = holds(conn, &meta, after)?;
    // A place of another log says nothing about ours.
    let known = if matches { int(after.sequence.0) } else { 0 };
    let own = int(meta.own_last.0) > known;
    let concerns_peer = own
        || conn
            .prepare_cached("SELECT 1 FROM sources WHERE last > ?1 AND daemon_id != ?2")?
            .exists(params![known, peer])?;
    let mut news = News { head: meta.head, heads, window: None, concerns_peer, own };
    let mut damaged = Vec::new();
    if matches {
        let own = origins.get(&meta.own_origin()).map(|row| row.id);
        news.window = window(conn, own, after, &mut damaged)?;
    }
    Ok(Read { answer: news, damaged })
}

/// Our own events after a place, if they are few and small. Read backwards along our origin, so
/// that it costs nothing to pass over what came from others. That walk ends at the first event before
/// the place, so there is no window while an event that came back stands behind it.
fn window(
    conn: &Connection,
    own: Option<i64>,
    after: Place,
    damaged: &mut Vec<thrum_api::Sequence>,
) -> rusqlite::Result<Option<Vec<SequencedEvent>>> {
    let Some(own) = own else { return Ok(Some(Vec::new())) };
    if came_back(conn, own, after)? {
        return Ok(None);
    }
    let mut statement = conn.prepare_cached(
        "SELECT sequence, body FROM events WHERE origin = ?1
         ORDER BY origin_sequence DESC",
    )?;
    let mut rows = statement.query([own])?;
    let mut events = Vec::new();
    let mut bytes = 0;
    while let Some(row) = rows.next()? {
        let sequence = column::place(row.get(0)?, None).sequence;
        if sequence <= after.sequence {
            break;
        }
        let body = row.get_ref(1)?.as_blob()?;
        bytes += body.len();
        if events.len() >= NOTIFY_MAX_EVENTS || bytes > NOTIFY_MAX_BYTES {
            return Ok(None);
        }
        match raw(body) {
            Some(event) => events.push(SequencedEvent { sequence, event }),
            None => damaged.push(sequence),
        }
    }
    events.reverse();
    Ok(Some(events))
}

/// Whether an event of this origin that was set aside stands again after a place, out of the order of
/// its origin. Costs nothing where nothing was set aside: `gaps` is empty then.
fn came_back(conn: &Connection, origin: i64, after: Place) -> rusqlite::Result<bool> {
    conn.prepare_cached(
        "SELECT 1 FROM gaps CROSS JOIN events ON events.event_id = gaps.event_id
         WHERE events.origin = ?1 AND events.sequence > ?2",
    )?
    .exists(params![origin, int(after.sequence.0)])
}

/// The checkpoint for a peer's log.
pub(super) fn checkpoint(conn: &Connection, peer: DaemonId) -> rusqlite::Result<Checkpoint> {
    let set_aside = count_gaps(conn)?;
    let stored = conn
        .prepare_cached(
            "SELECT sequence, event_id, last_sync, epoch FROM checkpoints WHERE peer = ?1",
        )?
        .query_row([peer.ulid().to_bytes()], |row| {
            let last_sync: Option<i64> = row.get(2)?;
            Ok(Checkpoint {
                epoch: row.get::<_, Option<Id>>(3)?.map(column::epoch),
                place: column::place(row.get(0)?, row.get(1)?),
                last_sync: last_sync.map(thrum_api::Timestamp::from_millis),
                set_aside,
            })
        })
        .optional()?;
    Ok(stored.unwrap_or(Checkpoint { set_aside, ..Checkpoint::default() }))
}
