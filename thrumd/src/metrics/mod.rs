//! Instruments of the daemon: counters and histograms that its parts own, and the text for Prometheus.
//!
//! Each part has its own instruments and counts without a lock and without allocating. Who writes `/metrics` reads
//! them from the parts, together with what is known at that moment. Their labels are fixed sets of words, so that
//! nobody who sends requests can make series.

mod counters;
mod histogram;
mod log;
mod peer_api;
mod process;
mod requests;
mod sync;
mod text;

pub use counters::Label;
pub use log::{LogMetrics, QuarantineReason, WriteFailureReason};
pub use peer_api::{PeerApiMetrics, Refusal};
pub use process::ProcessFigures;
pub use requests::{LocalMetrics, LocalSurface};
pub use sync::{SyncErrorKind, SyncMetrics, SyncRequest};
pub use text::{Format, Page, render};
