//! Pages of the log for pullers, and lists for local readers. Stored bytes are served as they are; that
//! they are JSON is looked at, what they say is not.

use std::collections::BTreeMap;

use rusqlite::{Connection, OptionalExtension, params};
use serde_json::value::RawValue;
use thrum_api::limits::{PULL_MAX_BYTES, PULL_MAX_EVENTS};
use thrum_api::{Head, Origin, Place, Sequence, SequencedEvent};

use super::column::{self, Id, int, uint};
use super::heads::heads;
use super::state::{Meta, read_origins};
use super::types::{Page, PageAnswer, PageRequest};

/// How much one call looks at, at most: rows, and bytes of events (SQLite reads a large body even if
/// it is not asked for). The call then says that there is more.
pub(super) struct Budget {
    rows: usize,
    bytes: usize,
}

impl Budget {
    pub(super) const ROWS: usize = 20_000;

    pub(super) fn new() -> Self {
        Self { rows: Self::ROWS, bytes: 64 * 1024 * 1024 }
    }

    /// Looks at one more row; false if that is too much.
    pub(super) fn look(&mut self, body: &[u8]) -> bool {
        let enough = self.rows > 0 && self.bytes > 0;
        self.rows = self.rows.saturating_sub(1);
        self.bytes = self.bytes.saturating_sub(body.len());
        enough
    }
}

/// What was read, and the places of rows that are no JSON object any more.
pub(super) struct Read<T> {
    pub(super) answer: T,
    pub(super) damaged: Vec<Sequence>,
}

/// An event's bytes as they are served; None if they are no JSON object.
pub(super) fn raw(bytes: &[u8]) -> Option<Box<RawValue>> {
    let text = str::from_utf8(bytes).ok()?;
    if !text.starts_with('{') {
        return None;
    }
    RawValue::from_string(text.to_owned()).ok()
}

/// Collects events up to a count and a number of bytes.
pub(super) struct Collector {
    pub(super) events: Vec<SequencedEvent>,
    pub(super) damaged: Vec<Sequence>,
    limit: usize,
    bytes: usize,
}

impl Collector {
    pub(super) fn new(limit: usize) -> Self {
        let limit = limit.clamp(1, PULL_MAX_EVENTS);
        Self { events: Vec::new(), damaged: Vec::new(), limit, bytes: 0 }
    }

    /// Takes an event in; false if there is no room for it. There is always room for one.
    pub(super) fn take(&mut self, sequence: Sequence, body: &[u8]) -> bool {
        let full = self.events.len() >= self.limit || self.bytes + body.len() > PULL_MAX_BYTES;
        if full && !self.events.is_empty() {
            return false;
        }
        match raw(body) {
            Some(event) => {
                self.bytes += body.len();
                self.events.push(SequencedEvent { sequence, event });
            }
            None => self.damaged.push(sequence),
        }
        true
    }
}

/// Whether this log holds that event at that place (log matching).
pub(super) fn holds(conn: &Connection, meta: &Meta, place: Place) -> rusqlite::Result<bool> {
    if place.sequence == Sequence::ZERO {
        return Ok(true);
    }
    if place.sequence > meta.head.sequence {
        return Ok(false);
    }
    let Some(event_id) = place.event_id else { return Ok(true) };
    conn.prepare_cached(
        "SELECT 1 FROM events WHERE sequence = ?1 AND event_id = ?2
         UNION ALL SELECT 1 FROM gaps WHERE sequence = ?1 AND event_id = ?2",
    )?
    .exists(params![int(place.sequence.0), event_id.ulid().to_bytes()])
}

/// Whether this log holds that event at that place of its origin.
pub(super) fn holds_head(conn: &Connection, origin: i64, head: &Head) -> rusqlite::Result<bool> {
    conn.prepare_cached(
        "SELECT 1 FROM events WHERE event_id = ?1 AND origin = ?2 AND origin_sequence = ?3",
    )?
    .exists(params![head.event_id.ulid().to_bytes(), origin, int(head.origin_sequence.0)])
}

/// What the puller holds by its heads: by the id of the origin, up to which place.
struct Cover {
    up_to: BTreeMap<i64, u64>,
    /// Nothing of this log is missing there.
    whole: bool,
}

impl Cover {
    fn new(conn: &Connection, have: &[Head]) -> rusqlite::Result<Self> {
        let mut cover = Self { up_to: BTreeMap::new(), whole: false };
        if have.is_empty() {
            return Ok(cover);
        }
        let heads: BTreeMap<Origin, &Head> =
            have.iter().map(|head| (head.origin(), head)).collect();
        cover.whole = true;
        for (origin, row) in read_origins(conn)? {
            let honoured = match heads.get(&origin) {
                Some(head) if !row.forked => holds_head(conn, row.id, head)?.then_some(head),
                _ => None,
            };
            match honoured {
                Some(head) => {
                    cover.up_to.insert(row.id, head.origin_sequence.0);
                    cover.whole &= row.top <= head.origin_sequence.0;
                }
                // An origin without events is left when its only row was set aside.
                None => cover.whole &= row.top == 0,
            }
        }
        Ok(cover)
    }

    fn holds(&self, origin: i64, origin_sequence: i64) -> bool {
        self.up_to.get(&origin).is_some_and(|up_to| uint(origin_sequence) <= *up_to)
    }
}

/// Reads a page.
pub(super) fn page(conn: &Connection, request: &PageRequest) -> rusqlite::Result<Read<PageAnswer>> {
    let meta = Meta::expect(conn)?;
    if !holds(conn, &meta, request.after)? {
        return Ok(Read { answer: PageAnswer::OtherLog(meta.log_head()), damaged: Vec::new() });
    }
    let cover = Cover::new(conn, &request.have)?;
    let mut collector = Collector::new(request.limit);
    let mut next = request.after;
    let mut more_available = false;
    if !cover.whole {
        let mut statement = conn.prepare_cached(
            "SELECT sequence, event_id, origin, origin_sequence, body FROM events
             WHERE sequence > ?1 ORDER BY sequence",
        )?;
        let mut rows = statement.query([int(request.after.sequence.0)])?;
        let mut budget = Budget::new();
        while let Some(row) = rows.next()? {
            let place = column::place(row.get(0)?, Some(row.get(1)?));
            let covered = cover.holds(row.get(2)?, row.get(3)?);
            let body = row.get_ref(4)?.as_blob()?;
            if !budget.look(body) || (!covered && !collector.take(place.sequence, body)) {
                more_available = true;
                break;
            }
            next = place;
        }
    }
    if !more_available {
        next = meta.head;
    }
    // Who holds everything has nothing to compare, and who names none of its own can't.
    let heads = match cover.whole || request.have.is_empty() || more_available {
        true => None,
        false => Some(heads(conn)?),
    };
    let page = Page {
        events: collector.events,
        next: with_id(conn, next)?,
        more_available,
        head: meta.head,
        floor: meta.floor,
        heads,
    };
    Ok(Read { answer: PageAnswer::Page(page), damaged: collector.damaged })
}

/// The place with its event, if the caller named only the number.
fn with_id(conn: &Connection, place: Place) -> rusqlite::Result<Place> {
    if place.sequence == Sequence::ZERO {
        return Ok(Place::START);
    }
    if place.event_id.is_some() {
        return Ok(place);
    }
    let id: Option<Id> = conn
        .prepare_cached(
            "SELECT event_id FROM events WHERE sequence = ?1
             UNION ALL SELECT event_id FROM gaps WHERE sequence = ?1",
        )?
        .query_row([int(place.sequence.0)], |row| row.get(0))
        .optional()?;
    Ok(Place { event_id: id.map(column::event_id), ..place })
}
