//! Instruments of the log.

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

/// Instruments of the log.
#[derive(Debug)]
pub struct LogMetrics {
    /// From the request to write own events until they are on disk.
    pub append: Histogram,
    /// One transaction that adds events.
    pub commit: Histogram,
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
            event_age: Histogram::new(Histogram::AGE),
            write_failures: Counters::default(),
            quarantined: Counters::default(),
        }
    }
}
