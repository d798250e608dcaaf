//! Pages of the log for pullers. Stored bytes are served as they are: whether they are those that were stored is checked, what
//! they say is not.

use std::collections::{BTreeMap, BTreeSet};

use rusqlite::Connection;
use thrum_api::limits::{PULL_MAX_BYTES, PULL_MAX_EVENTS};
use thrum_api::{DaemonId, Head, LogPosition, Origin, Sequence};

use super::column::{int, uint};
use super::lookup::{ReadResult, at, held_of, holds, holds_head, told};
use super::origins;
use super::runs::{self, Budget, Signer};
use super::scan::ScanBudget;
use super::served::{RowCheck, SERVED_AFTER, ServedEvent};
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
            if !row.forked && holds_head(conn, &row, head)? {
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

/// The events of a page, up to a position.
struct Collected {
    events: Vec<ServedEvent>,
    damaged: Vec<Sequence>,
    bytes: usize,
    /// How many events are wanted.
    limit: usize,
    /// All up to here is in it, or held by the puller.
    next: Sequence,
    /// Origins of others whose last event in it has no signed point.
    unproved: BTreeSet<i64>,
    /// The last position at which there were none of these: how many events are in it up to there, and the position.
    proved: Option<(usize, Sequence)>,
}

impl Collected {
    fn new(request: &PageRequest) -> Self {
        Self {
            events: Vec::new(),
            damaged: Vec::new(),
            bytes: 0,
            limit: request.limit.clamp(1, PULL_MAX_EVENTS),
            next: request.after.sequence,
            unproved: BTreeSet::new(),
            proved: None,
        }
    }

    /// Whether an event of so many bytes is one too many. The first one always fits, and so do those up to the first
    /// position where all can be proved.
    fn is_full(&self, bytes: usize) -> bool {
        let has_enough =
            self.events.len() >= self.limit && self.proved.is_some_and(|(events, _)| events > 0);
        let has_too_many =
            self.events.len() >= PULL_MAX_EVENTS || self.bytes + bytes > PULL_MAX_BYTES;
        has_enough || (has_too_many && !self.events.is_empty())
    }

    fn add(&mut self, event: ServedEvent, own: &BTreeSet<i64>) {
        if event.point.is_some() || own.contains(&event.origin) {
            self.unproved.remove(&event.origin);
        } else {
            self.unproved.insert(event.origin);
        }
        self.bytes += event.event.event.get().len();
        let sequence = event.event.sequence;
        self.events.push(event);
        self.pass(sequence);
    }

    fn damaged(&mut self, sequence: Sequence) {
        self.damaged.push(sequence);
        self.pass(sequence);
    }

    fn pass(&mut self, sequence: Sequence) {
        self.next = sequence;
        if self.unproved.is_empty() {
            self.proved = Some((self.events.len(), sequence));
        }
    }

    /// Leaves out what follows the last position where all can be proved, if there is one: it is in the next page.
    fn end_where_all_is_proved(&mut self) {
        if let Some((events, next)) = self.proved {
            self.events.truncate(events);
            self.next = next;
            self.damaged.retain(|sequence| *sequence <= next);
        }
    }
}

/// The rows of the origins for which this daemon can sign.
fn own_origins(conn: &Connection, daemon: DaemonId) -> rusqlite::Result<BTreeSet<i64>> {
    conn.prepare_cached("SELECT id FROM origins WHERE daemon_id = ?1")?
        .query_map([daemon.to_bytes()], |row| row.get(0))?
        .collect()
}

/// Reads a page.
pub(super) fn page(
    conn: &Connection,
    signer: &Signer<'_>,
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
    let mut collected = Collected::new(request);
    let mut more_available = false;
    if !coverage.complete {
        let mut statement = conn.prepare_cached(SERVED_AFTER)?;
        let own = own_origins(conn, signer.daemon)?;
        let mut rows = statement.query([int(request.after.sequence.0)])?;
        let mut budget = ScanBudget::new();
        let mut check = RowCheck::new(conn);
        while let Some(row) = rows.next()? {
            let sequence = Sequence(uint(row.get(0)?));
            let body = row.get_ref(4)?.as_blob()?;
            if !budget.take(body) {
                more_available = true;
                break;
            }
            if coverage.holds(row.get(1)?, row.get(2)?) {
                collected.pass(sequence);
                continue;
            }
            if collected.is_full(body.len()) {
                more_available = true;
                break;
            }
            match ServedEvent::read(row, &mut check)? {
                Some(event) => collected.add(event, &own),
                None => collected.damaged(sequence),
            }
        }
        if more_available {
            collected.end_where_all_is_proved();
        }
    }
    let Collected { events, damaged, mut next, .. } = collected;
    let relayed = events.iter().any(|event| event.source != OWN_SOURCE);
    let proved = runs::prove(conn, signer, events, Budget::PAGE)?;
    if let Some(left) = proved.ends_before {
        next = Sequence(left.0.saturating_sub(1));
        more_available = true;
    }
    let runs = proved.runs.into_iter().map(|(run, _)| run).collect();
    // What the puller sent says less than our log.
    let next = match more_available {
        true => at(conn, next)?.unwrap_or(LogPosition { sequence: next, hash: None }),
        false => meta.head,
    };
    let held = match more_available {
        true => None,
        false => held_of(conn, request.peer)?,
    };
    let page = Page {
        runs,
        next: told(conn, next, &damaged)?,
        more_available,
        head: meta.head,
        floor: meta.floor,
        held,
        relayed,
    };
    Ok(ReadResult { answer: PageAnswer::Page(page), damaged })
}
