//! Which file a path names, and when it was last written.

use std::fs::{self, Metadata};
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

use serde::{Deserialize, Serialize};

/// Which file it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileId {
    device: u64,
    inode: u64,
}

impl FileId {
    /// That of the file at this path; None if there is none. As in [`SizedFile::at`], its times aren't asked for.
    pub(super) fn at(path: &Path) -> io::Result<Option<Self>> {
        Ok(SizedFile::at(path)?.map(|file| file.id))
    }
}

/// Which file it is, and how long.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SizedFile {
    pub id: FileId,
    pub bytes: u64,
}

impl SizedFile {
    /// The file at this path; None if there is none. Its times aren't asked for: once they were, Linux gives the next
    /// write a time of its own, which a sync then has to write, too. For the WAL that would be every commit.
    ///
    /// # Errors
    /// When the path can't be looked at.
    pub fn at(path: &Path) -> io::Result<Option<Self>> {
        #[cfg(target_os = "linux")]
        {
            use rustix::fs::{AtFlags, CWD, StatxFlags, makedev, statx};
            let wanted = StatxFlags::INO | StatxFlags::SIZE;
            if let Ok(file) = statx(CWD, path, AtFlags::SYMLINK_NOFOLLOW, wanted) {
                let device = makedev(file.stx_dev_major, file.stx_dev_minor);
                let id = FileId { device, inode: file.stx_ino };
                return Ok(Some(Self { id, bytes: file.stx_size }));
            }
        }
        Ok(Stamp::at(path)?.map(|Stamp { id, size, .. }| Self { id, bytes: size }))
    }
}

/// Which file it is, and when it was last written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stamp {
    #[serde(flatten)]
    pub(super) id: FileId,
    size: u64,
    written: (i64, i64),
}

impl Stamp {
    /// That of an open file.
    pub(super) fn of(file: &Metadata) -> Self {
        Self {
            id: FileId { device: file.dev(), inode: file.ino() },
            size: file.size(),
            written: (file.mtime(), file.mtime_nsec()),
        }
    }

    /// That of the file at this path; None if there is none.
    ///
    /// # Errors
    /// When the path can't be looked at.
    pub fn at(path: &Path) -> io::Result<Option<Self>> {
        match fs::symlink_metadata(path) {
            Ok(file) => Ok(Some(Self::of(&file))),
            Err(error)
                if matches!(
                    error.kind(),
                    io::ErrorKind::NotFound | io::ErrorKind::NotADirectory
                ) =>
            {
                Ok(None)
            }
            Err(error) => Err(error),
        }
    }
}
