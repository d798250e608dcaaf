//! Which signed points are kept. A page for a peer ends where all that is in it can be proved, so that pages of any
//! size need such places now and then; a point beside each event would make the database a tenth larger. So the newest
//! events are a group: of each origin in it only the last point is kept. A group is never larger than a page.

use std::collections::BTreeMap;

use rusqlite::{Connection, params};
use thrum_api::Sequence;
use thrum_api::limits::{PULL_MAX_BYTES, PULL_MAX_EVENTS, UNSIGNED_MAX_EVENTS};
use thrum_api::proof::Signature;

use super::column::int;
use super::origins::OriginRow;

/// The newest events, up to the end of the log. It begins anew when the log is opened.
#[derive(Debug, Default)]
pub(super) struct Group {
    events: usize,
    bytes: usize,
    /// By the origin's row.
    origins: BTreeMap<i64, Member>,
}

/// Of an origin: what it has in the group.
#[derive(Debug)]
struct Member {
    /// Position in the origin and in the log of its last point.
    point: Option<(u64, Sequence)>,
    /// The first event after that, and how many follow one another from there.
    next: Option<(u64, u64)>,
    /// Position of the last point that stays, or of the last event before the group.
    kept: u64,
}

impl Group {
    /// Begins a new one if these events don't fit.
    pub(super) fn make_room(&mut self, events: usize, bytes: usize) {
        if self.events + events > PULL_MAX_EVENTS || self.bytes + bytes > PULL_MAX_BYTES {
            *self = Self::default();
        }
    }

    /// Counts an event that was stored.
    pub(super) fn count(&mut self, bytes: usize) {
        self.events += 1;
        self.bytes += bytes;
    }

    /// Takes an event of another daemon that was stored here, with its signed point if it has one. A point that this one
    /// makes unnecessary goes.
    pub(super) fn add(
        &mut self,
        conn: &Connection,
        origin: &OriginRow,
        (position, sequence): (u64, Sequence),
        point: Option<&Signature>,
    ) -> rusqlite::Result<()> {
        let member = self.origins.entry(origin.id).or_insert_with(|| Member {
            point: None,
            next: None,
            kept: position.saturating_sub(1),
        });
        let (first, count) = match member.next {
            Some((first, count)) if first + count == position => (first, count + 1),
            _ => (position, 1),
        };
        member.next = Some((first, count));
        let Some(point) = point else { return Ok(()) };
        if let Some((before, _)) = member.point
            && position.saturating_sub(member.kept) >= UNSIGNED_MAX_EVENTS as u64
        {
            member.kept = before;
        }
        if let Some((before, at)) = member.point
            && before + 1 == first
            && before != member.kept
            && !origin.forked
        {
            conn.prepare_cached("DELETE FROM points WHERE sequence = ?1")?.execute([int(at.0)])?;
        }
        member.point = Some((position, sequence));
        member.next = None;
        keep(conn, sequence, point)
    }
}

/// Keeps the signed point after the event at this position of the log.
pub(super) fn keep(conn: &Connection, at: Sequence, point: &Signature) -> rusqlite::Result<()> {
    conn.prepare_cached("INSERT OR REPLACE INTO points (sequence, signature) VALUES (?1, ?2)")?
        .execute(params![int(at.0), point.0])
        .map(drop)
}
