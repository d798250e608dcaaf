//! The file `search.db`: opening it, and making it anew when it is damaged, removed, or of another version or log.

use std::fs::OpenOptions;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::PathBuf;
use std::time::Duration;

use rusqlite::{Connection, OpenFlags};
use tracing::{info, warn};

use super::super::store::Cursor;
use super::error::{SearchError, index};
use crate::database_files;
use crate::held_files::HeldFiles;
use crate::statefile::remove_if_present;

/// Raised with every change of the tables. A file of another version is made anew.
const SCHEMA_VERSION: i64 = 1;
/// The texts are not stored again: `words` has only which words are at which position of the log. A message that was
/// deleted has no row in `messages` any more; that its words are still in the index shows nowhere. Without the index of
/// prefixes, which makes the file half as large again, `lo*` would take half a second among 200,000 messages.
const SCHEMA: &str = r#"
CREATE TABLE cursor (
    id INTEGER PRIMARY KEY CHECK (id = 1),
    epoch BLOB NOT NULL,
    sequence INTEGER NOT NULL,
    hash INTEGER                 -- of the log up to there
) STRICT;
CREATE VIRTUAL TABLE words USING fts5(
    text, facets,
    content='', columnsize=0, prefix='2', tokenize="unicode61 remove_diacritics 2"
);
CREATE TABLE facets (
    id INTEGER PRIMARY KEY,
    kind INTEGER NOT NULL,
    value BLOB NOT NULL,
    UNIQUE (kind, value)
) STRICT;
CREATE TABLE messages (
    sequence INTEGER PRIMARY KEY,
    project INTEGER NOT NULL,
    sender INTEGER NOT NULL,
    origin INTEGER NOT NULL,
    timestamp INTEGER NOT NULL
) STRICT;
-- Messages that their sender has deleted, here or not: one may come after it was deleted.
CREATE TABLE deleted (
    event_id BLOB NOT NULL,
    origin INTEGER NOT NULL,
    project INTEGER NOT NULL,
    sender INTEGER NOT NULL,
    PRIMARY KEY (event_id, origin, project, sender)
) STRICT, WITHOUT ROWID;
"#;

/// How long to wait for the lock of a tool that reads the file.
const BUSY_TIMEOUT: Duration = Duration::from_secs(5);

/// The index. Its file is opened when it is needed.
pub(super) struct Index {
    path: PathBuf,
    open: Option<Open>,
}

struct Open {
    connection: Connection,
    /// The files of the connection.
    files: HeldFiles,
    /// How far the log is indexed; None until it is known to be of this log.
    cursor: Option<Cursor>,
}

/// How far the log is indexed.
#[derive(Debug, Clone, Copy)]
pub(super) enum Indexed {
    /// Up to here.
    UpTo(Cursor),
    /// The file was just opened: up to here, if that is of this log. None if it is new.
    Unchecked(Option<Cursor>),
}

impl Index {
    /// The index in this file, which is not touched yet.
    pub(super) const fn new(path: PathBuf) -> Self {
        Self { path, open: None }
    }

    /// How far the log is indexed. A file that was removed or replaced is made anew.
    pub(super) fn indexed(&mut self) -> Result<Indexed, SearchError> {
        if self.open.as_ref().is_some_and(|open| open.files.differ()) {
            info!("search.db was removed or replaced: it is made anew from the log");
            self.discard()?;
        }
        let open = match &self.open {
            Some(open) => open,
            None => &*self.open.insert(open_or_new(&self.path)?),
        };
        match open.cursor {
            Some(cursor) => Ok(Indexed::UpTo(cursor)),
            None => {
                let stored = Cursor::read(&open.connection)
                    .map_err(index("read the position in the log"))?;
                Ok(Indexed::Unchecked(stored))
            }
        }
    }

    /// From here on the index is of the log with this cursor.
    pub(super) fn continue_at(&mut self, cursor: Cursor) -> Result<(), SearchError> {
        let open = self.opened()?;
        cursor.put(&open.connection).map_err(index("store the position in the log"))?;
        open.cursor = Some(cursor);
        Ok(())
    }

    /// Removes the file, whatever is in it.
    pub(super) fn discard(&mut self) -> Result<(), SearchError> {
        self.open = None;
        for path in database_files::all(&self.path) {
            remove_if_present(&path).map_err(|source| SearchError::File { path, source })?;
        }
        Ok(())
    }

    /// Changes the tables in one transaction, and moves the cursor from `after` to what `change` answers.
    pub(super) fn change<T>(
        &mut self,
        doing: &'static str,
        after: Cursor,
        change: impl FnOnce(&Connection) -> Result<(Cursor, T), SearchError>,
    ) -> Result<T, SearchError> {
        let open = self.opened()?;
        // Until it is committed, how far it is stands in the file alone.
        open.cursor = None;
        let transaction = open.connection.transaction().map_err(index(doing))?;
        // A file that was made anew meanwhile would lack all that is before.
        if Cursor::read(&transaction).map_err(index(doing))? != Some(after) {
            return Err(SearchError::MadeAnew);
        }
        let (cursor, done) = change(&transaction)?;
        cursor.put(&transaction).map_err(index(doing))?;
        transaction.commit().map_err(index(doing))?;
        open.cursor = Some(cursor);
        Ok(done)
    }

    /// The connection, for queries.
    ///
    /// # Errors
    /// When it is unknown how far the index is: a file that was made anew meanwhile would be taken for one without hits.
    pub(super) fn connection(&self) -> Result<&Connection, SearchError> {
        match &self.open {
            Some(open) if open.cursor.is_some() => Ok(&open.connection),
            _ => Err(SearchError::MadeAnew),
        }
    }

    fn opened(&mut self) -> Result<&mut Open, SearchError> {
        match &mut self.open {
            Some(open) => Ok(open),
            none => Ok(none.insert(open_or_new(&self.path)?)),
        }
    }
}

/// Opens the file, or a new one in its place if it is damaged or of another version.
fn open_or_new(path: &PathBuf) -> Result<Open, SearchError> {
    match open_once(path) {
        Ok(Some(open)) => return Ok(open),
        Ok(None) => info!("search.db is of another version: it is made anew from the log"),
        Err(error) if error.is_damage() => {
            warn!("search.db is damaged: it is made anew from the log")
        }
        Err(error) => return Err(error),
    }
    for file in database_files::all(path) {
        remove_if_present(&file).map_err(|source| SearchError::File { path: file, source })?;
    }
    match open_once(path)? {
        Some(open) => Ok(open),
        None => Err(index("open search.db")(rusqlite::Error::InvalidQuery)),
    }
}

/// None if it is of another version.
fn open_once(path: &PathBuf) -> Result<Option<Open>, SearchError> {
    let wrong = |source| SearchError::File { path: path.clone(), source };
    // Created here so that others can never read it; SQLite gives the WAL the same mode.
    let mut create = OpenOptions::new();
    create.write(true).create(true).truncate(false).mode(0o600).open(path).map_err(wrong)?;
    let doing = index("open search.db");
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let mut connection = Connection::open_with_flags(path, flags).map_err(&doing)?;
    if !prepare(&mut connection).map_err(&doing)? {
        return Ok(None);
    }
    let files = HeldFiles::new(path.parent().unwrap_or(path));
    files.hold_paths(database_files::all(path)).map_err(wrong)?;
    Ok(Some(Open { connection, files, cursor: None }))
}

/// False if it is of another version.
fn prepare(connection: &mut Connection) -> rusqlite::Result<bool> {
    connection.busy_timeout(BUSY_TIMEOUT)?;
    connection.pragma_update(None, "journal_mode", "WAL")?;
    // A power cut may lose the last commits, the cursor among them: they are derived from the log.
    connection.pragma_update(None, "synchronous", "NORMAL")?;
    connection.pragma_update(None, "cache_size", -2048)?;
    connection.pragma_update(None, "journal_size_limit", 4 * 1024 * 1024)?;
    connection.set_prepared_statement_cache_capacity(16);
    let version: i64 = connection.pragma_query_value(None, "user_version", |row| row.get(0))?;
    if version != 0 {
        return Ok(version == SCHEMA_VERSION);
    }
    if connection.prepare("SELECT 1 FROM sqlite_master")?.exists([])? {
        return Ok(false);
    }
    let transaction = connection.transaction()?;
    transaction.execute_batch(SCHEMA)?;
    transaction.pragma_update(None, "user_version", SCHEMA_VERSION)?;
    transaction.commit()?;
    // What SQLite creates beside the file when it is first read.
    connection.prepare("SELECT 1 FROM cursor")?.exists([]).map(|_| true)
}
