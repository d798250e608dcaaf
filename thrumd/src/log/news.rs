//! The news of the log for a peer, sent by `sync.notify`.

use rusqlite::{Connection, params};
use thrum_api::limits::{NOTIFY_MAX_BYTES, NOTIFY_MAX_EVENTS};
use thrum_api::{Head, LogPosition, Sequence, SequencedEvent};

use super::column::{Id, int, uint};
use super::heads::changed;
use super::lookup::{ReadResult, at, held_of, holds, raw};
use super::origins;
use super::state::Meta;
use super::types::{News, NewsContent, NewsRequest, Urgency};

/// The news for a peer; only how urgent it is, if it waits.
pub(super) fn news(
    conn: &Connection,
    request: NewsRequest,
    waits: impl FnOnce(Urgency) -> bool,
) -> rusqlite::Result<ReadResult<News>> {
    let meta = Meta::expect(conn)?;
    let urgency = urgency(conn, &meta, request)?;
    let mut news = News { head: meta.head, urgency, content: None };
    let mut damaged = Vec::new();
    if !waits(urgency) {
        let sent = match holds(conn, &meta, request.sent)? {
            true if request.sent.hash.is_some() => Some(request.sent),
            true => at(conn, request.sent.sequence)?,
            false => None,
        };
        // A position in another log says nothing about ours.
        let after = sent.unwrap_or(LogPosition::START);
        news.content = Some(NewsContent {
            after,
            heads: complete_heads(conn, &meta, after.sequence)?,
            window: match sent {
                Some(_) => window(conn, &meta, after, &mut damaged)?,
                None => None,
            },
            held: held_of(conn, request.peer)?,
        });
    }
    Ok(ReadResult { answer: news, damaged })
}

fn urgency(conn: &Connection, meta: &Meta, request: NewsRequest) -> rusqlite::Result<Urgency> {
    let matches = holds(conn, meta, request.examined)?;
    let known = if matches { int(request.examined.sequence.0) } else { 0 };
    let own = int(meta.own_last.0) > known;
    let peer: Id = request.peer.ulid().to_bytes();
    let concerns_peer = own
        || conn
            .prepare_cached("SELECT 1 FROM sources WHERE last > ?1 AND daemon_id != ?2")?
            .exists(params![known, peer])?;
    Ok(Urgency { own, concerns_peer })
}

/// Heads that describe everything after a position; None if heads can't, or there are too many.
fn complete_heads(
    conn: &Connection,
    meta: &Meta,
    after: Sequence,
) -> rusqlite::Result<Option<Vec<Head>>> {
    let Some(changed) = changed(conn, meta, after)? else { return Ok(None) };
    let heads = changed.into_iter().map(|origin| origin.head.filter(|_| origin.is_whole));
    let mut heads: Option<Vec<Head>> = heads.collect();
    if let Some(heads) = &mut heads {
        heads.sort_unstable();
    }
    Ok(heads)
}

/// Our own events after a position, if they are few and small. They are read backwards along our
/// origin, so that skipping the events of others costs nothing. That ends at the first event before
/// the position, so there is no window while a reappeared event stands after it.
fn window(
    conn: &Connection,
    meta: &Meta,
    after: LogPosition,
    damaged: &mut Vec<Sequence>,
) -> rusqlite::Result<Option<Vec<SequencedEvent>>> {
    let Some(own) = origins::find(conn, meta.own_origin())?.map(|row| row.id) else {
        return Ok(Some(Vec::new()));
    };
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
