//! One process per state directory.

use std::fs::{DirBuilder, File, OpenOptions, TryLockError};
use std::io::{Read, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::Path;

use super::error::LogError;

const LOCK_FILE: &str = "thrumd.lock";

/// Holds the state directory for this process. The operating system lets go of it when the
/// process ends, however it ends; the file stays, because removing it would race with a starter.
#[derive(Debug)]
pub struct Lock {
    _file: File,
}

impl Lock {
    /// Takes the directory, making it (0700) if it is not there.
    ///
    /// # Errors
    /// When another process has it (the error names the holder), and when the file can't be made.
    pub fn take(directory: &Path) -> Result<Self, LogError> {
        DirBuilder::new().recursive(true).mode(0o700).create(directory).map_err(|source| {
            LogError::File { action: "make the state directory", path: directory.into(), source }
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
            .open(&path)
            .map_err(failed("open the lock file"))?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                let mut text = String::new();
                // Only for the error's text: without a pid it still says what to do.
                let holder =
                    file.read_to_string(&mut text).ok().and_then(|_| text.trim().parse().ok());
                return Err(LogError::InUse { directory: directory.into(), holder });
            }
            Err(TryLockError::Error(source)) => return Err(failed("lock")(source)),
        }
        // On a full disk the directory is still ours: the pid is a courtesy to the next starter.
        if let Err(error) = note_pid(&mut file) {
            tracing::warn!(path = %path.display(), %error, "can't note our pid in the lock file");
        }
        Ok(Self { _file: file })
    }
}

fn note_pid(file: &mut File) -> std::io::Result<()> {
    file.set_len(0)?;
    file.write_all(format!("{}\n", std::process::id()).as_bytes())
}
