//! Storage faults: why a file can't be used, in words that lead to the right command. The log, the views and
//! the state files classify their errors here, so that a locked database is not called a broken disk.

use std::error::Error;
use std::fmt;
use std::io;
use std::path::Path;

use rusqlite::ErrorCode;
use rustix::fs::{Access, access, statvfs};
use rustix::io::Errno;
use thrum_api::limits::{disk_reserve_bytes, disk_warning_bytes};

/// Less than this left is a full disk for SQLite, which extends its shared memory by 32 KiB.
const FULL_BELOW_BYTES: u64 = 64 * 1024;

/// The cause of a failed read or write of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StorageFault {
    /// No space, no inodes, or a quota.
    Full,
    /// The file system is mounted read-only.
    ReadOnly,
    /// The user of the daemon may not use the file.
    Denied,
    /// Another program holds a lock on the database.
    Locked,
    /// The process, or the machine, has no file descriptors left.
    OpenFiles,
    /// The file is not a database, or is damaged.
    Damaged,
    /// The disk failed.
    Disk,
    /// None of these.
    Other,
}

impl StorageFault {
    /// The fault that the system reported.
    pub fn of_io(error: &io::Error) -> Self {
        match error.raw_os_error().map(Errno::from_raw_os_error) {
            Some(Errno::NOSPC | Errno::DQUOT) => Self::Full,
            Some(Errno::ROFS) => Self::ReadOnly,
            Some(Errno::ACCESS | Errno::PERM) => Self::Denied,
            Some(Errno::MFILE | Errno::NFILE) => Self::OpenFiles,
            Some(Errno::IO) => Self::Disk,
            _ => Self::Other,
        }
    }

    /// The fault that SQLite's code alone tells.
    pub fn of_code(error: &rusqlite::Error) -> Self {
        match error.sqlite_error_code() {
            Some(ErrorCode::DiskFull) => Self::Full,
            Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => Self::Locked,
            Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => Self::Damaged,
            Some(ErrorCode::PermissionDenied | ErrorCode::ReadOnly) => Self::Denied,
            Some(ErrorCode::SystemIoFailure) => Self::Disk,
            _ => Self::Other,
        }
    }

    /// The fault behind an error of SQLite about this database. Of several faults SQLite says only that it
    /// could not open or write the file, so the file's directory is looked at.
    pub fn of_sqlite(error: &rusqlite::Error, path: &Path) -> Self {
        let unclear = matches!(
            error.sqlite_error_code(),
            Some(ErrorCode::ReadOnly | ErrorCode::CannotOpen | ErrorCode::SystemIoFailure)
        );
        unclear.then(|| Self::seen_at(path)).flatten().unwrap_or_else(|| Self::of_code(error))
    }

    /// The fault behind any error of the start: the first cause that the system reported.
    pub fn of_chain(error: &(dyn Error + 'static)) -> Option<Self> {
        let mut next = Some(error);
        while let Some(error) = next {
            if let Some(cause) = error.downcast_ref::<io::Error>() {
                return Some(Self::of_io(cause)).filter(|fault| *fault != Self::Other);
            }
            next = error.source();
        }
        None
    }

    /// What an attempt to use the file's directory shows now. The database itself is never opened here:
    /// closing it would release SQLite's locks on it.
    fn seen_at(path: &Path) -> Option<Self> {
        let directory = path.parent().unwrap_or(Path::new("."));
        if let Err(error) = std::fs::File::open(directory) {
            return Some(Self::of_io(&error));
        }
        let is_full = |stat: rustix::fs::StatVfs| {
            stat.f_bavail.saturating_mul(stat.f_frsize) < FULL_BELOW_BYTES
                || (stat.f_files > 0 && stat.f_favail == 0)
        };
        match access(path, Access::READ_OK | Access::WRITE_OK) {
            Err(Errno::ACCESS | Errno::PERM) => Some(Self::Denied),
            Err(Errno::ROFS) => Some(Self::ReadOnly),
            _ => statvfs(directory).is_ok_and(is_full).then_some(Self::Full),
        }
    }

    /// What is wrong with the file: completes "can't write events: ...".
    pub fn text(self, path: &Path) -> String {
        let path = path.display();
        match self {
            Self::Full => format!("the disk with {path} is full"),
            Self::ReadOnly => format!("the file system with {path} is read-only"),
            Self::Denied => format!("thrumd is not allowed to use {path}"),
            Self::Locked => format!("another program has locked {path}"),
            Self::OpenFiles => format!("too many files are open to open {path}"),
            Self::Damaged => format!("{path} is damaged or not a database"),
            Self::Disk => format!("the disk failed to read or write {path}"),
            Self::Other => format!("{path} can't be used"),
        }
    }

    /// What a person can do about it.
    pub fn next(self, path: &Path) -> String {
        let directory = path.parent().unwrap_or(path).display();
        let path = path.display();
        match self {
            Self::Full => format!(
                "free some space (how much there is: df -h {directory}); thrumd then continues by itself"
            ),
            Self::ReadOnly => "see why in the kernel's messages (dmesg) and remount it writable; thrumd \
                               then continues by itself"
                .to_owned(),
            Self::Denied => format!("see whose it is: ls -ld {directory} {path}"),
            Self::Locked => format!(
                "end the program that holds it (lsof {path} names it); thrumd then continues by itself"
            ),
            Self::OpenFiles => {
                "raise the limit (LimitNOFILE= of the unit, or ulimit -n), then run thrum daemon restart"
                    .to_owned()
            }
            Self::Damaged => format!(
                "restore a backup (thrum restore FILE); without one, stop thrumd, move {path} with its -wal and \
                 -shm away, and start it: the peers then send the events back"
            ),
            Self::Disk => "see the kernel's messages (dmesg), and make a backup: thrum backup FILE".to_owned(),
            Self::Other => "see why: thrum daemon logs -n 50".to_owned(),
        }
    }

    /// The id of the problem in `status` and of the check in `thrum doctor`.
    pub const fn check(self) -> &'static str {
        match self {
            Self::Full => "disk",
            _ => "log_write",
        }
    }
}

/// SQLite's message, without a source: the library's own error repeats the message as its source.
#[derive(Debug)]
pub struct SqliteError(pub rusqlite::Error);

impl fmt::Display for SqliteError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            rusqlite::Error::SqliteFailure(error, Some(message)) => {
                write!(f, "{message} (SQLite code {})", error.extended_code)
            }
            other => fmt::Display::fmt(other, f),
        }
    }
}

impl std::error::Error for SqliteError {}

impl From<rusqlite::Error> for SqliteError {
    fn from(error: rusqlite::Error) -> Self {
        Self(error)
    }
}

/// The space on the disk of a directory.
#[derive(Debug, Clone, Copy)]
pub struct DiskSpace {
    /// What this user may still use.
    pub free: u64,
    /// Of the whole disk.
    pub total: u64,
}

impl DiskSpace {
    /// That of this directory.
    ///
    /// # Errors
    /// When the system doesn't tell.
    pub fn of(directory: &Path) -> io::Result<Self> {
        let stat = statvfs(directory)?;
        let bytes = |blocks: u64| blocks.saturating_mul(stat.f_frsize);
        Ok(Self { free: bytes(stat.f_bavail), total: bytes(stat.f_blocks) })
    }

    /// Whether events of peers would use what is kept free.
    pub fn is_in_reserve(&self) -> bool {
        self.free < disk_reserve_bytes(self.total)
    }

    /// What a person should know of it: None while there is enough.
    pub fn warning(&self, directory: &Path) -> Option<String> {
        let (free, reserve) = (size(self.free), size(disk_reserve_bytes(self.total)));
        let left = format!("{free} left on the disk of {}", directory.display());
        if self.is_in_reserve() {
            Some(format!("{left}: events of peers are refused below {reserve}"))
        } else if self.free < disk_warning_bytes(self.total) {
            Some(format!("{left}: below {reserve}, events of peers will be refused"))
        } else {
            None
        }
    }
}

/// A number of bytes for a person.
pub fn size(bytes: u64) -> String {
    match bytes / 1024 {
        kib @ ..10_240 => format!("{kib} KiB"),
        kib => format!("{} MiB", kib / 1024),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sqlite(code: i32) -> rusqlite::Error {
        rusqlite::Error::SqliteFailure(rusqlite::ffi::Error::new(code), None)
    }

    #[test]
    fn each_fault_of_the_system_has_its_own_words_and_its_own_way_out() {
        use rusqlite::ffi;
        let errno = |errno: Errno| StorageFault::of_io(&errno.into());
        let path = Path::new("/state/log.db");
        let sql = |code| StorageFault::of_sqlite(&sqlite(code), path);
        let faults = [
            (errno(Errno::NOSPC), StorageFault::Full),
            (errno(Errno::DQUOT), StorageFault::Full),
            (errno(Errno::ROFS), StorageFault::ReadOnly),
            (errno(Errno::ACCESS), StorageFault::Denied),
            (errno(Errno::MFILE), StorageFault::OpenFiles),
            (errno(Errno::IO), StorageFault::Disk),
            (sql(ffi::SQLITE_FULL), StorageFault::Full),
            (sql(ffi::SQLITE_BUSY), StorageFault::Locked),
            (sql(ffi::SQLITE_LOCKED), StorageFault::Locked),
            (sql(ffi::SQLITE_CORRUPT), StorageFault::Damaged),
            (sql(ffi::SQLITE_NOTADB), StorageFault::Damaged),
            (sql(ffi::SQLITE_ERROR), StorageFault::Other),
        ];
        let mut said = std::collections::BTreeMap::new();
        for (found, wanted) in faults {
            assert_eq!(found, wanted);
            said.insert(found.text(path), found.next(path));
        }
        assert_eq!(said.len(), 8, "{said:?}");
    }

    #[test]
    fn a_share_of_the_disk_is_kept_free_and_told_before_it_is_reached() {
        const MIB: u64 = 1024 * 1024;
        let at = |free, total| {
            let space = DiskSpace { free: free * MIB, total: total * MIB };
            (space.is_in_reserve(), space.warning(Path::new("/s")))
        };
        assert_eq!(at(100_000, 1_000_000), (false, None));
        assert_eq!(at(11, 100), (false, None));
        let soon =
            "9216 KiB left on the disk of /s: below 5120 KiB, events of peers will be refused";
        assert_eq!(at(9, 100), (false, Some(soon.to_owned())));
        let now = "1000 MiB left on the disk of /s: events of peers are refused below 1024 MiB";
        assert_eq!(at(1000, 1_000_000), (true, Some(now.to_owned())));
    }

    #[test]
    fn a_file_that_can_not_be_opened_is_looked_at() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("log.db");
        let cannot_open = sqlite(rusqlite::ffi::SQLITE_CANTOPEN);
        assert_eq!(StorageFault::of_sqlite(&cannot_open, &path), StorageFault::Other);
        let io = sqlite(rusqlite::ffi::SQLITE_IOERR_WRITE);
        assert_eq!(StorageFault::of_sqlite(&io, &path), StorageFault::Disk);
    }
}
