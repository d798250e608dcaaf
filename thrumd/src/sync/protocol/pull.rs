//! One pull: pipelined pages, from the checkpoint to the end of the peer's log.
//!
//! While a page is being applied, the next one is fetched; a third is not fetched before the first is on
//! disk. So a peer can make us hold two pages in memory, never more.

#[cfg(test)]
mod tests;

use thrum_api::limits::PULL_ANSWER_MAX_EVENTS;
use thrum_api::peer::{PullPage, PullParams, Run};
use thrum_api::{DaemonId, Epoch, Head, LogPosition, Sequence};

use super::replica::{add, unproved};
use crate::log::{Applied, Batch, Checkpoint, IncomingPage};
use crate::sync::hub::{Failure, PullResult};

/// What a page that brings nothing costs at least of what a pull may pass over.
const EMPTY_PAGE_COST: u64 = 256;
/// What a pull may pass over without news beside what this log holds: positions that the peer has lost, and what it
/// sends again because an origin forked.
const PASSED_OVER_MAX: u64 = 100_000;

/// The request for the page after a position.
pub fn request(after: LogPosition, have: Vec<Head>, limit: Option<u32>) -> PullParams {
    PullParams { limit, have: Some(have), ..PullParams::of(after) }
}

/// Splits a page into its header and its events.
pub fn split(page: PullPage) -> (PageHeader, Vec<Run>) {
    let events = page.runs.iter().flat_map(|run| &run.events);
    let last = events.clone().map(|event| event.sequence).max();
    let header = PageHeader {
        events: events.count(),
        last: last.unwrap_or_default(),
        next: page.next(),
        more_available: page.more_available,
        head: page.head_seq,
        epoch: page.epoch,
        held: page.held_seq,
    };
    (header, page.runs)
}

/// The header of a page. Its events are passed on as `P`.
#[derive(Debug, Clone)]
pub struct PageHeader {
    /// How many events it has.
    pub events: usize,
    /// The highest of their sequences.
    pub last: Sequence,
    /// Where the next page begins.
    pub next: LogPosition,
    /// More pages follow.
    pub more_available: bool,
    /// The end of the peer's log.
    pub head: Sequence,
    /// The epoch of the peer's log, if the page has it.
    pub epoch: Option<Epoch>,
    /// With the last page: up to where the peer holds our log.
    pub held: Option<Sequence>,
}

impl PageHeader {
    fn check(&self, after: LogPosition) -> Result<(), Failure> {
        let invalid = |text| Err(Failure::bad_answer(text));
        let (next, after, head) = (self.next.sequence, after.sequence, self.head);
        if self.events > PULL_ANSWER_MAX_EVENTS {
            let (events, most) = (self.events, PULL_ANSWER_MAX_EVENTS);
            return invalid(format!("its page has {events} events; at most {most} fit"));
        }
        // Continuing from there would fetch the same page forever.
        if next < after || (self.more_available && next <= after) {
            return invalid(format!("its page after position {after} ends at position {next}"));
        }
        let end = next.max(self.last);
        if end > head {
            return invalid(format!(
                "its page goes to position {end} of a log that ends at position {head}"
            ));
        }
        Ok(())
    }
}

/// What to do next in a pull.
#[derive(Debug, PartialEq, Eq)]
pub enum Step<P> {
    /// Fetch the page after this position.
    Fetch(LogPosition),
    /// Apply these events and move the checkpoint, in one transaction.
    Apply {
        /// The events.
        page: P,
        /// The new checkpoint.
        checkpoint: LogPosition,
    },
    /// The pull ended.
    End(PullResult),
}

/// The state of one pull. `P` stands for the events of a page.
#[derive(Debug)]
pub struct Pull<P> {
    peer: DaemonId,
    from: Checkpoint,
    /// Everything up to here was fetched.
    fetched: LogPosition,
    /// Everything up to here is on disk.
    on_disk: Sequence,
    /// The end of the peer's log.
    head: Sequence,
    epoch: Option<Epoch>,
    /// Of the last page: up to where the peer holds our log.
    held: Option<Sequence>,
    fetching: bool,
    /// The checkpoint once the page that is being applied is on disk.
    applying: Option<Sequence>,
    /// Fetched while another page was being applied.
    waiting: Option<(P, LogPosition)>,
    more: bool,
    failed: Option<PullResult>,
    total: Applied,
    /// Positions of the peer's log in pages that brought nothing.
    passed_over: u64,
}

impl<P> Pull<P> {
    /// Begins a pull from this checkpoint; returns its first step.
    pub fn begin(peer: DaemonId, from: Checkpoint) -> (Self, Step<P>) {
        let pull = Self {
            peer,
            from,
            fetched: from.position,
            on_disk: from.position.sequence,
            head: Sequence::ZERO,
            epoch: from.epoch,
            held: None,
            fetching: true,
            applying: None,
            waiting: None,
            more: true,
            failed: None,
            total: Applied::default(),
            passed_over: 0,
        };
        (pull, Step::Fetch(from.position))
    }

    /// A page arrived.
    pub fn page(&mut self, header: PageHeader, page: P) -> Vec<Step<P>> {
        self.fetching = false;
        if let Err(failure) = header.check(self.fetched) {
            return self.failed(PullResult::Failed(failure));
        }
        // Another epoch: the log was rolled back.
        let known = self.epoch.filter(|_| self.fetched != LogPosition::START);
        if known.is_some_and(|known| header.epoch.is_some_and(|now| now != known)) {
            return self.failed(PullResult::OtherLog);
        }
        self.epoch = header.epoch.or(self.epoch);
        // Although there is nothing new, the peer may tell the hash of its log there, or since it found a damaged row
        // another one.
        let gets_hash = header.next.hash.is_some();
        let next = match header.next.sequence == self.fetched.sequence {
            true if !gets_hash => self.fetched,
            _ => header.next,
        };
        self.fetched = next;
        self.head = header.head;
        self.held = header.held.filter(|_| !header.more_available);
        self.more = header.more_available;
        self.waiting = Some((page, next));
        self.next_steps()
    }

    /// The batch for the page to apply, without its events.
    pub fn batch(&self, checkpoint: LogPosition) -> Batch {
        let mut from = self.from;
        // Nothing is before the start.
        from.is_withheld = self.total.withheld > 0
            || self.total.refused > 0
            || (from.is_withheld && from.position != LogPosition::START);
        Batch {
            peer: self.peer,
            epoch: self.epoch,
            from,
            page: IncomingPage::default(),
            checkpoint: Some(checkpoint),
            held: self.held,
            is_whole: self.from.position == LogPosition::START
                && self.total.withheld == 0
                && !self.more
                && self.waiting.is_none(),
        }
    }

    /// The page could not be fetched.
    pub fn refused(&mut self, end: PullResult) -> Vec<Step<P>> {
        self.fetching = false;
        self.failed(end)
    }

    /// The page that was being applied is on disk, or could not be applied. `ours`: the end of our log, which is at
    /// least the number of events that an honest peer leaves out or sends again.
    pub fn applied(&mut self, outcome: Result<Applied, Failure>, ours: Sequence) -> Vec<Step<P>> {
        let checkpoint = self.applying.take();
        match outcome {
            Ok(applied) => {
                add(&mut self.total, &applied);
                let now = checkpoint.unwrap_or(self.on_disk);
                let before = std::mem::replace(&mut self.on_disk, now);
                if applied.applied == 0 {
                    let positions = self.on_disk.0.saturating_sub(before.0);
                    self.passed_over =
                        self.passed_over.saturating_add(positions.max(EMPTY_PAGE_COST));
                }
                // The rest was taken. The checkpoint has moved, so that later the pull goes on behind them.
                if applied.refused > 0 {
                    return self.failed(PullResult::Failed(unproved(applied.refused)));
                }
                // A page that is the last one needs no reason.
                if self.more && self.passed_over > ours.0.saturating_add(PASSED_OVER_MAX) {
                    let passed = self.passed_over;
                    return self.failed(PullResult::Failed(Failure::bad_answer(format!(
                        "its pages go on and bring nothing: {passed} positions so far, and this log \
                         ends at {ours}"
                    ))));
                }
                self.next_steps()
            }
            Err(failure) => self.failed(PullResult::Failed(failure)),
        }
    }

    fn failed(&mut self, end: PullResult) -> Vec<Step<P>> {
        // The first failure is the cause of the others.
        self.failed.get_or_insert(end);
        self.waiting = None;
        self.more = false;
        self.next_steps()
    }

    fn next_steps(&mut self) -> Vec<Step<P>> {
        let mut steps = Vec::new();
        if self.applying.is_none()
            && let Some((page, checkpoint)) = self.waiting.take()
        {
            self.applying = Some(checkpoint.sequence);
            steps.push(Step::Apply { page, checkpoint });
        }
        if self.more && !self.fetching && self.waiting.is_none() {
            self.fetching = true;
            steps.push(Step::Fetch(self.fetched));
        }
        // After a failure the page that is still being fetched doesn't matter.
        if self.applying.is_none() && (!self.fetching || self.failed.is_some()) {
            steps.push(Step::End(
                self.failed
                    .take()
                    .unwrap_or(PullResult::Done { checkpoint: self.on_disk, head: self.head }),
            ));
        }
        steps
    }

    /// The totals of the events so far.
    pub fn total(&self) -> &Applied {
        &self.total
    }

    /// Heads of the origins with events after this position of our log are what the peer may send without need.
    pub fn have_since(&self) -> Sequence {
        self.from.held
    }

    /// The result. `reread` decides whether the peer's log is read from its start, because events of too many new
    /// origins were withheld; it hears at the end of each pull to the end whether some were.
    pub fn finish(self, result: PullResult, reread: impl FnOnce(bool) -> bool) -> PullResult {
        let is_withheld =
            self.from.is_withheld || self.total.withheld > 0 || self.total.refused > 0;
        if let PullResult::Done { .. } = result
            && self.from.position != LogPosition::START
            && reread(is_withheld)
        {
            let peer = self.peer;
            tracing::warn!(
                about = %peer,
                "{peer} holds events that were not taken: its log is read from its start"
            );
            return PullResult::OtherLog;
        }
        result
    }
}
