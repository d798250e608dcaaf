//! One thrum at a time changes what is set up.

use std::fs::{File, OpenOptions, TryLockError};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;
use std::time::{Duration, Instant};

use crate::error::Error;

/// How long another thrum may take. It asks nothing while it has the lock.
const LIMIT: Duration = Duration::from_secs(10);
const PAUSE: Duration = Duration::from_millis(20);

/// The right to change the record and the files, until it is dropped.
#[derive(Debug)]
pub struct Lock {
    file: File,
}

impl Lock {
    /// Takes the lock that is beside the record. The file stays: if it were removed, two could have a lock each.
    ///
    /// # Errors
    /// When another thrum has it for long, and when the file can't be made.
    pub async fn take(path: &Path) -> Result<Self, Error> {
        Self::within(path, LIMIT).await
    }

    async fn within(path: &Path, limit: Duration) -> Result<Self, Error> {
        let cant = |error| Error::io(format!("can't lock {}", path.display()), error);
        if let Some(folder) = path.parent() {
            std::fs::create_dir_all(folder).map_err(cant)?;
        }
        let mut options = OpenOptions::new();
        let file = options.create(true).write(true).truncate(false).mode(0o600).open(path);
        let file = file.map_err(cant)?;
        let began = Instant::now();
        loop {
            match file.try_lock() {
                Ok(()) => return Ok(Self { file }),
                Err(TryLockError::Error(error)) => return Err(cant(error)),
                Err(TryLockError::WouldBlock) if began.elapsed() >= limit => {
                    return Err(Error::failed(
                        "another thrum init is at work; nothing was changed",
                        "try again when it has ended",
                    ));
                }
                Err(TryLockError::WouldBlock) => tokio::time::sleep(PAUSE).await,
            }
        }
    }
}

impl Drop for Lock {
    /// A process that another thread has just begun has the same open file until it runs its own program: closing ours
    /// alone would release nothing.
    fn drop(&mut self) {
        let _is_over = self.file.unlock();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn one_thrum_has_the_lock_and_the_next_one_gets_it_after() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("thrum/setup.lock");
        let first = Lock::take(&path).await.unwrap();
        let error = Lock::within(&path, Duration::ZERO).await.unwrap_err();
        assert!(error.to_string().contains("another thrum init"), "{error}");
        drop(first);
        Lock::within(&path, Duration::ZERO).await.unwrap();
    }
}
