//! Heads: the last event held of each origin.

use rusqlite::{Connection, params};
use thrum_api::limits::HEADS_MAX;
use thrum_api::{Head, Origin, OriginSequence, Sequence};

use super::column::{self, int, uint};
use super::origins::{self, OriginRow};
use super::scan::ScanBudget;
use super::state::Meta;

/// An origin that has events after some position.
pub(super) struct ChangedOrigin {
    /// None if it has none that can be sent: it forked, or its first event is missing.
    pub(super) head: Option<Head>,
    /// The head covers all its events.
    pub(super) is_whole: bool,
}

macro_rules! with_heads {
    ($origins:literal) => {
        concat!(
            "SELECT daemon_id, epoch, head, top, forked, chain
             FROM (",
            $origins,
            ") AS changed CROSS JOIN origins ON origins.id = changed.origin"
        )
    };
}

/// `?1` a position, `?2` a limit. NOT INDEXED: SQLite would read all of the index by origin, in which it needs no other
/// table to be distinct.
const CHANGED: &str =
    with_heads!("SELECT DISTINCT origin FROM events NOT INDEXED WHERE sequence > ?1 LIMIT ?2");
const ALL: &str = with_heads!("SELECT id AS origin FROM origins WHERE top > ?1 LIMIT ?2");

/// The origins with events after a position, in any order; None if these are too many origins or events. The events
/// tell, so that this costs no more than they are; from the start, the origins do.
pub(super) fn changed(
    conn: &Connection,
    meta: &Meta,
    after: Sequence,
) -> rusqlite::Result<Option<Vec<ChangedOrigin>>> {
    let from_start = after == Sequence::ZERO;
    if !from_start && meta.head.sequence.0.saturating_sub(after.0) > ScanBudget::ROWS {
        return Ok(None);
    }
    let mut statement = conn.prepare_cached(if from_start { ALL } else { CHANGED })?;
    let changed: Vec<_> = statement
        .query_map(params![int(after.0), int(HEADS_MAX as u64 + 1)], |row| {
            let (head, top): (i64, i64) = (row.get(2)?, row.get(3)?);
            let can_be_sent = head > 0 && !row.get::<_, bool>(4)?;
            let held = Head {
                origin_daemon: column::daemon_id(row.get(0)?),
                origin_epoch: column::epoch(row.get(1)?),
                origin_sequence: OriginSequence(uint(head)),
                chain: column::chain(row.get(5)?),
            };
            Ok(ChangedOrigin { head: can_be_sent.then_some(held), is_whole: head == top })
        })?
        .collect::<rusqlite::Result<_>>()?;
    Ok((changed.len() <= HEADS_MAX).then_some(changed))
}

/// Heads of the origins with events after a position that are safe to send: without forked origins. At most 1000;
/// leaving out further ones costs traffic but never an event. Those with the latest events are sent, because
/// old epochs don't change.
pub(super) fn heads(conn: &Connection, since: Sequence) -> rusqlite::Result<Vec<Head>> {
    let changed = match since {
        Sequence::ZERO => None,
        since => changed(conn, &Meta::expect(conn)?, since)?,
    };
    let mut heads: Vec<Head> = match changed {
        Some(changed) => changed.into_iter().filter_map(|origin| origin.head).collect(),
        None => origins::latest_with_head(conn, HEADS_MAX)?.iter().map(head_of).collect(),
    };
    heads.sort_unstable();
    Ok(heads)
}

fn head_of((origin, row): &(Origin, OriginRow)) -> Head {
    Head {
        origin_daemon: origin.daemon,
        origin_epoch: origin.epoch,
        origin_sequence: OriginSequence(row.head),
        chain: row.chain,
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn origins_with_events_after_a_position_are_found_without_a_scan_of_the_log() {
        let dir = tempfile::TempDir::new().unwrap();
        let (_, log) = crate::log::LogReader::of_new_log(dir.path());
        let mut plan = log.prepare(&format!("EXPLAIN QUERY PLAN {}", super::CHANGED)).unwrap();
        let steps = plan.query_map([1, 1], |row| row.get(3)).unwrap();
        let steps: Vec<String> = steps.collect::<rusqlite::Result<_>>().unwrap();
        assert!(!steps.iter().any(|step| step.starts_with("SCAN events")), "{steps:?}");
    }
}
