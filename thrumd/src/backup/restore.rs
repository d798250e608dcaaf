//! Puts a backup in the place of a state directory's files.

#[cfg(test)]
mod tests;

use std::fs::{self, File};
use std::io;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use rusqlite::Connection;
use thrum_api::local::RestorePlan;

use super::inspect::{BackupFile, Checked, uri};
use super::{BackupError, NO_BACKUP, RESTORING, failed, remove};
use crate::agents;
use crate::clock;
use crate::database_files::{SUFFIXES, with_suffix};
use crate::held_files::HeldFiles;
use crate::log::{self, Lock, LogHead, LogStore};
use crate::peer::{Identity, Registry};
use crate::report::Chain;

/// A backup that was checked and can be put in place.
pub struct Restore<'a> {
    state_dir: &'a Path,
    backup: Checked,
    plan: RestorePlan,
    /// None where the directory doesn't exist: the lock would create it.
    lock: Option<Lock>,
}

impl<'a> Restore<'a> {
    /// Checks a backup and compares it with what is there. Changes nothing.
    ///
    /// # Errors
    /// When the daemon runs, and when the backup can't be restored.
    pub fn prepare(
        state_dir: &'a Path,
        machine_id_file: &Path,
        backup: BackupFile,
    ) -> Result<Self, BackupError> {
        let lock = if state_dir.exists() { Some(Lock::take(state_dir)?) } else { None };
        let backup = backup.check(machine_id_file)?;
        let plan = compare(state_dir, &backup);
        Ok(Self { state_dir, backup, plan, lock })
    }

    /// What restoring it would do.
    pub fn plan(&self) -> &RestorePlan {
        &self.plan
    }

    /// Puts it in place. The present log is moved aside, never removed. The identity, its key and the peers stay if
    /// they are those of the backup's daemon: they can only be newer.
    ///
    /// # Errors
    /// When the daemon was started meanwhile, and when the disk fails.
    pub fn run(self) -> Result<RestorePlan, BackupError> {
        let Self { state_dir, backup, mut plan, lock } = self;
        let _lock = match lock {
            Some(lock) => lock,
            None => Lock::take(state_dir)?,
        };
        let staged = state_dir.join(RESTORING);
        let head = stage(&backup, &staged).inspect_err(|_| remove(&staged))?;
        // First: marks of events that are not there do nothing, should a later step fail.
        agents::restore_read_marks(state_dir, backup.backup.conn())?;
        plan.kept = files(state_dir, &backup)?;
        plan.kept.extend(replace_log(state_dir, &staged)?);
        log::note_closed(&state_dir.join(log::DATABASE), head, true);
        Ok(plan)
    }
}

/// What differs between the backup and what is there.
fn compare(state_dir: &Path, backup: &Checked) -> RestorePlan {
    let mut notes = Vec::new();
    let loses =
        missing(&state_dir.join(log::DATABASE), backup.backup.conn()).unwrap_or_else(|error| {
            notes.push(format!("the present log can't be read: {}", Chain(&error)));
            None
        });
    let same = is_same(state_dir, backup);
    if let Ok(Some(now)) = Identity::id_in(state_dir)
        && !same
    {
        let then = backup.identity.daemon_id;
        notes.push(format!("the daemon here is {now} now; it becomes {then}"));
    }
    if !same && backup.identity.foreign {
        notes.push(
            "the backup is from another machine: thrumd will serve this one and not sync, until \
             `thrum daemon reset-identity`"
                .to_owned(),
        );
    }
    RestorePlan {
        state_dir: state_dir.display().to_string(),
        daemon_id: backup.identity.daemon_id,
        made_at: backup.made_at,
        events: backup.events,
        loses,
        notes,
        kept: Vec::new(),
    }
}

fn is_same(state_dir: &Path, backup: &Checked) -> bool {
    let now = Identity::id_in(state_dir).ok().flatten();
    now.is_some_and(|now| now == backup.identity.daemon_id)
}

/// How many events of the present log the backup lacks. None if that can't be counted. An id is unique for its origin
/// only, so that another machine's event with the same id is another one.
fn missing(present: &Path, backup: &Connection) -> rusqlite::Result<Option<u64>> {
    if fs::metadata(present).map_or(0, |file| file.len()) == 0 {
        return Ok(Some(0));
    }
    // Without a WAL it is whole, and SQLite need not make one.
    let is_whole = !with_suffix(present, "-wal").exists();
    // Read-only as the backup is.
    backup.execute("ATTACH ?1 AS present", [uri(present, is_whole)])?;
    let count = backup.query_row(
        // Not by the id first: an origin may give one to all of its events.
        "SELECT count(*) FROM present.events AS here
         JOIN present.origins AS here_by ON here_by.id = here.origin
         WHERE NOT EXISTS
         (SELECT 1 FROM main.origins AS there_by
          CROSS JOIN main.events AS there INDEXED BY events_by_origin ON there.origin = there_by.id
          WHERE there_by.daemon_id = here_by.daemon_id AND there_by.epoch = here_by.epoch
          AND there.origin_sequence = here.origin_sequence AND there.event_id = here.event_id)",
        [],
        |row| row.get::<_, i64>(0),
    );
    backup.execute("DETACH present", [])?;
    count.map(|count| u64::try_from(count).ok())
}

/// Makes a log of a copy of the backup, and answers where it ends. It begins a new epoch: what was written after the
/// backup may be on peers, and no position of it may be given again.
fn stage(backup: &Checked, staged: &Path) -> Result<LogHead, BackupError> {
    remove(staged);
    let write = || {
        let mut to = File::options().write(true).create_new(true).mode(0o600).open(staged)?;
        backup.backup.copy_to(&mut to)?;
        to.sync_all()
    };
    write().map_err(failed("copy the backup to", staged))?;
    let sqlite = |source| BackupError::Sqlite { action: "prepare", path: staged.into(), source };
    let conn = Connection::open(staged).map_err(sqlite)?;
    conn.execute_batch(NO_BACKUP).map_err(sqlite)?;
    conn.close().map_err(|(_, error)| sqlite(error))?;
    let key = backup.identity.key();
    let mut store = LogStore::open_file(staged, key, &HeldFiles::new(staged))?;
    store.begin_epoch()?;
    let head = store.head();
    store.close()?;
    Ok(head)
}

/// Restores the identity, its key and the peers where those of the backup's daemon are not there. The identity first:
/// after a crash in between, the daemon is still the old one, or does not start because key and identity don't fit.
fn files(state_dir: &Path, backup: &Checked) -> Result<Vec<String>, BackupError> {
    let same = is_same(state_dir, backup);
    let has_key = Identity::has_key_of(state_dir, backup.identity.daemon_id);
    let mut kept = Vec::new();
    for (file, contents, stays) in [
        (Identity::file(state_dir), &backup.identity_file, same),
        (Identity::key_file(state_dir), &*backup.key_file, has_key),
        (Registry::file(state_dir), &backup.peers_file, same && Registry::is_readable(state_dir)),
    ] {
        if stays {
            continue;
        }
        if file.path().exists() {
            kept.push(file.move_aside("replaced")?.display().to_string());
        }
        file.write_bytes(contents)?;
    }
    Ok(kept)
}

/// Moves the present log aside and gives the staged one its name. A crash in between leaves no log, which the
/// next start says; the restore can then be repeated.
fn replace_log(state_dir: &Path, staged: &Path) -> Result<Vec<String>, BackupError> {
    let path = state_dir.join(log::DATABASE);
    let aside = with_suffix(&path, &format!(".replaced-{}", clock::now().as_millis()));
    // One file then: a crash between the renames below would part the log from its WAL.
    if path.exists()
        && let Ok(present) = Connection::open(&path)
    {
        drop(present.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(())));
    }
    let mut kept = Vec::new();
    for suffix in SUFFIXES {
        let (from, to) = (with_suffix(&path, suffix), with_suffix(&aside, suffix));
        match fs::rename(&from, &to) {
            Ok(()) if suffix != "-shm" => kept.push(to.display().to_string()),
            Ok(()) => {}
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(failed("move aside", &from)(error)),
        }
    }
    fs::rename(staged, &path).map_err(failed("put the log in place at", &path))?;
    let synced = File::open(state_dir).and_then(|directory| directory.sync_all());
    synced.map_err(failed("sync", state_dir))?;
    Ok(kept)
}
