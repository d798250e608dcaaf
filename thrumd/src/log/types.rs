//! What the log is asked and what it answers.

use serde_json::value::RawValue;
use thrum_api::{
    DaemonId, Epoch, EventHeader, Head, Origin, Place, Sequence, SequencedEvent, Timestamp,
};

/// How far the log goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LogHead {
    /// Its epoch.
    pub epoch: Epoch,
    /// Its last place (START if empty).
    pub place: Place,
}

/// What `open` found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Opened {
    /// The database was not there although this daemon had one: a new epoch began.
    pub database_was_lost: bool,
}

/// An event of a peer, read so that the writer doesn't spend its time on that.
pub struct Incoming {
    pub(super) sequence: Sequence,
    pub(super) bytes: Box<RawValue>,
    /// Or why it is no event.
    pub(super) header: Result<EventHeader, String>,
}

impl Incoming {
    /// Reads an event. `sequence` is its place in the peer's log (for reports). What turns out to be
    /// no event is set aside when it is applied.
    pub fn read(event: SequencedEvent) -> Self {
        let SequencedEvent { sequence, event: bytes } = event;
        let header = super::apply::check(bytes.get());
        Self { sequence, bytes, header }
    }
}

/// Events of one peer that are to be taken over in one transaction with its checkpoint.
pub struct Batch {
    /// The epoch of the peer's log, as its page said; None leaves the known one.
    pub epoch: Option<Epoch>,
    /// The peer.
    pub peer: DaemonId,
    /// Its events, in its order.
    pub events: Vec<Incoming>,
    /// The checkpoint as it was before the peer was asked, or before its news were judged. If it was
    /// reset since, what came meanwhile doesn't move it: that was asked for with heads which are
    /// not true any more.
    pub from: Checkpoint,
    /// Where its checkpoint is afterwards; None leaves it where it is.
    pub checkpoint: Option<Place>,
}

/// What became of a batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Applied {
    /// New here.
    pub applied: usize,
    /// Held already.
    pub skipped: usize,
    /// Set aside.
    pub quarantined: usize,
    /// The batch showed that we were rolled back; a new epoch began.
    pub new_epoch: bool,
}

/// What a puller asks for.
pub struct PageRequest {
    /// Events after this place.
    pub after: Place,
    /// At most this many.
    pub limit: usize,
    /// What the puller holds.
    pub have: Vec<Head>,
}

/// A page of the log for a peer.
#[derive(Debug)]
pub struct Page {
    /// The events.
    pub events: Vec<SequencedEvent>,
    /// The place to go on from.
    pub next: Place,
    /// There is more.
    pub more_available: bool,
    /// The log's last place when the page was read.
    pub head: Place,
    /// Everything up to here was dropped by retention.
    pub floor: Sequence,
    /// With the last page, if the puller may lack something: heads of the log, as in [`PageRequest`].
    pub heads: Option<Vec<Head>>,
}

/// Answer to a page request.
#[derive(Debug)]
pub enum PageAnswer {
    /// Here it is.
    Page(Page),
    /// This log does not hold the event at that place, or ends before it.
    OtherLog(LogHead),
}

/// A checkpoint as stored: how far we took a peer's log over.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Checkpoint {
    /// The epoch that the peer's log had then, if it said so.
    pub epoch: Option<Epoch>,
    /// Up to here.
    pub place: Place,
    /// When something last came from that peer.
    pub last_sync: Option<Timestamp>,
    /// How many rows of our log had been set aside when it was read. With each one more, all
    /// checkpoints are reset.
    pub(super) set_aside: u64,
}

/// What `sync.notify` says of our log, read in one transaction.
#[derive(Debug)]
pub struct News {
    /// The log's last place.
    pub head: Place,
    /// Heads, if they say all of the log up to `head` (no fork, no hole, not too many).
    pub heads: Option<Vec<Head>>,
    /// Our own events after the asked place, if they are few and small enough, the place matches
    /// our log and none of them came back from a peer. Own events of an earlier epoch are left to
    /// the heads.
    pub window: Option<Vec<SequencedEvent>>,
    /// Whether there is any event after the asked place that did not come from the asked peer.
    pub concerns_peer: bool,
    /// Whether any event after the asked place was written here.
    pub own: bool,
}

/// How a peer's heads compare with what is held here.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Missing {
    /// Origins of which the peer holds something that we lack, or hold otherwise; also origins
    /// that forked here, because a head of them proves nothing. In order, each once.
    pub origins: Vec<Origin>,
    /// There is one among them that did not fork here: a pull has to bring it.
    pub owed: bool,
}

/// Figures for `status`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct LogStats {
    /// Events held.
    pub events: u64,
    /// Bytes of the database files.
    pub size_bytes: u64,
    /// Events set aside and kept for a look: at most 1000 of what peers sent, and every damaged row.
    pub quarantined: u64,
}
