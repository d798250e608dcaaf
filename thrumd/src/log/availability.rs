//! Whether the log can be written, for `status` and the watchdog.

use std::path::Path;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::sync::watch;

use super::transaction::WriteTransaction;
use super::types::WriteFailure;
use super::writer::Priority;
use super::{Log, LogError};
use crate::message_id;
use crate::report::Chain;
use crate::storage::DiskSpace;

/// The action of an empty transaction, which proves only that the writer answers and gets its lock.
const PULSE: &str = "begin a transaction";
/// The action of the smallest transaction that writes.
const TOUCH: &str = "write to the log";
/// How long `status` waits for the answer to whether the log can be written. SQLite waits 2 s for a lock.
const PROBE_LIMIT: Duration = Duration::from_secs(5);

impl Log {
    /// The state directory.
    pub fn directory(&self) -> &Path {
        self.inner.path.parent().unwrap_or(&self.inner.path)
    }

    /// The space on its disk, if the system tells.
    pub fn space(&self) -> Option<DiskSpace> {
        DiskSpace::of(self.directory()).ok()
    }

    /// Waits for an empty job of the writer thread: proof that it works (watchdog). A disk that fails does
    /// not end the thread.
    ///
    /// # Errors
    /// When the writer has ended.
    pub async fn pulse(&self) -> Result<(), LogError> {
        // It works, and must not be killed for that: the copy is the only one.
        if self.inner.copying.load(Ordering::Relaxed) > 0 {
            return Ok(());
        }
        match self.write(Priority::Local, PULSE, 0, |_: &mut WriteTransaction<'_>| Ok(())).await {
            Err(error @ (LogError::Died { .. } | LogError::Stopping)) => Err(error),
            Ok(()) | Err(_) => Ok(()),
        }
    }

    /// As [`Self::pulse`], for a caller that must not hang on a disk that does.
    pub(super) async fn pulse_in_time(&self) -> Option<Result<(), LogError>> {
        tokio::time::timeout(PROBE_LIMIT, self.pulse()).await.ok()
    }

    /// Why the log can't be written now; None if it can. After a failed write a small one is tried: an empty
    /// transaction would not notice a full disk.
    pub async fn write_failure(&self) -> Option<WriteFailure> {
        let probe = async {
            if self.inner.failure.last.lock().is_none() {
                return self.pulse().await;
            }
            let touch = |write: &mut WriteTransaction<'_>| {
                write.state.meta_mut();
                Ok(())
            };
            self.write(Priority::Local, TOUCH, 0, touch).await
        };
        // What failed is in `failure`. A disk that hangs must not make `status` hang.
        let _in_time = tokio::time::timeout(PROBE_LIMIT, probe).await;
        self.failure()
    }

    /// Why the last write failed; None if it didn't.
    pub(super) fn failure(&self) -> Option<WriteFailure> {
        self.inner.failure.last.lock().clone()
    }

    /// Counts how often it begins and ends that writes fail.
    pub fn failure_notices(&self) -> watch::Receiver<u64> {
        self.inner.failure.notices.subscribe()
    }

    fn notice(&self) {
        self.inner.failure.notices.send_modify(|count| *count = count.wrapping_add(1));
    }

    /// Remembers whether writes fail, for `status`.
    pub(super) fn note<T>(&self, action: &'static str, outcome: &Result<T, LogError>) {
        if let Err(error) = outcome
            && ![PULSE, TOUCH].contains(&action)
            && let Some(reason) = error.failure_reason()
        {
            self.inner.metrics.write_failures.inc(reason);
        }
        match outcome {
            Ok(_) if action != PULSE => {
                let failed = self.inner.failure.last.lock().take();
                if failed.is_some() {
                    self.notice();
                    tracing::info!(
                        journal.message_id = message_id::WRITES_WORK,
                        "events can be written to {} again",
                        self.inner.path.display()
                    );
                }
            }
            Ok(_) => {}
            Err(error) => {
                let Some(fault) = error.fault() else { return };
                let (message, next) = (error.to_string(), error.next());
                let mut failure = self.inner.failure.last.lock();
                let before = failure.take();
                let begins = before.is_none();
                let since = before.map_or_else(crate::clock::now, |before| before.since);
                *failure = Some(WriteFailure { since, message, fault, next });
                drop(failure);
                if begins {
                    self.notice();
                    tracing::error!(
                        journal.message_id = message_id::WRITES_FAIL,
                        "events can't be written: {}",
                        Chain(error)
                    );
                }
            }
        }
    }
}
