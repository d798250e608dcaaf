//! The news of the log for a peer, sent by `sync.notify`.

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet};

use rusqlite::{Connection, OptionalExtension, Rows, params};
use thrum_api::limits::{NOTIFY_MAX_BYTES, NOTIFY_MAX_EVENTS};
use thrum_api::peer::Run;
use thrum_api::{DaemonId, Head, LogPosition, Sequence};

use super::column::{self, int, uint};
use super::heads::changed;
use super::lookup::{ReadResult, at, held_of, holds, told};
use super::origins::{self, OriginRow};
use super::runs::{self, Budget, Signer};
use super::served::{RowCheck, SERVED_AFTER, ServedEvent, served_where};
use super::state::Meta;
use super::types::{News, NewsContent, NewsRequest, Urgency, Waits};

/// The news for each of several peers; only how urgent it is, for those for which it waits. Usually they all hold our
/// log up to the same position.
pub(super) fn news(
    conn: &Connection,
    signer: &Signer<'_>,
    requests: &[(NewsRequest, Waits)],
) -> rusqlite::Result<ReadResult<Vec<News>>> {
    let meta = Meta::expect(conn)?;
    let head = told(conn, meta.head, &[])?;
    let (mut sources, mut places) = (BTreeMap::new(), BTreeMap::new());
    let (mut answer, mut damaged) = (Vec::with_capacity(requests.len()), Vec::new());
    for (request, waits) in requests {
        let NewsRequest { peer, examined, sent, relayed } = *request;
        let sources = match sources.entry(key(examined)) {
            Entry::Occupied(known) => known.into_mut(),
            Entry::Vacant(new) => new.insert(Sources::after(conn, &meta, examined)?),
        };
        let urgency = sources.urgency(peer);
        let mut content = None;
        if !waits(urgency) {
            let place = match places.entry((key(sent), relayed)) {
                Entry::Occupied(known) => known.into_mut(),
                Entry::Vacant(new) => {
                    new.insert(Place::read(conn, signer, &meta, (sent, relayed), &mut damaged)?)
                }
            };
            content = Some(NewsContent {
                after: place.after,
                heads: place.heads.clone(),
                window: place.window_for(peer),
                held: held_of(conn, peer)?,
            });
        }
        answer.push(News { head, urgency, content });
    }
    Ok(ReadResult { answer, damaged })
}

/// The news for one peer.
pub(super) fn one(
    conn: &Connection,
    signer: &Signer<'_>,
    request: NewsRequest,
    waits: Waits,
) -> rusqlite::Result<ReadResult<News>> {
    let ReadResult { mut answer, damaged } = news(conn, signer, &[(request, waits)])?;
    let answer = answer.pop().ok_or(rusqlite::Error::QueryReturnedNoRows)?;
    Ok(ReadResult { answer, damaged })
}

/// What tells positions apart.
fn key(position: LogPosition) -> impl Ord {
    (position.sequence, position.hash)
}

/// Whom the events after a position came from.
struct Sources {
    /// Some were written here.
    own: bool,
    peers: BTreeSet<DaemonId>,
}

impl Sources {
    fn after(conn: &Connection, meta: &Meta, position: LogPosition) -> rusqlite::Result<Self> {
        // A position in another log says nothing about ours.
        let known = if holds(conn, meta, position)? { int(position.sequence.0) } else { 0 };
        let peers = conn
            .prepare_cached("SELECT daemon_id FROM sources WHERE last > ?1")?
            .query_map([known], |row| row.get(0).map(column::daemon_id))?
            .collect::<rusqlite::Result<_>>()?;
        Ok(Self { own: int(meta.own_last.0) > known, peers })
    }

    fn urgency(&self, peer: DaemonId) -> Urgency {
        let concerns_peer = self.own || self.peers.iter().any(|source| *source != peer);
        Urgency { own: self.own, concerns_peer }
    }
}

/// What follows a position, for whatever peer.
struct Place {
    after: LogPosition,
    heads: Option<Vec<Head>>,
    /// Each run with whom all of it came from, if it was one peer and that matters.
    window: Option<Vec<(Run, Option<DaemonId>)>>,
}

impl Place {
    fn read(
        conn: &Connection,
        signer: &Signer<'_>,
        meta: &Meta,
        (position, relayed): (LogPosition, bool),
        damaged: &mut Vec<Sequence>,
    ) -> rusqlite::Result<Self> {
        let sent = match holds(conn, meta, position)? {
            true if position.hash.is_some() => Some(position),
            true => at(conn, position.sequence)?.map(|at| told(conn, at, &[])).transpose()?,
            false => None,
        };
        // A position in another log says nothing about ours.
        let after = sent.unwrap_or(LogPosition::START);
        let window = match sent {
            Some(_) => match relayed {
                true => full_window(conn, after, damaged)?,
                false => None,
            }
            .map_or_else(|| own_window(conn, meta, after, damaged), |window| Ok(Some(window)))?,
            None => None,
        };
        let window = match window {
            Some(window) => {
                let events = window.len();
                let proved = runs::prove(conn, signer, window, Budget::NONE)?.runs;
                // What can't be proved by itself is left to a pull: a window has to be complete.
                let in_runs: usize = proved.iter().map(|(run, _)| run.events.len()).sum();
                (in_runs == events).then(|| with_sources(conn, proved)).transpose()?
            }
            None => None,
        };
        Ok(Self { after, heads: complete_heads(conn, meta, after.sequence)?, window })
    }

    fn window_for(&self, peer: DaemonId) -> Option<Vec<Run>> {
        let runs = self.window.as_ref()?.iter().filter(|(_, source)| *source != Some(peer));
        Some(runs.map(|(run, _)| run.clone()).collect())
    }
}

/// The runs, with the peers that they came from in place of their rows.
fn with_sources(
    conn: &Connection,
    runs: Vec<(Run, Option<i64>)>,
) -> rusqlite::Result<Vec<(Run, Option<DaemonId>)>> {
    let mut find = conn.prepare_cached("SELECT daemon_id FROM sources WHERE id = ?1")?;
    let mut named = Vec::with_capacity(runs.len());
    for (run, source) in runs {
        let daemon = match source {
            Some(source) => {
                find.query_row([source], |row| row.get(0).map(column::daemon_id)).optional()?
            }
            None => None,
        };
        named.push((run, daemon));
    }
    Ok(named)
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
fn own_window(
    conn: &Connection,
    meta: &Meta,
    after: LogPosition,
    damaged: &mut Vec<Sequence>,
) -> rusqlite::Result<Option<Vec<ServedEvent>>> {
    let Some(OriginRow { id: own, forked, .. }) = origins::find(conn, meta.own_origin())? else {
        return Ok(Some(Vec::new()));
    };
    if reappeared(conn, own, after)? {
        return Ok(None);
    }
    if forked {
        let mut statement = conn.prepare_cached(served_where!(
            "origin = ?1 AND events.sequence > ?2 ORDER BY events.sequence"
        ))?;
        let rows = statement.query(params![own, int(after.sequence.0)])?;
        return take_few(conn, rows, after, damaged);
    }
    let mut statement =
        conn.prepare_cached(served_where!("origin = ?1 ORDER BY origin_sequence DESC"))?;
    let mut events = take_few(conn, statement.query([own])?, after, damaged)?;
    if let Some(events) = &mut events {
        events.reverse();
    }
    Ok(events)
}

/// All events after a position, if they are few and small.
fn full_window(
    conn: &Connection,
    after: LogPosition,
    damaged: &mut Vec<Sequence>,
) -> rusqlite::Result<Option<Vec<ServedEvent>>> {
    let mut statement = conn.prepare_cached(SERVED_AFTER)?;
    take_few(conn, statement.query([int(after.sequence.0)])?, after, damaged)
}

/// The events of these rows up to the first one that is not after a position; None if they are too many or too large, or
/// one seems damaged: whoever gets a window holds all up to its end.
fn take_few(
    conn: &Connection,
    mut rows: Rows<'_>,
    after: LogPosition,
    damaged: &mut Vec<Sequence>,
) -> rusqlite::Result<Option<Vec<ServedEvent>>> {
    let mut events = Vec::new();
    let mut bytes = 0;
    let mut check = RowCheck::new(conn);
    let mut is_whole = true;
    while let Some(row) = rows.next()? {
        let sequence = Sequence(uint(row.get(0)?));
        if sequence <= after.sequence {
            break;
        }
        bytes += row.get_ref(4)?.as_blob()?.len();
        if events.len() >= NOTIFY_MAX_EVENTS || bytes > NOTIFY_MAX_BYTES {
            return Ok(None);
        }
        match ServedEvent::read(row, &mut check)? {
            Some(event) => events.push(event),
            None => {
                damaged.push(sequence);
                is_whole = false;
            }
        }
    }
    Ok(is_whole.then_some(events))
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
