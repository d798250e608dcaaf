//! The lock of a state directory: one process at a time.

use std::fs::{DirBuilder, File, OpenOptions, TryLockError};
use std::io::{Read, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::Path;

use rustix::fs::OFlags;

use super::error::LogError;
use crate::held_files::HeldFiles;

const LOCK_FILE: &str = "thrumd.lock";

/// The lock of a state directory. The operating system releases it when the process ends, however it
/// ends; the file stays, because removing it would race with a starting process.
#[derive(Debug)]
pub struct Lock {
    file: File,
    files: HeldFiles,
}

impl Lock {
    /// Locks the directory; creates it (0700) if it doesn't exist.
    ///
    /// # Errors
    /// When another process has it (the error names that one), and when the file can't be created.
    pub fn take(directory: &Path) -> Result<Self, LogError> {
        DirBuilder::new().recursive(true).mode(0o700).create(directory).map_err(|source| {
            LogError::File { action: "create the state directory", path: directory.into(), source }
        })?;
        let path = directory.join(LOCK_FILE);
        let failed = |action| {
            let path = path.clone();
            move |source| LogError::File { action, path, source }
        };
        let mut file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            // What a link leads to would be overwritten with our pid.
            .custom_flags(OFlags::NOFOLLOW.bits().cast_signed())
            .open(&path)
            .map_err(failed("open the lock file"))?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                let mut text = String::new();
                // Only for the error's text, which is useful without a pid, too.
                let holder =
                    file.read_to_string(&mut text).ok().and_then(|_| text.trim().parse().ok());
                return Err(LogError::InUse { directory: directory.into(), holder });
            }
            Err(TryLockError::Error(source)) => return Err(failed("lock")(source)),
        }
        // The lock holds without the pid, for example on a full disk: the pid is only for messages.
        if let Err(error) = write_pid(&mut file) {
            tracing::warn!(path = %path.display(), %error, "can't write our pid to the lock file");
        }
        let files = HeldFiles::new(directory);
        files.hold_open(path.clone(), &file).map_err(failed("look at"))?;
        Ok(Self { file, files })
    }

    /// The files of the directory that this daemon holds, the lock among them.
    pub(crate) fn files(&self) -> HeldFiles {
        self.files.clone()
    }
}

impl Drop for Lock {
    fn drop(&mut self) {
        // A process that was just started has the open file, too, until it executes its own program: closing ours would
        // leave it locked so long. If it fails, closing has to do.
        drop(self.file.unlock());
    }
}

fn write_pid(file: &mut File) -> std::io::Result<()> {
    file.set_len(0)?;
    file.write_all(format!("{}\n", std::process::id()).as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_released_lock_is_free_while_a_process_that_was_just_started_has_its_file() {
        let directory = tempfile::tempdir().unwrap();
        let lock = Lock::take(directory.path()).unwrap();
        let theirs = lock.file.try_clone().unwrap();
        drop(lock);
        Lock::take(directory.path()).unwrap();
        drop(theirs);
    }
}
