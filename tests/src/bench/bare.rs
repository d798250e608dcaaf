//! The same rows in bare SQLite: the least that keeping them can cost.

use std::path::Path;

use rusqlite::types::Value;
use rusqlite::{Connection, OpenFlags, params_from_iter};

/// The `events` table of a daemon's database, as it is: its form and its rows.
pub(super) struct Rows {
    schema: Vec<String>,
    columns: usize,
    pub(super) rows: Vec<Vec<Value>>,
}

impl Rows {
    /// Reads them from the database of a daemon, which may be running.
    pub(super) fn of(state: &Path) -> Self {
        let path = state.join("log.db");
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let database = Connection::open_with_flags(&path, flags).expect("the daemon's database");
        let mut query = database
            .prepare("SELECT sql FROM sqlite_master WHERE tbl_name = 'events' AND sql IS NOT NULL ORDER BY type DESC")
            .unwrap();
        let schema: Vec<String> =
            query.query_map([], |row| row.get(0)).unwrap().map(Result::unwrap).collect();
        let mut query = database.prepare("SELECT * FROM events ORDER BY sequence").unwrap();
        let columns = query.column_count();
        let rows = query
            .query_map([], |row| (0..columns).map(|column| row.get(column)).collect())
            .unwrap()
            .map(Result::unwrap)
            .collect();
        Self { schema, columns, rows }
    }

    /// Bytes of the events' own JSON on average.
    pub(super) fn mean_bytes(&self) -> usize {
        let longest = |row: &Vec<Value>| {
            row.iter()
                .map(|value| match value {
                    Value::Blob(bytes) => bytes.len(),
                    Value::Text(text) => text.len(),
                    _ => 0,
                })
                .max()
                .unwrap_or(0)
        };
        self.rows.iter().map(longest).sum::<usize>() / self.rows.len().max(1)
    }
}

/// A database with that table and the pragmas of the log's writer.
pub(super) struct Bare {
    connection: Connection,
    insert: String,
    _folder: tempfile::TempDir,
}

impl Bare {
    /// A new one, on the disk on which the daemons have theirs.
    pub(super) fn new(like: &Rows) -> Self {
        let folder = tempfile::Builder::new().prefix("thrum-bare-").tempdir().unwrap();
        let connection = Connection::open(folder.path().join("log.db")).unwrap();
        // As in thrumd/src/log/schema.rs.
        connection
            .execute_batch(
                "PRAGMA journal_mode = WAL;
                 PRAGMA synchronous = FULL;
                 PRAGMA cache_size = -2048;
                 PRAGMA mmap_size = 0;
                 PRAGMA wal_autocheckpoint = 2000;
                 PRAGMA journal_size_limit = 16777216;
                 PRAGMA temp_store = MEMORY;",
            )
            .unwrap();
        for statement in &like.schema {
            connection.execute_batch(statement).unwrap();
        }
        let holes = vec!["?"; like.columns].join(", ");
        Self { connection, insert: format!("INSERT INTO events VALUES ({holes})"), _folder: folder }
    }

    /// Inserts these rows in one transaction.
    pub(super) fn commit(&mut self, rows: &[Vec<Value>]) {
        let transaction = self.connection.transaction().unwrap();
        for row in rows {
            transaction
                .prepare_cached(&self.insert)
                .unwrap()
                .execute(params_from_iter(row))
                .unwrap();
        }
        transaction.commit().unwrap();
    }
}
