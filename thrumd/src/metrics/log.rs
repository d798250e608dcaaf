//! Instruments of the log.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use super::counters::{Counters, label};
use super::histogram::Histogram;

label! {
    /// Why a write to the log failed.
    WriteFailureReason {
        /// No space on the disk.
        Full = "full",
        /// Little space on the disk, which events of peers must not take.
        Reserve = "reserve",
        /// The file system is read-only.
        ReadOnly = "read_only",
        /// The daemon may not use the file.
        Denied = "denied",
        /// Another program has locked the database.
        Locked = "locked",
        /// No file descriptors are left.
        OpenFiles = "open_files",
        /// The database is damaged.
        Damaged = "damaged",
        /// The disk failed.
        Disk = "disk",
        /// A file of the state directory is not the one that the daemon holds.
        FilesChanged = "files_changed",
        /// None of these.
        Other = "other",
    }
}

label! {
    /// Why an event was moved to quarantine.
    QuarantineReason {
        /// A row of the own log was damaged.
        Damaged = "damaged",
        /// No signature of its origin proves it.
        NotProved = "not_proved",
        /// It is no event.
        Invalid = "invalid",
    }
}

/// Since when a thread has been at one piece of work. Neither side takes a lock: the thread may hang for ever.
#[derive(Debug)]
pub struct Busy {
    base: Instant,
    /// Milliseconds after `base`, plus one; 0 while the thread has nothing to do.
    since: AtomicU64,
}

impl Default for Busy {
    fn default() -> Self {
        Self { base: Instant::now(), since: AtomicU64::new(0) }
    }
}

impl Busy {
    /// The thread begins with a piece.
    pub fn begin(&self) {
        let after = u64::try_from(self.base.elapsed().as_millis()).unwrap_or(u64::MAX - 1);
        self.since.store(after + 1, Ordering::Relaxed);
    }

    /// The piece is done.
    pub fn end(&self) {
        self.since.store(0, Ordering::Relaxed);
    }

    /// For how long the thread has been at its piece; None if it has none.
    pub fn age(&self) -> Option<Duration> {
        let after = self.since.load(Ordering::Relaxed).checked_sub(1)?;
        Some(self.base.elapsed().saturating_sub(Duration::from_millis(after)))
    }
}

/// Instruments of the log.
#[derive(Debug)]
pub struct LogMetrics {
    /// From the request to write own events until they are on disk.
    pub append: Histogram,
    /// One transaction that adds events.
    pub commit: Histogram,
    /// The writer, while it commits.
    pub writer: Busy,
    /// Age of each event of another machine at its commit here.
    pub event_age: Histogram,
    /// Writes that failed.
    pub write_failures: Counters<WriteFailureReason>,
    /// Events that were moved to quarantine.
    pub quarantined: Counters<QuarantineReason>,
}

impl Default for LogMetrics {
    fn default() -> Self {
        Self {
            append: Histogram::new(Histogram::DISK),
            commit: Histogram::new(Histogram::DISK),
            writer: Busy::default(),
            event_age: Histogram::new(Histogram::AGE),
            write_failures: Counters::default(),
            quarantined: Counters::default(),
        }
    }
}
