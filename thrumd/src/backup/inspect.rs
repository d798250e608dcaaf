//! Looks into a backup without changing it.

use std::fs::File;
use std::io::{self, Read as _, Seek as _};
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

use percent_encoding::{NON_ALPHANUMERIC, percent_encode};
use rusqlite::{Connection, OpenFlags, OptionalExtension as _};
use thrum_api::Timestamp;
use zeroize::Zeroizing;

use super::{APPLICATION_ID, BackupError};
use crate::log;
use crate::peer::{Identity, IdentityError};
use crate::storage::StorageFault;

/// Bytes of the header of a SQLite database.
const HEADER_BYTES: u64 = 100;

/// A backup that is open for reading. Root opens it before it becomes the user of the state directory, who may
/// not read it.
pub struct BackupFile {
    pub(super) path: PathBuf,
    file: File,
    conn: Connection,
}

/// A backup that was checked.
pub(super) struct Checked {
    pub(super) backup: BackupFile,
    pub(super) events: u64,
    pub(super) made_at: Timestamp,
    pub(super) identity: Identity,
    /// The contents of `identity.json`.
    pub(super) identity_file: Vec<u8>,
    /// The contents of `key.json`.
    pub(super) key_file: Zeroizing<Vec<u8>>,
    /// The contents of `peers.json`.
    pub(super) peers_file: Vec<u8>,
}

impl BackupFile {
    /// Opens a backup.
    ///
    /// # Errors
    /// When it can't be read or is something else.
    pub fn open(path: &Path) -> Result<Self, BackupError> {
        let path = path.to_owned();
        let read =
            |source| BackupError::File { action: "read the backup", path: path.clone(), source };
        let file = File::open(&path).map_err(read)?;
        if !has_our_header(&file).map_err(read)? {
            return Err(BackupError::NotABackup { path });
        }
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_URI;
        let opened = Connection::open_with_flags(uri(&path, true), flags);
        let conn = opened.map_err(|error| failed(&path, error))?;
        Ok(Self { path, file, conn })
    }

    /// The log with what a backup adds to it.
    pub(super) fn conn(&self) -> &Connection {
        &self.conn
    }

    /// Copies the whole file.
    ///
    /// # Errors
    /// When it can't be read, or the copy not be written.
    pub(super) fn copy_to(&self, to: &mut File) -> io::Result<()> {
        let mut from = &self.file;
        from.rewind()?;
        io::copy(&mut from, to).map(drop)
    }

    /// Checks all of it.
    ///
    /// # Errors
    /// When it is no backup, of a later version or from before daemons had keys, malformed, or its key is not that of
    /// its identity.
    pub(super) fn check(self, machine_id_file: &Path) -> Result<Checked, BackupError> {
        let Self { path, conn, .. } = &self;
        let failed = |source| failed(path, source);
        if is_without_key(conn).map_err(failed)? {
            return Err(BackupError::BeforeKeys { path: path.clone() });
        }
        let version = conn.pragma_query_value(None, "user_version", |row| row.get::<_, i64>(0));
        let (found, known) = (version.map_err(failed)?, log::SCHEMA_VERSION);
        if found > known {
            return Err(BackupError::Newer { path: path.clone(), found, known });
        }
        // The thorough check: a restore is rare.
        let events = log::check_indexes(conn).map_err(failed)?.events;
        let row: Option<(i64, [Vec<u8>; 3])> = conn
            .query_row("SELECT made_at, identity, key, peers FROM backup", [], |row| {
                Ok((row.get(0)?, [row.get(1)?, row.get(2)?, row.get(3)?]))
            })
            .optional()
            .map_err(failed)?;
        let Some((made_at, [identity_file, key_file, peers_file])) = row else {
            return Err(BackupError::NotABackup { path: path.clone() });
        };
        let key_file = Zeroizing::new(key_file);
        let parsed = Identity::parse(&identity_file, &key_file, machine_id_file);
        let identity = parsed.map_err(|error| match error {
            IdentityError::Key { fault, .. } => BackupError::Key { path: path.clone(), fault },
            error => BackupError::Identity(error),
        })?;
        let made_at = Timestamp::from_millis(made_at);
        Ok(Checked { backup: self, events, made_at, identity, identity_file, key_file, peers_file })
    }
}

/// Whether it has the table of a backup, without a place for a key.
fn is_without_key(conn: &Connection) -> rusqlite::Result<bool> {
    let count =
        "SELECT count(*), count(*) FILTER (WHERE name = 'key') FROM pragma_table_info('backup')";
    conn.query_row(count, [], |row| {
        let (columns, keys): (i64, i64) = (row.get(0)?, row.get(1)?);
        Ok(columns > 0 && keys == 0)
    })
}

fn failed(path: &Path, source: rusqlite::Error) -> BackupError {
    let path = path.to_owned();
    match StorageFault::of_code(&source) {
        StorageFault::Damaged => BackupError::Malformed { path, source },
        _ => BackupError::Sqlite { action: "read the backup", path, source },
    }
}

/// Whether it is a SQLite database with our application id. Read without SQLite, which looks at the whole file
/// first.
fn has_our_header(file: &File) -> io::Result<bool> {
    let mut header = Vec::new();
    file.take(HEADER_BYTES).read_to_end(&mut header)?;
    let id = header.get(68..72);
    Ok(header.starts_with(b"SQLite format 3\0") && id == Some(&APPLICATION_ID.to_be_bytes()))
}

/// The name of a file for SQLite. An immutable one is read without a lock and without files beside it: nobody
/// writes to it.
pub(super) fn uri(file: &Path, immutable: bool) -> String {
    let path = percent_encode(file.as_os_str().as_bytes(), NON_ALPHANUMERIC);
    format!("file:{path}{}", if immutable { "?immutable=1" } else { "" })
}
