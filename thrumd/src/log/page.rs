//! Pages of the log for pullers. Stored bytes are served as they are: whether they are JSON is checked,
//! what they say is not.

use std::collections::BTreeMap;

use rusqlite::Connection;
use thrum_api::{Head, LogPosition, Origin};

use super::column::{self, int, uint};
use super::lookup::{ReadResult, at, held_of, holds, holds_head, told};
use super::origins;
use super::scan::{Collector, ScanBudget};
use super::state::{Meta, OWN_SOURCE};
use super::types::{Page, PageAnswer, PageRequest};

/// Filter of what the puller holds according to its heads: the last position by origin id.
struct PeerCoverage {
    up_to: BTreeMap<i64, u64>,
    /// The puller holds all events of this log.
    complete: bool,
}

impl PeerCoverage {
    fn new(conn: &Connection, have: &[Head]) -> rusqlite::Result<Self> {
        let mut coverage = Self { up_to: BTreeMap::new(), complete: false };
        if have.is_empty() {
            return Ok(coverage);
        }
        let heads: BTreeMap<Origin, &Head> =
            have.iter().map(|head| (head.origin(), head)).collect();
        let mut covered = 0;
        for (origin, head) in heads {
            let Some(row) = origins::find(conn, origin)? else { continue };
            if !row.forked && holds_head(conn, row.id, head)? {
                coverage.up_to.insert(row.id, head.origin_sequence.0);
                covered += usize::from(row.top <= head.origin_sequence.0);
            }
        }
        // An origin without events remains when its only row was damaged.
        coverage.complete = !origins::are_more_than(conn, covered)?;
        Ok(coverage)
    }

    fn holds(&self, origin: i64, origin_sequence: i64) -> bool {
        self.up_to.get(&origin).is_some_and(|up_to| uint(origin_sequence) <= *up_to)
    }
}

/// Reads a page.
pub(super) fn page(
    conn: &Connection,
    request: &PageRequest,
) -> rusqlite::Result<ReadResult<PageAnswer>> {
    let meta = Meta::expect(conn)?;
    if !holds(conn, &meta, request.after)? {
        return Ok(ReadResult {
            answer: PageAnswer::OtherLog(meta.log_head()),
            damaged: Vec::new(),
        });
    }
    let coverage = PeerCoverage::new(conn, &request.have)?;
    let mut collector = Collector::new(request.limit);
    let mut next = request.after;
    let (mut more_available, mut relayed) = (false, false);
    if !coverage.complete {
        let mut statement = conn.prepare_cached(
            "SELECT sequence, event_id, origin, origin_sequence, body, source FROM events
             WHERE sequence > ?1 ORDER BY sequence",
        )?;
        let mut rows = statement.query([int(request.after.sequence.0)])?;
        let mut budget = ScanBudget::new();
        while let Some(row) = rows.next()? {
            let position = column::position(row.get(0)?, Some(row.get(1)?), None);
            let held = coverage.holds(row.get(2)?, row.get(3)?);
            let body = row.get_ref(4)?.as_blob()?;
            if !budget.take(body) || (!held && !collector.add(position.sequence, body)) {
                more_available = true;
                break;
            }
            relayed |= !held && row.get::<_, i64>(5)? != OWN_SOURCE;
            next = position;
        }
    }
    // What the puller sent says less than our log.
    next = match more_available {
        true => at(conn, next.sequence)?.unwrap_or(LogPosition { hash: None, ..next }),
        false => meta.head,
    };
    let held = match more_available {
        true => None,
        false => held_of(conn, request.peer)?,
    };
    let page = Page {
        events: collector.events,
        next: told(conn, next, &collector.damaged)?,
        more_available,
        head: meta.head,
        floor: meta.floor,
        held,
        relayed,
    };
    Ok(ReadResult { answer: PageAnswer::Page(page), damaged: collector.damaged })
}
