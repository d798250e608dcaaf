//! The WAL as the log's writer left it: how long it is, and whether another program wrote to it.

use std::cell::Cell;
use std::path::{Path, PathBuf};

use rusqlite::Connection;

use super::closed;
use super::column::uint;
use crate::held_files::{HeldFiles, SizedFile};

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
    /// Its file, with the size after the last write.
    held: Option<SizedFile>,
    /// How many pages of it are in the database, too.
    moved: u64,
}

impl Wal {
    pub(super) fn of(database: &Path) -> Self {
        let path = closed::wal(database);
        Self { held: SizedFile::at(&path).ok().flatten(), path, moved: 0 }
    }

    /// The writer wrote there.
    pub(super) fn written(&mut self) {
        if let Some(now) = self.now() {
            self.held = Some(now);
        }
    }

    /// The writer gave up a write. SQLite may have put a part of it there, and made it longer.
    pub(super) fn given_up(&mut self) {
        if let Some(now) = self.now().filter(|now| Some(now.bytes) > self.bytes()) {
            self.held = Some(now);
        }
    }

    /// Finds out whether an older copy was written over it: that lacks commits that SQLite takes for written. SQLite
    /// itself makes it shorter only in a commit.
    pub(super) fn look(&self, files: &HeldFiles) {
        if self.now().is_some_and(|now| Some(now.bytes) < self.bytes()) {
            files.set_overwritten(&self.path);
        }
    }

    /// Whether what is at its path is as the writer left it.
    pub(super) fn is_ours(&self, files: &HeldFiles) -> bool {
        files.check_file(&self.path).is_ok() && self.now() == self.held
    }

    fn bytes(&self) -> Option<u64> {
        self.held.map(|held| held.bytes)
    }

    /// Its file now; None if another one is at its path, which may go away again.
    fn now(&self) -> Option<SizedFile> {
        let is_held = |now: &SizedFile| self.held.is_some_and(|held| held.id == now.id);
        SizedFile::at(&self.path).ok().flatten().filter(is_held)
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
