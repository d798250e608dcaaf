//! The news of the log for a peer, sent by `sync.notify`.

use rusqlite::{Connection, params};
use thrum_api::limits::{HEADS_MAX, NOTIFY_MAX_BYTES, NOTIFY_MAX_EVENTS};
use thrum_api::{DaemonId, Head, LogPosition, Sequence, SequencedEvent};

use super::column::{Id, int, uint};
use super::heads::with_events;
use super::lookup::{ReadResult, holds, raw};
use super::origins;
use super::state::Meta;
use super::types::News;

/// The news for a peer that holds our log up to `after`.
pub(super) fn news(
    conn: &Connection,
    peer: DaemonId,
    after: LogPosition,
) -> rusqlite::Result<ReadResult<News>> {
    let meta = Meta::expect(conn)?;
    let heads = complete_heads(conn)?;
    let peer: Id = peer.ulid().to_bytes();
    let matches = holds(conn, &meta, after)?;
    // A position in another log says nothing about ours.
    let known = if matches { int(after.sequence.0) } else { 0 };
    let own = int(meta.own_last.0) > known;
    let concerns_peer = own
        || conn
            .prepare_cached("SELECT 1 FROM sources WHERE last > ?1 AND daemon_id != ?2")?
            .exists(params![known, peer])?;
    let mut news = News { head: meta.head, heads, window: None, concerns_peer, own };
    let mut damaged = Vec::new();
    if matches {
        let own = origins::find(conn, meta.own_origin())?.map(|row| row.id);
        news.window = window(conn, own, after, &mut damaged)?;
    }
    Ok(ReadResult { answer: news, damaged })
}

/// Heads that describe all of this log; None if heads can't, or there are too many.
fn complete_heads(conn: &Connection) -> rusqlite::Result<Option<Vec<Head>>> {
    let mut held = origins::with_events(conn, HEADS_MAX + 1)?;
    if held.len() > HEADS_MAX || held.iter().any(|(_, row)| row.forked || row.head != row.top) {
        return Ok(None);
    }
    held.sort_by_key(|(origin, _)| *origin);
    with_events(conn, &held).map(Some)
}

/// Our own events after a position, if they are few and small. They are read backwards along our
/// origin, so that skipping the events of others costs nothing. That ends at the first event before
/// the position, so there is no window while a reappeared event stands after it.
fn window(
    conn: &Connection,
    own: Option<i64>,
    after: LogPosition,
    damaged: &mut Vec<Sequence>,
) -> rusqlite::Result<Option<Vec<SequencedEvent>>> {
    let Some(own) = own else { return Ok(Some(Vec::new())) };
    if reappeared(conn, own, after)? {
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
        let sequence = Sequence(uint(row.get(0)?));
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

/// Whether an event of this origin whose row was damaged stands after a position again, out of the
/// order of its origin. Costs nothing in a log without damage: `gaps` is empty then.
fn reappeared(conn: &Connection, origin: i64, after: LogPosition) -> rusqlite::Result<bool> {
    conn.prepare_cached(
        "SELECT 1 FROM gaps CROSS JOIN events ON events.event_id = gaps.event_id
         WHERE events.origin = ?1 AND events.sequence > ?2",
    )?
    .exists(params![origin, int(after.sequence.0)])
}
