//! Instruments of sync.

use prometheus_client::metrics::counter::Counter;

use super::counters::{Counters, label};
use super::histogram::Histogram;

label! {
    /// A request that this daemon sends to peers.
    SyncRequest {
        /// `sync.notify`
        Notify = "sync.notify",
        /// `sync.pull`
        Pull = "sync.pull",
    }
}

label! {
    /// Why a request to a peer failed.
    SyncErrorKind {
        /// The peer could not be reached.
        Unreachable = "unreachable",
        /// It refused our token.
        TokenRefused = "token_refused",
        /// It answered with an error or with something invalid.
        BadAnswer = "bad_answer",
        /// Our checkpoint is not of its log.
        OtherLog = "other_log",
        /// Our own log failed.
        Local = "local",
    }
}

/// Instruments of sync.
#[derive(Debug)]
pub struct SyncMetrics {
    /// Requests sent.
    pub requests: Counters<SyncRequest>,
    /// Of those, notifications that failed.
    pub notify_errors: Counters<SyncErrorKind>,
    /// Pulls that failed.
    pub pull_errors: Counters<SyncErrorKind>,
    /// From a notification until its answer.
    pub notify: Histogram,
    /// From the begin of a pull until everything is on disk.
    pub pull: Histogram,
    /// Events received over the wire.
    pub events_received: Counter,
    /// Of those, events that were in the log already.
    pub events_duplicate: Counter,
    /// Times that a peer showed that this log was rolled back.
    pub rollbacks: Counter,
}

impl Default for SyncMetrics {
    fn default() -> Self {
        Self {
            requests: Counters::default(),
            notify_errors: Counters::default(),
            pull_errors: Counters::default(),
            notify: Histogram::new(Histogram::NETWORK),
            pull: Histogram::new(Histogram::NETWORK),
            events_received: Counter::default(),
            events_duplicate: Counter::default(),
            rollbacks: Counter::default(),
        }
    }
}
