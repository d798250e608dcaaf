//! One pull, from the checkpoint to the end of the peer's log.
//!
//! While a page is being applied, the next is on its way already; a third is not asked for before
//! the first is on disk. So a peer can make us hold two pages, never more.

use thrum_api::{Epoch, Place, Sequence};

use super::failure::Failure;

/// What a page says of itself; the events travel beside it as `P`.
#[derive(Debug, Clone)]
pub struct PageHeader {
    /// The places of its events.
    pub sequences: Vec<Sequence>,
    /// Where to go on.
    pub next: Place,
    /// There is more.
    pub more_available: bool,
    /// Where the peer's log ends.
    pub head: Sequence,
    /// The epoch of the peer's log, if it says.
    pub epoch: Option<Epoch>,
}

/// Why a page can't be believed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum PageError {
    /// The same or an earlier place again.
    #[error("place {place} comes after place {before} in its page")]
    NotRising {
        /// The place.
        place: Sequence,
        /// The place before it, or the one that was asked from.
        before: Sequence,
    },
    /// Going on from there would ask for the same page for ever.
    #[error("its page after place {after} ends at place {next}")]
    NoProgress {
        /// Asked from here.
        after: Sequence,
        /// Told to go on from here.
        next: Sequence,
    },
    /// The end of its log lies before what it just sent.
    #[error("its page goes to place {next} of a log that ends at place {head}")]
    BeyondHead {
        /// Told to go on from here.
        next: Sequence,
        /// The end of the log, by the same page.
        head: Sequence,
    },
}

impl PageHeader {
    fn check(&self, after: Place) -> Result<(), PageError> {
        let mut before = after.sequence;
        for &place in &self.sequences {
            if place <= before {
                return Err(PageError::NotRising { place, before });
            }
            before = place;
        }
        let (next, after) = (self.next.sequence, after.sequence);
        if next < before || (self.more_available && next <= after) {
            return Err(PageError::NoProgress { after, next });
        }
        if next > self.head {
            return Err(PageError::BeyondHead { next, head: self.head });
        }
        Ok(())
    }
}

/// How a pull ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PullResult {
    /// Everything was taken over.
    Done {
        /// The checkpoint now.
        checkpoint: Sequence,
        /// Where the peer's log ended when the last page was read.
        head: Sequence,
    },
    /// The checkpoint is not of the peer's log (any more).
    OtherLog,
    /// It failed. What was applied before stays.
    Failed(Failure),
}

/// What to do next in a pull.
#[derive(Debug, PartialEq, Eq)]
pub enum Step<P> {
    /// Ask for the page after this place.
    Fetch(Place),
    /// Apply these events and move the checkpoint, in one transaction.
    Apply {
        /// The events.
        page: P,
        /// Where the checkpoint is afterwards.
        checkpoint: Place,
    },
    /// Over.
    End(PullResult),
}

/// The state of one pull.
#[derive(Debug)]
pub struct PullPipeline<P> {
    /// Everything up to here was fetched.
    fetched: Place,
    /// Everything up to here is on disk.
    taken: Place,
    head: Sequence,
    epoch: Option<Epoch>,
    fetching: bool,
    /// Where the checkpoint will be once the page that is being applied is on disk.
    applying: Option<Place>,
    /// Fetched while another page was being applied.
    waiting: Option<(P, Place)>,
    more: bool,
    failed: Option<PullResult>,
}

impl<P> PullPipeline<P> {
    /// A pull from this checkpoint, and its first step.
    /// `epoch` is the one that the peer's log had when the checkpoint was taken.
    pub fn begin(checkpoint: Place, epoch: Option<Epoch>) -> (Self, Step<P>) {
        let flight = Self {
            fetched: checkpoint,
            taken: checkpoint,
            head: Sequence::ZERO,
            epoch,
            fetching: true,
            applying: None,
            waiting: None,
            more: true,
            failed: None,
        };
        (flight, Step::Fetch(checkpoint))
    }

    /// A page came.
    pub fn page(&mut self, facts: &PageHeader, page: P) -> Vec<Step<P>> {
        self.fetching = false;
        if let Err(error) = facts.check(self.fetched) {
            return self.failed(PullResult::Failed(Failure::bad_answer(error.to_string())));
        }
        // A log that was rolled back has another history before the checkpoint, even if the same
        // event happens to stand there again. It is known by its new epoch, unless it had no event of
        // its own to lose: then its heads tell, after the pull (see `doubt`).
        let known = self.epoch.filter(|_| self.fetched != Place::START);
        if known.is_some_and(|known| facts.epoch.is_some_and(|now| now != known)) {
            return self.failed(PullResult::OtherLog);
        }
        self.epoch = facts.epoch.or(self.epoch);
        let next = match facts.next.sequence == self.fetched.sequence {
            true => self.fetched,
            false => facts.next,
        };
        self.fetched = next;
        self.head = facts.head;
        self.more = facts.more_available;
        self.waiting = Some((page, next));
        self.go_on()
    }

    /// The epoch of the peer's log, to be stored with the checkpoint.
    pub fn epoch(&self) -> Option<Epoch> {
        self.epoch
    }

    /// The page could not be had.
    pub fn refused(&mut self, end: PullResult) -> Vec<Step<P>> {
        self.fetching = false;
        self.failed(end)
    }

    /// The page that was being applied is on disk, or could not be applied.
    pub fn applied(&mut self, outcome: Result<(), Failure>) -> Vec<Step<P>> {
        match (self.applying.take(), outcome) {
            (_, Err(failure)) => self.failed(PullResult::Failed(failure)),
            (Some(place), Ok(())) => {
                self.taken = place;
                self.go_on()
            }
            (None, Ok(())) => self.go_on(),
        }
    }

    fn failed(&mut self, end: PullResult) -> Vec<Step<P>> {
        // The first failure is the one that says why.
        self.failed.get_or_insert(end);
        self.waiting = None;
        self.more = false;
        self.go_on()
    }

    fn go_on(&mut self) -> Vec<Step<P>> {
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
        // After a failure nothing that is still on its way matters.
        if self.applying.is_none() && (!self.fetching || self.failed.is_some()) {
            steps.push(Step::End(
                self.failed.take().unwrap_or(PullResult::Done {
                    checkpoint: self.taken.sequence,
                    head: self.head,
                }),
            ));
        }
        steps
    }
}
