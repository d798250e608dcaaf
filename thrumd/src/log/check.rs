//! Checks a database as a whole: whether its pages form the tables that they should.

use rusqlite::{Connection, ffi};

use super::column::uint;
use super::state::{Meta, count_gaps};
use super::types::LogHead;

/// What a sound database holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sound {
    /// How many events.
    pub events: u64,
}

/// Reads every page of a database, and compares the events with the high-water marks.
///
/// # Errors
/// `DatabaseCorrupt` with what was found, if it is malformed.
pub fn check(conn: &Connection) -> rusqlite::Result<Sound> {
    // Answers with one row, `ok`, or with a row for each fault.
    let found: String = conn.query_row("PRAGMA quick_check(1)", [], |row| row.get(0))?;
    if found != "ok" {
        return Err(malformed(found));
    }
    let (events, last): (i64, i64) =
        conn.query_row("SELECT count(*), ifnull(max(sequence), 0) FROM events", [], |row| {
            Ok((row.get(0)?, row.get(1)?))
        })?;
    // Of a first start that was killed there are no marks, and no events.
    let head = Meta::read(conn)?.map_or(0, |meta| meta.head.sequence.0);
    if uint(last) > head {
        return Err(malformed(format!("it ends at {head} and has an event at {last}")));
    }
    Ok(Sound { events: uint(events) })
}

/// Whether a database has every event up to this end of the log, and nothing of another file: an overwritten one
/// may be sound, and miss events.
///
/// # Errors
/// As [`check`]; each index is compared with its table, too.
pub fn holds_all(conn: &Connection, head: LogHead) -> rusqlite::Result<bool> {
    let found: String = conn.query_row("PRAGMA integrity_check(1)", [], |row| row.get(0))?;
    if found != "ok" {
        return Err(malformed(found));
    }
    let Sound { events } = check(conn)?;
    let meta = Meta::expect(conn)?;
    // An origin that is older than its events.
    let stale = conn
        .prepare(
            "SELECT 1 FROM origins WHERE top <
         (SELECT max(origin_sequence) FROM events WHERE origin = origins.id)",
        )?
        .exists([])?;
    // Every position has an event, or had one.
    let given = meta.head.sequence.0.saturating_sub(meta.floor.0);
    Ok(meta.log_head() == head && events + count_gaps(conn)? == given && !stale)
}

/// The error for a database in which this was found.
pub fn malformed(found: String) -> rusqlite::Error {
    rusqlite::Error::SqliteFailure(ffi::Error::new(ffi::SQLITE_CORRUPT), Some(found))
}
