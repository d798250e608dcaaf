//! The database: opening it, its schema, and migrations from earlier versions.

use std::fs::OpenOptions;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use rusqlite::{Connection, OpenFlags};
use rusqlite_migration::{M, Migrations};

use super::error::LogError;
use crate::held_files::HeldFiles;

/// The database in the state directory.
pub(crate) const DATABASE: &str = "log.db";
/// Earlier versions could lose committed pages in a WAL reset.
const SQLITE_MIN: i32 = 3_051_003;

/// Never change a step of a release; add one. A test opens a database of each earlier version.
const MIGRATIONS: Migrations<'_> = Migrations::from_slice(STEPS);
pub(super) const STEPS: &[M<'_>] = &[M::up(FIRST)];

/// The version of a database that has taken every step.
#[expect(clippy::cast_possible_wrap, reason = "the steps are counted by hand")]
pub(crate) const SCHEMA_VERSION: i64 = STEPS.len() as i64;

/// The first step.
const FIRST: &str =
    "-- High-water marks. Never derived from max(): a place is given once, even if its row goes.
    CREATE TABLE meta (
        one INTEGER PRIMARY KEY CHECK (one = 1),
        daemon_id BLOB NOT NULL,
        epoch BLOB NOT NULL,
        own_sequence INTEGER NOT NULL, -- last origin_sequence given in this epoch
        own_chain BLOB NOT NULL,       -- the chain of this epoch there
        head INTEGER NOT NULL,         -- last sequence given
        own_last INTEGER NOT NULL,     -- last sequence of an event that was written here
        floor INTEGER NOT NULL,
        hlc INTEGER NOT NULL,
        hash INTEGER NOT NULL,         -- of the log up to its head
        cloned_at INTEGER              -- when another machine last wrote with our key
    ) STRICT;

    CREATE TABLE origins (
        id INTEGER PRIMARY KEY,
        daemon_id BLOB NOT NULL,
        epoch BLOB NOT NULL,
        head INTEGER NOT NULL,         -- highest contiguous origin_sequence held
        chain BLOB NOT NULL,           -- its chain there
        top INTEGER NOT NULL,          -- highest held; above head: there is a hole
        forked INTEGER NOT NULL,
        last INTEGER NOT NULL,         -- sequence of its last event
        recent INTEGER NOT NULL,       -- about the same if its head can be sent, else 0
        UNIQUE (daemon_id, epoch)
    ) STRICT;
    -- Not by `last`: every commit would change the index.
    CREATE INDEX origins_by_recent ON origins (recent) WHERE recent > 0;

    CREATE TABLE sources (             -- whom events came from; in events, 0 is this daemon
        id INTEGER PRIMARY KEY,
        daemon_id BLOB NOT NULL UNIQUE,
        last INTEGER NOT NULL          -- last sequence that came from there
    ) STRICT;

    CREATE TABLE events (
        sequence INTEGER PRIMARY KEY,
        event_id BLOB NOT NULL,
        origin INTEGER NOT NULL,
        origin_sequence INTEGER NOT NULL,
        previous BLOB NOT NULL,        -- the chain of its origin before it
        source INTEGER NOT NULL,
        timestamp INTEGER NOT NULL,
        type TEXT NOT NULL,
        project TEXT,
        body BLOB NOT NULL,            -- the event's own bytes
        hash INTEGER NOT NULL          -- of the log up to here
    ) STRICT;
    CREATE INDEX events_by_origin ON events (origin, origin_sequence);
    -- Not unique: an origin may give an id twice, which harms no other.
    CREATE INDEX events_by_id ON events (event_id);

    -- Signatures of other daemons on their chains after the event at this position. Of the events of an origin in one
    -- group of the log, only the last one has to have one.
    CREATE TABLE points (
        sequence INTEGER PRIMARY KEY,
        signature BLOB NOT NULL
    ) STRICT;

    -- Which names are in which 128 sequences, as in `blocks`: field 1 is the type, 2 the project.
    CREATE TABLE blocks (
        field INTEGER NOT NULL,
        name TEXT NOT NULL,
        block INTEGER NOT NULL,
        PRIMARY KEY (field, name, block)
    ) STRICT, WITHOUT ROWID;

    CREATE TABLE gaps (                -- places whose row was set aside
        sequence INTEGER PRIMARY KEY,
        event_id BLOB NOT NULL,
        origin INTEGER NOT NULL,
        origin_sequence INTEGER NOT NULL,
        hash INTEGER NOT NULL,
        version INTEGER NOT NULL DEFAULT 0        -- rises when what is before it can be proved again
    ) STRICT;
    CREATE INDEX gaps_by_origin ON gaps (origin, origin_sequence);

    CREATE TABLE checkpoints (
        peer BLOB PRIMARY KEY,
        sequence INTEGER NOT NULL,
        epoch BLOB,                    -- of the peer's log, when the place was taken
        last_sync INTEGER,
        hash INTEGER,                  -- of the peer's log up to there
        held INTEGER NOT NULL DEFAULT 0,          -- of our log, the peer held everything up to here then
        introduced INTEGER NOT NULL DEFAULT 0,    -- how many new origins it brought lately
        introduced_at INTEGER NOT NULL DEFAULT 0,
        withheld_at INTEGER,           -- since when it has events of further ones
        refused_at INTEGER             -- since when it brings what no signature proves
    ) STRICT, WITHOUT ROWID;

    -- AUTOINCREMENT: a person clears the quarantine up to the id of the last entry that was shown, so the id of
    -- a dropped entry is never given to another.
    CREATE TABLE quarantine (
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        peer BLOB NOT NULL,
        sequence INTEGER NOT NULL,
        event_id BLOB,
        reason TEXT NOT NULL,
        size INTEGER NOT NULL,         -- of the whole; bytes may be only its beginning
        bytes BLOB NOT NULL,
        at INTEGER NOT NULL,
        hash BLOB,                     -- of what a peer sent, so that it is kept once; NULL for damaged rows
        seen INTEGER NOT NULL DEFAULT 0           -- a person has cleared it; the hash keeps it from coming back
    ) STRICT;
    CREATE UNIQUE INDEX quarantine_once ON quarantine (peer, hash);";

/// Opens the file for the writer and holds it; creates it if it doesn't exist.
///
/// # Errors
/// When the file can't be opened.
pub(super) fn open_writer(path: &Path, files: &HeldFiles) -> Result<Connection, LogError> {
    // Created here so that others can never read it; SQLite gives the WAL the same mode. Closed before SQLite
    // opens it: a later close would release SQLite's locks.
    OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .open(path)
        .and_then(|file| files.hold_database(path.to_owned(), &file))
        .map_err(|source| LogError::File { action: "open", path: path.into(), source })?;
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    Connection::open_with_flags(path, flags).map_err(|source| open_error(path, source))
}

/// Configures the writer's connection; creates or migrates the schema.
///
/// # Errors
/// When SQLite is too old, or the database is damaged or of a later version.
pub(super) fn prepare(conn: &mut Connection, path: &Path) -> Result<(), LogError> {
    if rusqlite::version_number() < SQLITE_MIN {
        return Err(LogError::OldSqlite { found: rusqlite::version() });
    }
    let failed = |source: rusqlite::Error| open_error(path, source);
    let found: i64 = conn.query_row("PRAGMA user_version", [], |row| row.get(0)).map_err(failed)?;
    if found > 0 && is_without_proofs(conn).map_err(failed)? {
        return Err(LogError::WithoutProofs { path: path.into() });
    }
    if found > SCHEMA_VERSION {
        return Err(LogError::NewerSchema { path: path.into(), found, known: SCHEMA_VERSION });
    }
    // fullfsync: on macOS a plain fsync stops in the drive's cache. wal_autocheckpoint: the writer does that
    // itself, so that only it writes to the file, when it says so.
    conn.execute_batch(
        "PRAGMA journal_mode = WAL;
         PRAGMA synchronous = FULL;
         PRAGMA fullfsync = ON;
         PRAGMA cache_size = -2048;
         PRAGMA mmap_size = 0;
         PRAGMA wal_autocheckpoint = 0;
         PRAGMA journal_size_limit = 16777216;
         PRAGMA temp_store = MEMORY;
         PRAGMA busy_timeout = 2000;",
    )
    .map_err(failed)?;
    conn.set_prepared_statement_cache_capacity(64);
    MIGRATIONS.to_latest(conn).map_err(|source| match source {
        rusqlite_migration::Error::RusqliteError { err, .. } => {
            LogError::storage("migrate the log to this version's schema", path, err)
        }
        source => LogError::Migrate { path: path.into(), source: Box::new(source) },
    })
}

/// Whether it was made by a version whose daemons had no keys: their ids had 16 bytes.
fn is_without_proofs(conn: &Connection) -> rusqlite::Result<bool> {
    conn.prepare("SELECT 1 FROM meta WHERE length(daemon_id) = 16")?.exists([])
}

/// Opens the database for a reader.
pub(super) fn open_reader(path: &Path) -> Result<Connection, rusqlite::Error> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let conn = Connection::open_with_flags(path, flags)?;
    conn.execute_batch(
        "PRAGMA cache_size = -1024;
         PRAGMA mmap_size = 0;
         PRAGMA temp_store = MEMORY;
         PRAGMA busy_timeout = 2000;",
    )?;
    Ok(conn)
}

pub(super) fn open_error(path: &Path, source: rusqlite::Error) -> LogError {
    LogError::storage("open the log", path, source)
}
