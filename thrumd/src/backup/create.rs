//! Makes a backup while the daemon runs.

use std::fs::File;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use rusqlite::{Connection, params};
use thrum_api::limits::disk_reserve_bytes;

use super::{APPLICATION_ID, BackupError, FOLDER, Folder, TABLE};
use crate::agents::{self, Agents};
use crate::log::{self, Log, LogError, LogHead};
use crate::peer::{Identity, Registry};
use crate::storage::{DiskSpace, StorageFault, size};
use crate::{clock, ids};

/// What a backup is made of. Everything comes from memory or open files: it can be made although the state
/// directory was removed.
pub struct Sources<'a> {
    pub state_dir: &'a Path,
    pub log: &'a Log,
    pub agents: &'a Agents,
    pub identity: &'a Identity,
    pub registry: &'a Registry,
}

/// A finished backup: a file without a name, which is gone when it is dropped.
#[derive(Debug)]
pub struct Backup {
    pub file: File,
    pub bytes: u64,
    pub events: u64,
}

/// Makes a backup and checks it. One at a time: they share a folder.
///
/// # Errors
/// When the disk has no space for a copy of the log and a reserve, when the log is malformed, or the disk fails.
pub async fn create(sources: Sources<'_>) -> Result<Backup, BackupError> {
    let Sources { state_dir, log, agents, identity, registry } = sources;
    let (identity, key) = (identity.contents()?, identity.key_contents()?);
    let peers = registry.contents()?;
    let folder = folder(state_dir)?;
    let path = folder.join("thrum.backup");
    // Of files that are gone the size isn't known, and the copy is more important than the space.
    if !log.files().differ() {
        check_space(&path, log.stats().await?.size_bytes)?;
    }
    let head = log.head();
    let copy = log.copy(empty(&path)?).await?;
    let add = move |path: &Path| complete(&copy, path, [&identity, &key, &peers]).map(|()| copy);
    let copy = in_background(&path, add).await?;
    // After the log was copied: a mark for an event that the copy lacks does nothing.
    let copy = agents.copy_read_marks(copy).await?;
    let head = log.files().differ().then_some(head);
    let made = in_background(&path, move |path| finish(copy, path, head)).await;
    match (made, log.files().overwritten()) {
        (Err(_), Some(changed)) => Err(LogError::Unreadable(changed).into()),
        (made, _) => made,
    }
}

/// In the state directory, whose disk is meant for the log, or elsewhere: that may be gone, read-only, or for
/// a hardened unit another directory than the one that is there now.
fn folder(state_dir: &Path) -> Result<Folder, BackupError> {
    let elsewhere = || std::env::temp_dir().join(format!("thrumd-backup-{}", ids::event()));
    Folder::new(state_dir.join(FOLDER)).or_else(|_| Folder::new(elsewhere())).map_err(|source| {
        BackupError::File { action: "create a folder in", path: state_dir.into(), source }
    })
}

/// Checks that this many bytes fit on the disk of this file, and that as many are free afterwards, up to the
/// reserve: events are written meanwhile.
fn check_space(path: &Path, bytes: u64) -> Result<(), BackupError> {
    // What the system doesn't tell shows at the copy.
    let Ok(space) = DiskSpace::of(path.parent().unwrap_or(path)) else { return Ok(()) };
    let wanted = bytes.saturating_add(bytes.min(disk_reserve_bytes(space.total)));
    if space.free < wanted {
        let path = path.to_owned();
        return Err(BackupError::NoSpace { path, wanted: size(wanted), free: size(space.free) });
    }
    Ok(())
}

/// An empty database, for its owner alone.
pub(super) fn empty(path: &Path) -> Result<Connection, BackupError> {
    File::options()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path)
        .map_err(|source| BackupError::File { action: "create", path: path.into(), source })?;
    let open = || {
        let conn = Connection::open(path)?;
        // It becomes whole or is removed.
        conn.execute_batch(
            "PRAGMA synchronous = OFF; PRAGMA cache_size = -512; PRAGMA temp_store = MEMORY;",
        )?;
        Ok(conn)
    };
    open().map_err(failed("create", path))
}

/// Adds what makes the copy of a log a backup: the contents of `identity.json`, `key.json` and `peers.json`.
fn complete(
    copy: &Connection,
    path: &Path,
    [identity, key, peers]: [&[u8]; 3],
) -> Result<(), BackupError> {
    let write = || {
        // One file, without a WAL beside it.
        copy.pragma_update(None, "journal_mode", "DELETE")?;
        copy.execute_batch(TABLE)?;
        copy.execute_batch(agents::BACKUP_TABLE)?;
        copy.execute(
            "INSERT INTO backup (one, made_at, identity, key, peers) VALUES (1, ?1, ?2, ?3, ?4)",
            params![clock::now().as_millis(), identity, key, peers],
        )?;
        copy.pragma_update(None, "application_id", APPLICATION_ID)
    };
    write().map_err(failed("write", path))
}

/// Checks the whole copy and closes it. That of a log whose files differ may have pages of another program, also if
/// it is sound: it has to hold all up to this end.
fn finish(copy: Connection, path: &Path, head: Option<LogHead>) -> Result<Backup, BackupError> {
    let checked = match head {
        Some(head) => log::holds_all(&copy, head),
        None => log::check(&copy),
    };
    let sound = checked.map_err(|source| match source {
        source if StorageFault::of_code(&source) == StorageFault::Damaged => {
            BackupError::LogMalformed(source)
        }
        source => failed("check", path)(source),
    })?;
    copy.close().map_err(|(_, error)| failed("close", path)(error))?;
    let read = |source| BackupError::File { action: "read", path: path.into(), source };
    let file = File::open(path).map_err(read)?;
    let bytes = file.metadata().map_err(read)?.len();
    Ok(Backup { file, bytes, events: sound.events })
}

fn failed(action: &'static str, path: &Path) -> impl Fn(rusqlite::Error) -> BackupError {
    let path = path.to_owned();
    move |source| BackupError::Sqlite { action, path: path.clone(), source }
}

/// Runs long work on a thread of its own.
async fn in_background<T: Send + 'static>(
    path: &Path,
    work: impl FnOnce(&Path) -> Result<T, BackupError> + Send + 'static,
) -> Result<T, BackupError> {
    let shared = PathBuf::from(path);
    tokio::task::spawn_blocking(move || work(&shared)).await.unwrap_or_else(|error| {
        let source = std::io::Error::other(error);
        Err(BackupError::File { action: "finish", path: path.into(), source })
    })
}
