//! Events for local readers.

use std::path::{Path, PathBuf};

use rusqlite::{Connection, params};
use thrum_api::Sequence;
use thrum_api::local::{EventListParams, EventListResult};

use super::blocks::{BLOCK, Field, Ranges};
use super::column::{int, uint};
use super::introductions;
use super::lookup::ReadResult;
use super::scan::{Collector, ScanBudget};
use super::state::{Meta, count_gaps};
use super::types::LogStats;
use crate::database_files;

/// How many events a reader gets that names no limit.
const LIMIT_DEFAULT: u32 = 100;

/// Reads a list.
pub(super) fn list(
    conn: &Connection,
    params: &EventListParams,
) -> rusqlite::Result<ReadResult<EventListResult>> {
    let meta = Meta::expect(conn)?;
    let limit = params.limit.unwrap_or(LIMIT_DEFAULT);
    let mut collector = Collector::new(usize::try_from(limit).unwrap_or(usize::MAX));
    let mut next = params.after;
    let mut more_available = false;
    let mut statement = conn.prepare_cached(if params.newest {
        "SELECT sequence, body FROM events WHERE sequence BETWEEN ?1 AND ?2
         AND (?3 IS NULL OR type = ?3) AND (?4 IS NULL OR project = ?4) ORDER BY sequence DESC"
    } else {
        "SELECT sequence, body FROM events WHERE sequence BETWEEN ?1 AND ?2
         AND (?3 IS NULL OR type = ?3) AND (?4 IS NULL OR project = ?4) ORDER BY sequence"
    })?;
    let (event_type, project) = (params.event_type.as_deref(), params.project.as_deref());
    let names = event_type.map(|name| (Field::Type, name)).into_iter();
    let names = names.chain(project.map(|name| (Field::Project, name)));
    // Up to the end, or to before a position.
    let end = match params.before {
        Some(before) => meta.head.sequence.min(Sequence(before.0.saturating_sub(1))),
        None => meta.head.sequence,
    };
    let after_that = params.after.0.saturating_add(1)..=end.0;
    let mut ranges = Ranges::new(conn, names, after_that, params.newest);
    let mut budget = ScanBudget::new();
    'log: while let Some(range) = ranges.next()? {
        let (first, last) = range.into_inner();
        // "The newest of a type" can't be continued, so the whole log is searched for it.
        if !params.newest && !budget.take_rows(BLOCK) {
            next = Sequence(first - 1);
            more_available = true;
            break;
        }
        let mut rows = statement.query(params![int(first), int(last), event_type, project])?;
        while let Some(row) = rows.next()? {
            let sequence = Sequence(uint(row.get(0)?));
            let body = row.get_ref(1)?.as_blob()?;
            if !params.newest && !budget.take(body) || !collector.add(sequence, body) {
                more_available = !params.newest;
                break 'log;
            }
            next = sequence;
        }
    }
    if !more_available {
        next = end.max(params.after);
    }
    if params.newest {
        collector.events.reverse();
    }
    let answer = EventListResult { events: collector.events, next, more_available };
    Ok(ReadResult { answer, damaged: collector.damaged })
}

/// Figures for `status`.
pub(super) fn stats(conn: &Connection, path: &Path) -> rusqlite::Result<LogStats> {
    let meta = Meta::expect(conn)?;
    // Counting the events themselves would read an index from end to end.
    let given = meta.head.sequence.0.saturating_sub(meta.floor.0);
    let size = |file: &PathBuf| std::fs::metadata(file).map_or(0, |file| file.len());
    Ok(LogStats {
        events: given.saturating_sub(count_gaps(conn)?),
        size_bytes: database_files::all(path).iter().map(size).sum(),
        quarantined: conn
            .query_row("SELECT count(*) FROM quarantine WHERE NOT seen", [], |row| row.get(0))
            .map(uint)?,
        withheld: introductions::withheld(conn)?,
        refused: introductions::refused(conn)?,
        cloned_at: meta.cloned_at,
    })
}
