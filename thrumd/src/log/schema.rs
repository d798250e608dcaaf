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

/// Never change a step; add one. A test opens a database of each earlier version.
const MIGRATIONS: Migrations<'_> = Migrations::from_slice(STEPS);
pub(super) const STEPS: &[M<'_>] = &[
    M::up(FIRST),
    // The position of each damaged row in its origin; NULL for those that were found before this step.
    M::up(
        "ALTER TABLE gaps ADD COLUMN origin INTEGER;
         ALTER TABLE gaps ADD COLUMN origin_sequence INTEGER;
         CREATE INDEX gaps_by_origin ON gaps (origin, origin_sequence);",
    ),
    // A hash of what a peer sent, so that the same is kept once; NULL for damaged rows, each of which is kept,
    // and for entries from before this step.
    M::up(
        "ALTER TABLE quarantine ADD COLUMN hash BLOB;
         DROP INDEX quarantine_by_size;
         CREATE UNIQUE INDEX quarantine_once ON quarantine (peer, hash);",
    ),
    // How many new origins a peer introduced lately, and since when it has events of further ones.
    M::up(
        "ALTER TABLE checkpoints ADD COLUMN introduced INTEGER NOT NULL DEFAULT 0;
         ALTER TABLE checkpoints ADD COLUMN introduced_at INTEGER NOT NULL DEFAULT 0;
         ALTER TABLE checkpoints ADD COLUMN withheld_at INTEGER;",
    ),
    // Whether a person has cleared the entry. Its hash stays, so that it does not come back.
    M::up("ALTER TABLE quarantine ADD COLUMN seen INTEGER NOT NULL DEFAULT 0;"),
    // The last event of each origin, so that the heads of those that still grow are sent. The index has exactly the
    // origins whose heads can be.
    M::up(
        "ALTER TABLE origins ADD COLUMN last INTEGER NOT NULL DEFAULT 0;
         UPDATE origins SET last =
             coalesce((SELECT max(sequence) FROM events WHERE origin = origins.id), 0);
         CREATE INDEX origins_by_last ON origins (last) WHERE NOT forked AND head > 0;",
    ),
    // AUTOINCREMENT: a person clears the quarantine up to the id of the last entry that was shown, so the id of
    // a dropped entry is never given to another.
    M::up(
        "CREATE TABLE quarantined (
             id INTEGER PRIMARY KEY AUTOINCREMENT,
             peer BLOB NOT NULL,
             sequence INTEGER NOT NULL,
             event_id BLOB,
             reason TEXT NOT NULL,
             size INTEGER NOT NULL,
             bytes BLOB NOT NULL,
             at INTEGER NOT NULL,
             hash BLOB,
             seen INTEGER NOT NULL DEFAULT 0
         ) STRICT;
         INSERT INTO quarantined
             SELECT id, peer, sequence, event_id, reason, size, bytes, at, hash, seen FROM quarantine;
         DROP TABLE quarantine;
         ALTER TABLE quarantined RENAME TO quarantine;
         CREATE UNIQUE INDEX quarantine_once ON quarantine (peer, hash);",
    ),
    // About the last event of each origin whose head can be sent, 0 for others. Every commit changed the index of
    // the exact ones.
    M::up(
        "DROP INDEX origins_by_last;
         ALTER TABLE origins ADD COLUMN recent INTEGER NOT NULL DEFAULT 0;
         UPDATE origins SET recent = last WHERE NOT forked AND head > 0;
         CREATE INDEX origins_by_recent ON origins (recent) WHERE recent > 0;",
    ),
    // The hash of the log up to each event, and of a peer's log up to its checkpoint; NULL for those from before this
    // step. `held`: of our log, the peer held everything up to here at its checkpoint.
    M::up(
        "ALTER TABLE meta ADD COLUMN hash INTEGER NOT NULL DEFAULT 0;
         UPDATE meta SET hash = random();
         ALTER TABLE events ADD COLUMN hash INTEGER;
         ALTER TABLE gaps ADD COLUMN hash INTEGER;
         ALTER TABLE checkpoints ADD COLUMN hash INTEGER;
         ALTER TABLE checkpoints ADD COLUMN held INTEGER NOT NULL DEFAULT 0;",
    ),
    // Which names are in which 128 sequences, as in `blocks`: field 1 is the type, 2 the project.
    M::up(
        "CREATE TABLE blocks (
             field INTEGER NOT NULL,
             name TEXT NOT NULL,
             block INTEGER NOT NULL,
             PRIMARY KEY (field, name, block)
         ) STRICT, WITHOUT ROWID;
         INSERT INTO blocks
             SELECT DISTINCT 1, type, sequence / 128 FROM events
             WHERE octet_length(type) <= 1024 ORDER BY 2, 3;
         INSERT INTO blocks
             SELECT DISTINCT 2, project, sequence / 128 FROM events
             WHERE octet_length(project) <= 1024 ORDER BY 2, 3;",
    ),
];

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
        head INTEGER NOT NULL,         -- last sequence given
        head_id BLOB,
        own_last INTEGER NOT NULL,     -- last sequence of an event that was written here
        floor INTEGER NOT NULL,
        hlc INTEGER NOT NULL
    ) STRICT;

    CREATE TABLE origins (
        id INTEGER PRIMARY KEY,
        daemon_id BLOB NOT NULL,
        epoch BLOB NOT NULL,
        head INTEGER NOT NULL,         -- highest contiguous origin_sequence held
        top INTEGER NOT NULL,          -- highest held; above head: there is a hole
        forked INTEGER NOT NULL,
        UNIQUE (daemon_id, epoch)
    ) STRICT;

    CREATE TABLE sources (             -- whom events came from; in events, 0 is this daemon
        id INTEGER PRIMARY KEY,
        daemon_id BLOB NOT NULL UNIQUE,
        last INTEGER NOT NULL          -- last sequence that came from there
    ) STRICT;

    CREATE TABLE events (
        sequence INTEGER PRIMARY KEY,
        event_id BLOB NOT NULL UNIQUE,
        origin INTEGER NOT NULL,
        origin_sequence INTEGER NOT NULL,
        source INTEGER NOT NULL,
        timestamp INTEGER NOT NULL,
        type TEXT NOT NULL,
        project TEXT,
        body BLOB NOT NULL             -- the event's own bytes
    ) STRICT;
    CREATE INDEX events_by_origin ON events (origin, origin_sequence);

    CREATE TABLE gaps (                -- places whose row was set aside
        sequence INTEGER PRIMARY KEY,
        event_id BLOB NOT NULL
    ) STRICT;

    CREATE TABLE checkpoints (
        peer BLOB PRIMARY KEY,
        sequence INTEGER NOT NULL,
        event_id BLOB,
        epoch BLOB,                    -- of the peer's log, when the place was taken
        last_sync INTEGER
    ) STRICT, WITHOUT ROWID;

    CREATE TABLE quarantine (
        id INTEGER PRIMARY KEY,
        peer BLOB NOT NULL,
        sequence INTEGER NOT NULL,
        event_id BLOB,
        reason TEXT NOT NULL,
        size INTEGER NOT NULL,         -- of the whole; bytes may be only its beginning
        bytes BLOB NOT NULL,
        at INTEGER NOT NULL
    ) STRICT;
    CREATE INDEX quarantine_by_size ON quarantine (size);";

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
