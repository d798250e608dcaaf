//! One pull: pipelined pages, from the checkpoint to the end of the peer's log.
//!
//! While a page is being applied, the next one is fetched; a third is not fetched before the first is on
//! disk. So a peer can make us hold two pages in memory, never more.

use thrum_api::{Epoch, LogPosition, Sequence};

use super::failure::Failure;

/// The header of a page. Its events are passed on as `P`.
#[derive(Debug, Clone)]
pub struct PageHeader {
    /// The sequences of its events.
    pub sequences: Vec<Sequence>,
    /// Where the next page begins.
    pub next: LogPosition,
    /// More pages follow.
    pub more_available: bool,
    /// The end of the peer's log.
    pub head: Sequence,
    /// The epoch of the peer's log, if the page has it.
    pub epoch: Option<Epoch>,
}

impl PageHeader {
    fn check(&self, after: LogPosition) -> Result<(), Failure> {
        let invalid = |text| Err(Failure::bad_answer(text));
        let mut before = after.sequence;
        for &position in &self.sequences {
            if position <= before {
                return invalid(format!(
                    "position {position} comes after position {before} in its page"
                ));
            }
            before = position;
        }
        let (next, after, head) = (self.next.sequence, after.sequence, self.head);
        // Continuing from there would fetch the same page forever.
        if next < before || (self.more_available && next <= after) {
            return invalid(format!("its page after position {after} ends at position {next}"));
        }
        if next > head {
            return invalid(format!(
                "its page goes to position {next} of a log that ends at position {head}"
            ));
        }
        Ok(())
    }
}

/// How a pull ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PullResult {
    /// Everything was applied.
    Done {
        /// The new checkpoint.
        checkpoint: Sequence,
        /// The end of the peer's log when the last page was read.
        head: Sequence,
    },
    /// The checkpoint is not, or no longer, of the peer's log.
    OtherLog,
    /// It failed. What was applied before stays applied.
    Failed(Failure),
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

/// The state of one pull.
#[derive(Debug)]
pub struct PullPipeline<P> {
    /// Everything up to here was fetched.
    fetched: LogPosition,
    /// Everything up to here is on disk.
    on_disk: LogPosition,
    head: Sequence,
    epoch: Option<Epoch>,
    fetching: bool,
    /// The checkpoint once the page that is being applied is on disk.
    applying: Option<LogPosition>,
    /// Fetched while another page was being applied.
    waiting: Option<(P, LogPosition)>,
    more: bool,
    failed: Option<PullResult>,
}

impl<P> PullPipeline<P> {
    /// A pull from this checkpoint, and its first step.
    /// `epoch` is the epoch of the peer's log when the checkpoint was taken.
    pub fn begin(checkpoint: LogPosition, epoch: Option<Epoch>) -> (Self, Step<P>) {
        let pipeline = Self {
            fetched: checkpoint,
            on_disk: checkpoint,
            head: Sequence::ZERO,
            epoch,
            fetching: true,
            applying: None,
            waiting: None,
            more: true,
            failed: None,
        };
        (pipeline, Step::Fetch(checkpoint))
    }

    /// A page arrived.
    pub fn page(&mut self, header: &PageHeader, page: P) -> Vec<Step<P>> {
        self.fetching = false;
        if let Err(failure) = header.check(self.fetched) {
            return self.failed(PullResult::Failed(failure));
        }
        // A log that was rolled back has another history before the checkpoint, even if the same event
        // happens to be there again. Its new epoch shows it, unless the peer never wrote an event. In that
        // case its heads show it after the pull.
        let known = self.epoch.filter(|_| self.fetched != LogPosition::START);
        if known.is_some_and(|known| header.epoch.is_some_and(|now| now != known)) {
            return self.failed(PullResult::OtherLog);
        }
        self.epoch = header.epoch.or(self.epoch);
        let next = match header.next.sequence == self.fetched.sequence {
            true => self.fetched,
            false => header.next,
        };
        self.fetched = next;
        self.head = header.head;
        self.more = header.more_available;
        self.waiting = Some((page, next));
        self.next_steps()
    }

    /// The epoch of the peer's log, to be stored with the checkpoint.
    pub fn epoch(&self) -> Option<Epoch> {
        self.epoch
    }

    /// The page could not be fetched.
    pub fn refused(&mut self, end: PullResult) -> Vec<Step<P>> {
        self.fetching = false;
        self.failed(end)
    }

    /// The page that was being applied is on disk, or could not be applied.
    pub fn applied(&mut self, result: Result<(), Failure>) -> Vec<Step<P>> {
        match (self.applying.take(), result) {
            (_, Err(failure)) => self.failed(PullResult::Failed(failure)),
            (Some(position), Ok(())) => {
                self.on_disk = position;
                self.next_steps()
            }
            (None, Ok(())) => self.next_steps(),
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
            self.applying = Some(checkpoint);
            steps.push(Step::Apply { page, checkpoint });
        }
        if self.more && !self.fetching && self.waiting.is_none() {
            self.fetching = true;
            steps.push(Step::Fetch(self.fetched));
        }
        // After a failure the page that is still being fetched doesn't matter.
        if self.applying.is_none() && (!self.fetching || self.failed.is_some()) {
            steps.push(Step::End(self.failed.take().unwrap_or(PullResult::Done {
                checkpoint: self.on_disk.sequence,
                head: self.head,
            })));
        }
        steps
    }
}
