//! Requests to the log and its answers.

use std::sync::Arc;

use parking_lot::Mutex;
use serde::{Deserialize, Serialize};
use thrum_api::peer::Run;
use thrum_api::{DaemonId, Epoch, Head, LogPosition, Sequence, Timestamp};
use tokio::sync::watch;

use super::incoming::IncomingPage;
use crate::storage::StorageFault;

/// The end of the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogHead {
    /// Its epoch.
    pub epoch: Epoch,
    /// The position of its last event (START if empty).
    pub position: LogPosition,
}

impl LogHead {
    /// Whether a log that ends here has everything of one that ended there, if they are one log.
    pub(super) fn continues(self, other: Self) -> bool {
        self.epoch == other.epoch && self.position.sequence >= other.position.sequence
    }
}

/// Events of one peer, to be stored in one transaction with its checkpoint.
pub struct Batch {
    /// The epoch of the peer's log, from its page; None keeps the known one.
    pub epoch: Option<Epoch>,
    /// The peer.
    pub peer: DaemonId,
    /// Its events.
    pub page: IncomingPage,
    /// The checkpoint before the peer was asked, or before its notification was judged. If it was
    /// reset since, this batch doesn't move it: it was requested with heads that are outdated now.
    pub from: Checkpoint,
    /// The new checkpoint; None keeps the old one.
    pub checkpoint: Option<LogPosition>,
    /// The peer held our log up to here when its log ended at the new checkpoint; None if it did not say.
    pub held: Option<Sequence>,
    /// With this batch the peer's whole log was read, and nothing of it was withheld before.
    pub is_whole: bool,
}

impl Batch {
    /// The bytes of its events.
    pub(crate) fn bytes(&self) -> usize {
        self.page.bytes()
    }
}

/// The result of a batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Applied {
    /// New here.
    pub applied: usize,
    /// Held already.
    pub skipped: usize,
    /// Not taken: their origins did not sign them.
    pub refused: usize,
    /// Not taken yet: events of more new origins than the peer may introduce. They are read again later.
    pub withheld: usize,
    /// The batch showed that our log was rolled back; a new epoch began.
    pub new_epoch: bool,
}

/// A puller's request for a page.
pub struct PageRequest {
    /// The puller.
    pub peer: DaemonId,
    /// Events after this position.
    pub after: LogPosition,
    /// At most this many.
    pub limit: usize,
    /// What the puller holds.
    pub have: Vec<Head>,
}

/// A page of the log for a peer.
#[derive(Debug)]
pub struct Page {
    pub runs: Vec<Run>,
    /// The position to continue from.
    pub next: LogPosition,
    /// There is more.
    pub more_available: bool,
    /// The end of the log when the page was read.
    pub head: LogPosition,
    /// Everything up to here was dropped by retention.
    pub floor: Sequence,
    /// With the last page: up to where we hold the puller's log, if all of that was taken.
    pub held: Option<Sequence>,
    /// Some of the events were not written here.
    pub relayed: bool,
}

/// Answer to a page request.
#[derive(Debug)]
pub enum PageAnswer {
    /// The page.
    Page(Page),
    /// This log doesn't hold that event at that position, or ends before it.
    OtherLog(LogHead),
}

/// A checkpoint: the position in a peer's log up to which we hold its events.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Checkpoint {
    /// The epoch of the peer's log at that time, if known.
    pub epoch: Option<Epoch>,
    /// The position.
    pub position: LogPosition,
    /// When something last came from that peer.
    pub last_sync: Option<Timestamp>,
    /// Events before the position were not taken, because the peer introduced too many origins. In a batch: events
    /// before those of the batch.
    pub is_withheld: bool,
    /// The peer held our log up to here at that position, so that it can't have more of that to send.
    pub held: Sequence,
    /// How many damaged rows had been found when the checkpoint was read. Each further one resets all
    /// checkpoints.
    pub(super) damaged_rows: u64,
}

/// What `status` shows of a checkpoint.
#[derive(Debug, Clone, Copy, Default)]
pub struct LastSync {
    /// The position in the peer's log.
    pub checkpoint: Sequence,
    /// When something last came from that peer.
    pub at: Option<Timestamp>,
    /// The peer held our log up to here then.
    pub held: Sequence,
}

/// Which news of our log a peer may lack.
#[derive(Debug, Clone, Copy)]
pub struct NewsRequest {
    /// The peer.
    pub peer: DaemonId,
    /// What came up to here is not urgent.
    pub examined: LogPosition,
    /// The peer was sent our log up to here.
    pub sent: LogPosition,
    /// Events that were not written here are wanted, too.
    pub relayed: bool,
}

/// Whether news that is this urgent waits, so that it is not read yet.
pub type Waits = Arc<dyn Fn(Urgency) -> bool + Send + Sync>;

/// How urgent news is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Urgency {
    /// Some of it was written here.
    pub own: bool,
    /// Some of it came from elsewhere than the peer.
    pub concerns_peer: bool,
}

/// The news of our log for a `sync.notify`, read in one transaction.
#[derive(Debug)]
pub struct News {
    /// The end of the log.
    pub head: LogPosition,
    /// How urgent it is.
    pub urgency: Urgency,
    /// None if it waits.
    pub content: Option<NewsContent>,
}

/// What a notification says of the news.
#[derive(Debug)]
pub struct NewsContent {
    /// Where the news begins: at `sent`, or at the start if that is not of our log.
    pub after: LogPosition,
    /// Heads of the origins with events after that, if they describe all of these (no fork, no gap, not too many).
    pub heads: Option<Vec<Head>>,
    /// Our own events after that, if they are few and small enough and none of them reappeared after damage. Own
    /// events of an earlier epoch are left to the heads. If relayed ones are wanted: all events after that which did
    /// not come from the peer.
    pub window: Option<Vec<Run>>,
    /// Up to where we hold the peer's log, if all of that was taken.
    pub held: Option<Sequence>,
}

/// Figures for `status`.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct LogStats {
    /// Events held.
    pub events: u64,
    /// Bytes of the database files.
    pub size_bytes: u64,
    /// Entries in quarantine: at most 1000 of what peers sent, and every damaged row.
    pub quarantined: u64,
    /// Peers with events of too many new origins, which are not taken yet, and since when.
    pub withheld: Vec<(DaemonId, Timestamp)>,
    /// Peers that bring events which no signature proves, and since when.
    pub refused: Vec<(DaemonId, Timestamp)>,
    /// When another machine last wrote with the key of this daemon.
    pub cloned_at: Option<Timestamp>,
}

/// Why writes to the log fail.
#[derive(Debug, Clone)]
pub(crate) struct WriteFailure {
    /// When the first of them failed.
    pub since: Timestamp,
    /// The error of the last one.
    pub message: String,
    /// What is wrong.
    pub fault: StorageFault,
    /// What a person can do.
    pub next: Option<String>,
}

/// Why writes fail, until one succeeds.
#[derive(Default)]
pub(super) struct Failures {
    pub(super) last: Mutex<Option<WriteFailure>>,
    /// Counts how often that begins and ends.
    pub(super) notices: watch::Sender<u64>,
}
