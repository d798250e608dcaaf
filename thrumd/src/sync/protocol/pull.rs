//! One pull, from the request for its first page to its result.

use thrum_api::peer::{PullPage, PullParams};
use thrum_api::{DaemonId, Head, LogPosition, Sequence, SequencedEvent};

use super::ReplicaLog;
use super::replica::add;
use crate::log::{Applied, Batch, Checkpoint};
use crate::sync::hub::{Failure, PageHeader, PullPipeline, PullResult, Step};

/// The state of one pull. `P` stands for the events of a page.
#[derive(Debug)]
pub struct Pull<P> {
    peer: DaemonId,
    from: Checkpoint,
    pipeline: PullPipeline<P>,
    /// The heads of the last page.
    heads: Option<Vec<Head>>,
    total: Applied,
}

/// The request for the page after a position.
pub fn request(after: LogPosition, have: Vec<Head>, limit: Option<u32>) -> PullParams {
    PullParams {
        after_seq: after.sequence,
        after_id: after.event_id,
        limit,
        have: Some(have),
        token: None,
    }
}

/// Splits a page into its header, the peer's heads and the events.
pub fn split(page: PullPage) -> (PageHeader, Option<Vec<Head>>, Vec<SequencedEvent>) {
    let sequences: Vec<Sequence> = page.events.iter().map(|event| event.sequence).collect();
    let header = PageHeader {
        sequences,
        next: LogPosition { sequence: page.next_seq, event_id: page.next_id },
        more_available: page.more_available,
        head: page.head_seq,
        epoch: page.epoch,
    };
    (header, page.heads, page.events)
}

impl<P> Pull<P> {
    /// Begins a pull from this checkpoint; returns its first step.
    pub fn begin(peer: DaemonId, from: Checkpoint) -> (Self, Step<P>) {
        let (pipeline, first) = PullPipeline::begin(from.position, from.epoch);
        (Self { peer, from, pipeline, heads: None, total: Applied::default() }, first)
    }

    /// A page was fetched.
    pub fn page(&mut self, header: &PageHeader, heads: Option<Vec<Head>>, page: P) -> Vec<Step<P>> {
        self.heads = heads;
        self.pipeline.page(header, page)
    }

    /// A page could not be fetched.
    pub fn refused(&mut self, result: PullResult) -> Vec<Step<P>> {
        self.pipeline.refused(result)
    }

    /// The batch for the page to apply, without its events.
    pub fn batch(&self, checkpoint: LogPosition) -> Batch {
        Batch {
            peer: self.peer,
            epoch: self.pipeline.epoch(),
            from: self.from,
            events: Vec::new(),
            checkpoint: Some(checkpoint),
        }
    }

    /// A page is on disk, or could not be applied.
    pub fn applied(&mut self, outcome: Result<Applied, Failure>) -> Vec<Step<P>> {
        let outcome = outcome.map(|applied| add(&mut self.total, &applied));
        self.pipeline.applied(outcome)
    }

    /// The totals of the events so far.
    pub fn total(&self) -> &Applied {
        &self.total
    }

    /// The result, after the peer's heads were compared with our log. If events are still missing after a
    /// pull to the end, the checkpoint may match by chance
    /// ([`CheckpointMismatch`](super::CheckpointMismatch)). `mismatch` gets whether that is so, and decides
    /// whether the log is read from its start.
    pub async fn finish(
        self,
        log: &impl ReplicaLog,
        result: PullResult,
        mismatch: impl FnOnce(bool) -> bool,
    ) -> PullResult {
        if let PullResult::Done { .. } = result
            && self.from.position != LogPosition::START
            && let Some(heads) = self.heads
            // If the log fails, the next pull compares.
            && let Ok(missing) = log.missing(heads).await
            && mismatch(missing.needs_pull)
        {
            let peer = self.peer;
            tracing::warn!(
                "{peer} holds events that it did not send: its log is read from its start"
            );
            return PullResult::OtherLog;
        }
        result
    }
}
