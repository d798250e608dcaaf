//! The WAL as the log's writer left it: how long it is, and whether another program wrote to it.

use std::cell::Cell;
use std::path::{Path, PathBuf};

use rusqlite::Connection;

use super::closed;
use super::column::uint;
use crate::held_files::{HeldFiles, size_at};

thread_local! {
    /// Pages of the WAL after the last commit of this thread. That of the writer commits to one file.
    static PAGES: Cell<u64> = const { Cell::new(0) };
}

/// Has SQLite tell the length after each commit of this connection, instead of moving the WAL by itself. Asking for it
/// took a twentieth of the writer's time, because SQLite compiles that statement each time.
pub(super) fn follow(conn: &Connection) {
    conn.wal_hook(Some(|_, pages| {
        PAGES.set(u64::try_from(pages).unwrap_or(0));
        Ok(())
    }));
}

/// The WAL of the writer's database. Only the writer writes there.
pub(super) struct Wal {
    path: PathBuf,
    /// Its size after the last write.
    bytes: Option<u64>,
    /// How many pages of it are in the database, too.
    moved: u64,
}

impl Wal {
    pub(super) fn of(database: &Path) -> Self {
        let path = closed::wal(database);
        Self { bytes: size_at(&path), path, moved: 0 }
    }

    /// The writer wrote there.
    pub(super) fn written(&mut self) {
        self.bytes = size_at(&self.path);
    }

    /// Finds out whether an older copy was written over it: that lacks commits that SQLite takes for written. SQLite
    /// itself makes it shorter only in a commit.
    pub(super) fn look(&self, files: &HeldFiles) {
        if size_at(&self.path) < self.bytes {
            files.set_overwritten(&self.path);
        }
    }

    /// Whether what is at its path is as the writer left it.
    pub(super) fn is_ours(&self, files: &HeldFiles) -> bool {
        files.check_file(&self.path).is_ok() && size_at(&self.path) == self.bytes
    }

    /// How many pages of it are not in the database.
    pub(super) fn pages(&mut self) -> u64 {
        let all = PAGES.get();
        if all < self.moved {
            // SQLite began it again.
            self.moved = 0;
        }
        all - self.moved
    }

    /// Moves into the database what no reader holds back.
    pub(super) fn shorten(&mut self, conn: &Connection) -> rusqlite::Result<()> {
        let moved = conn.query_row("PRAGMA wal_checkpoint(PASSIVE)", [], |row| row.get(2))?;
        self.moved = uint(moved);
        Ok(())
    }
}
