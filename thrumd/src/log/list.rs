//! Events for local readers.

use std::path::{Path, PathBuf};

use rusqlite::{Connection, Row};
use thrum_api::Sequence;
use thrum_api::local::{EventListParams, EventListResult};

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
        "SELECT sequence, type, project, body FROM events
         WHERE sequence > ?1 ORDER BY sequence DESC"
    } else {
        "SELECT sequence, type, project, body FROM events
         WHERE sequence > ?1 ORDER BY sequence"
    })?;
    let mut rows = statement.query([int(params.after.0)])?;
    let mut budget = ScanBudget::new();
    while let Some(row) = rows.next()? {
        let sequence = Sequence(uint(row.get(0)?));
        let body = row.get_ref(3)?.as_blob()?;
        // "The newest of a type" can't be continued, so the whole log is searched for it.
        let spent = !params.newest && !budget.take(body);
        if spent || (wanted(row, params)? && !collector.add(sequence, body)) {
            more_available = !params.newest;
            break;
        }
        next = sequence;
    }
    if !more_available {
        next = meta.head.sequence.max(params.after);
    }
    if params.newest {
        collector.events.reverse();
    }
    let answer = EventListResult { events: collector.events, next, more_available };
    Ok(ReadResult { answer, damaged: collector.damaged })
}

fn wanted(row: &Row<'_>, params: &EventListParams) -> rusqlite::Result<bool> {
    let is = |column: usize, wanted: &Option<String>| -> rusqlite::Result<bool> {
        let Some(wanted) = wanted else { return Ok(true) };
        Ok(row.get_ref(column)?.as_str_or_null()? == Some(wanted.as_str()))
    };
    Ok(is(1, &params.event_type)? && is(2, &params.project)?)
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
    })
}
