//! Checks a database as a whole: whether its pages form the tables that they should.

use rusqlite::{Connection, OptionalExtension, ffi, params};

use super::blocks::{BLOCK, NAME_MAX_BYTES};
use super::column::{int, uint};
use super::state::{Meta, count_gaps};
use super::types::LogHead;

/// What a sound database holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sound {
    /// How many events.
    pub events: u64,
}

/// Reads every page of a database, and compares the events with the high-water marks: pages of two files of one
/// log may fit together, and events be missing all the same.
///
/// # Errors
/// `DatabaseCorrupt` with what was found, if it is malformed.
pub fn check(conn: &Connection) -> rusqlite::Result<Sound> {
    verify(conn, "PRAGMA quick_check(1)")?;
    count(conn)
}

/// As [`check`], and compares each index with its table.
///
/// # Errors
/// As [`check`].
pub fn check_indexes(conn: &Connection) -> rusqlite::Result<Sound> {
    verify(conn, "PRAGMA integrity_check(1)")?;
    count(conn)
}

/// As [`check_indexes`], and whether the database has every event up to this end of the log, and nothing of another
/// file: an overwritten one may be sound, and miss events.
///
/// # Errors
/// As [`check`].
pub fn holds_all(conn: &Connection, head: LogHead) -> rusqlite::Result<Sound> {
    let sound = check_indexes(conn)?;
    // An origin that is older than its events.
    let stale = conn
        .prepare(
            "SELECT 1 FROM origins WHERE top <
         (SELECT max(origin_sequence) FROM events WHERE origin = origins.id)",
        )?
        .exists([])?;
    // That has no rows for an event which it has.
    let unlisted = conn
        .prepare(
            "SELECT 1 FROM (SELECT 1 AS field, type AS name, sequence / ?1 AS block FROM events
                            UNION SELECT 2, project, sequence / ?1 FROM events WHERE project IS NOT NULL)
             WHERE octet_length(name) <= ?2 AND (field, name, block) NOT IN blocks",
        )?
        .exists(params![int(BLOCK), int(NAME_MAX_BYTES)])?;
    if stale || unlisted || !Meta::expect(conn)?.log_head().continues(head) {
        return Err(malformed("events are missing".to_owned()));
    }
    Ok(sound)
}

/// Runs one of SQLite's own checks: it answers with one row, `ok`, or with a row for each fault.
fn verify(conn: &Connection, pragma: &str) -> rusqlite::Result<()> {
    let found: String = conn.query_row(pragma, [], |row| row.get(0))?;
    if found == "ok" { Ok(()) } else { Err(malformed(found)) }
}

fn count(conn: &Connection) -> rusqlite::Result<Sound> {
    let (events, last) =
        conn.query_row("SELECT count(*), ifnull(max(sequence), 0) FROM events", [], |row| {
            Ok((uint(row.get(0)?), uint(row.get(1)?)))
        })?;
    // Of a first start that was killed there are no marks, and no events.
    // What is asked for is in a database of every version.
    let marks = conn
        .query_row("SELECT head, floor FROM meta", [], |row| {
            Ok((uint(row.get(0)?), uint(row.get(1)?)))
        })
        .optional()?;
    let (head, floor) = marks.unwrap_or_default();
    if last > head {
        return Err(malformed(format!("it ends at {head} and has an event at {last}")));
    }
    // Every position has an event, or had one that was found damaged.
    let expected = head.saturating_sub(floor).saturating_sub(count_gaps(conn)?);
    if events != expected {
        return Err(malformed(format!("it should have {expected} events and has {events}")));
    }
    Ok(Sound { events })
}

/// The error for a database in which this was found.
pub fn malformed(found: String) -> rusqlite::Error {
    rusqlite::Error::SqliteFailure(ffi::Error::new(ffi::SQLITE_CORRUPT), Some(found))
}
