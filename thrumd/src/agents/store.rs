//! The tables of `views.db`, over one connection.

use std::path::PathBuf;

use rusqlite::{Connection, OptionalExtension, params};
use thrum_api::{DaemonId, Epoch, LogPosition};

use super::error::{AgentsError, views};
use super::marks::{self, ReadMark};
use super::schema;
use super::sessions::kept::{self, KeptSession};
use crate::database_files;
use crate::held_files::HeldFiles;
use crate::log::column;

/// The views as tables.
pub(super) struct Store {
    path: PathBuf,
    /// The daemon whose log it is.
    pub(super) daemon: DaemonId,
    pub(super) connection: Connection,
    /// The files of the connection.
    pub(super) files: HeldFiles,
    /// Read marks of a file that was removed or replaced, which are in no file yet.
    unsaved: Vec<ReadMark>,
    /// Likewise, live sessions.
    unsaved_sessions: Vec<KeptSession>,
    /// The damaged file was moved aside and there is no new one yet.
    moved_aside: bool,
}

/// Which log the views have digested, and how far.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Cursor {
    pub(super) epoch: Epoch,
    pub(super) position: LogPosition,
}

impl Cursor {
    /// That of a database with a table `cursor`; None if it is empty.
    pub(super) fn read(connection: &Connection) -> rusqlite::Result<Option<Self>> {
        connection
            .query_row("SELECT epoch, sequence, hash FROM cursor", [], |row| {
                Ok(Self {
                    epoch: column::epoch(row.get(0)?),
                    position: column::position(row.get(1)?, row.get(2)?),
                })
            })
            .optional()
    }

    /// Stores it in such a database.
    pub(super) fn put(self, connection: &Connection) -> rusqlite::Result<()> {
        connection
            .prepare_cached(
                "INSERT OR REPLACE INTO cursor (id, epoch, sequence, hash) VALUES (1, ?, ?, ?)",
            )?
            .execute(params![
                self.epoch.ulid().to_bytes(),
                column::int(self.position.sequence.0),
                self.position.hash.map(column::hash_int),
            ])?;
        Ok(())
    }
}

impl Store {
    pub(super) fn open(path: PathBuf, daemon: DaemonId) -> Result<Self, AgentsError> {
        let connection = schema::open(&path)?;
        let files = HeldFiles::new(path.parent().unwrap_or(&path));
        let store = Self {
            path,
            daemon,
            connection,
            files,
            unsaved: Vec::new(),
            unsaved_sessions: Vec::new(),
            moved_aside: false,
        };
        store.hold()?;
        Ok(store)
    }

    /// Remembers which files the connection has open.
    fn hold(&self) -> Result<(), AgentsError> {
        let wrong = |source| AgentsError::File { path: self.path.clone(), source };
        self.files.hold_paths(database_files::all(&self.path)).map_err(wrong)
    }

    /// A store for the reader: another connection, to the file that is at the path.
    pub(super) fn for_reader(&self) -> Result<Self, AgentsError> {
        Ok(Self {
            path: self.path.clone(),
            daemon: self.daemon,
            connection: schema::open_for_reading(&self.path)?,
            // Only the other one compares and replaces files.
            files: HeldFiles::new(self.path.parent().unwrap_or(&self.path)),
            unsaved: Vec::new(),
            unsaved_sessions: Vec::new(),
            moved_aside: false,
        })
    }

    /// Closes the connection of the reader while the other one has the file opened anew, and then opens it again.
    pub(super) fn reopen_for_reading(
        &mut self,
        replace: impl FnOnce() -> Result<(), AgentsError>,
    ) -> Result<(), AgentsError> {
        self.connection = Connection::open_in_memory().map_err(views("close the old file"))?;
        replace()?;
        self.connection = schema::open_for_reading(&self.path)?;
        Ok(())
    }

    /// How far the views are; None if they are empty.
    pub(super) fn cursor(&self) -> Result<Option<Cursor>, AgentsError> {
        Cursor::read(&self.connection).map_err(views("read the position in the log"))
    }

    /// Empties the derived tables. Read marks stay.
    pub(super) fn reset(&mut self) -> Result<(), AgentsError> {
        let doing = views("empty the tables");
        let transaction = self.connection.transaction().map_err(&doing)?;
        schema::reset(&transaction).map_err(&doing)?;
        transaction.commit().map_err(&doing)
    }

    /// Opens the file anew: one that was removed or replaced, or else one that is damaged. After a failure
    /// this has to be called again.
    pub(super) fn replace(&mut self) -> Result<(), AgentsError> {
        if self.files.differ() {
            self.open_anew()?;
        } else {
            self.replace_damaged()?;
        }
        let doing = views("keep what was read");
        let transaction = self.connection.transaction().map_err(&doing)?;
        for mark in &self.unsaved {
            mark.store(&transaction).map_err(&doing)?;
        }
        for session in &self.unsaved_sessions {
            kept::put(&transaction, session).map_err(&doing)?;
        }
        transaction.commit().map_err(&doing)?;
        self.unsaved.clear();
        self.unsaved_sessions.clear();
        // Last: until then the next call begins again.
        self.hold()
    }

    /// Opens the file that is at the path now. What was read in the old one waits in `unsaved`.
    fn open_anew(&mut self) -> Result<(), AgentsError> {
        tracing::warn!(
            "views.db was removed or replaced: it is opened anew, and what was read stays read"
        );
        // Later attempts have no file with marks, or the new one.
        self.unsaved.extend(self.read_marks().unwrap_or_default());
        self.unsaved_sessions.extend(self.kept_sessions().unwrap_or_default());
        // Into the file that is held: beside another file, its WAL would be taken for that one's.
        let checkpoint = "PRAGMA wal_checkpoint(TRUNCATE)";
        drop(self.connection.query_row(checkpoint, [], |_| Ok(())));
        self.connection = Connection::open_in_memory().map_err(views("close the old file"))?;
        self.connection = schema::open(&self.path)?;
        Ok(())
    }

    /// The stored sessions that processes keep.
    pub(super) fn kept_sessions(&self) -> Result<Vec<KeptSession>, AgentsError> {
        kept::all(&self.connection).map_err(views("read which sessions were live"))
    }

    fn read_marks(&self) -> rusqlite::Result<Vec<ReadMark>> {
        self.connection.prepare(marks::SELECT)?.query_map([], ReadMark::read)?.collect()
    }

    /// Replaces a damaged file by a new one. After a failure there is no file, and this has to be
    /// called again.
    fn replace_damaged(&mut self) -> Result<(), AgentsError> {
        let nothing = Connection::open_in_memory().map_err(views("close the damaged file"))?;
        // Closing a damaged database may fail; the file is abandoned anyway.
        drop(std::mem::replace(&mut self.connection, nothing));
        self.moved_aside = self.moved_aside || schema::move_aside(&self.path)?;
        self.connection = schema::create(&self.path)?;
        self.moved_aside = false;
        Ok(())
    }
}
