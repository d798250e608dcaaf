//! Where a session is in its turns, and which messages it was not shown.
//!
//! It is in memory only: after a restart of thrumd, a session is not shown what another one of its agent was shown before.

use std::collections::BTreeSet;
use std::time::Duration;

use thrum_api::Sequence;
use thrum_api::local::STOPS_MAX;
use tokio::time::Instant;

/// Messages at most that a session is still to be shown although its agent has read them.
const PENDING_MAX: usize = 256;
/// A tool that is set up for the folder and for the user runs each hook twice, the second one so soon after the first.
const TWICE: Duration = Duration::from_secs(2);

/// Where a session is in its turns.
#[derive(Debug, Default)]
pub struct Turn {
    /// Its tool has hooks, or asks for messages: it is shown each message.
    pub takes_part: bool,
    /// What wakes it comes after this position: the end of the log when it began to take part, or later.
    pub began: Sequence,
    /// The end of the log at its last stop, or when it began.
    pub stopped: Sequence,
    /// A program of its tool has joined without an id: a hook of the same process gives it one.
    pub unnamed: bool,
    /// A person interrupted it, and no turn has begun since: only a prompt starts one.
    pub interrupted: bool,
    /// The connections of programs that wake it.
    pub wakers: BTreeSet<u64>,
    /// When it was woken last, until its hook runs or it asks for messages.
    pub woken_at: Option<Instant>,
    /// Messages that it was woken for.
    pub woken: BTreeSet<Sequence>,
    /// How many stops answered messages since a person wrote a prompt.
    pub stops: u32,
    /// When a stop answered messages last, until a prompt or a step.
    pub answered_at: Option<Instant>,
    /// When its last hook ran.
    pub hooked_at: Option<Instant>,
    /// Messages that its agent has read in another session.
    pub pending: BTreeSet<Sequence>,
}

impl Turn {
    /// Whether a message may start a turn. The tool must know the session, and take a prompt: Codex keeps what it gets
    /// after an interrupt until the next one of a person.
    pub const fn can_be_woken(&self) -> bool {
        !self.unnamed && !self.interrupted
    }

    /// It takes part from now on, if it didn't. `at`: the end of the log.
    pub fn take_part(&mut self, at: Sequence) {
        if !self.takes_part {
            (self.takes_part, self.began, self.stopped) = (true, at, at);
        }
    }

    /// Whether a stop may answer messages.
    pub const fn may_go_on(&self) -> bool {
        self.stops < STOPS_MAX
    }

    /// Whether this is the same stop as one that has just answered messages: the turn goes on.
    pub fn stops_twice(&self, now: Instant) -> bool {
        self.answered_at.is_some_and(|at| now.duration_since(at) < TWICE)
    }

    /// A stop has answered messages or not. What it held back is for a prompt or a step. `at`: the end of the log before it
    /// looked.
    pub fn has_stopped(&mut self, answered: bool, at: Sequence, now: Instant) {
        self.stopped = self.stopped.max(at);
        // A stop without messages is no new row: else the cap would be a pause only.
        self.stops += u32::from(answered);
        self.answered_at = answered.then_some(now);
    }

    /// Another session of the agent was shown this one. With too many, the oldest is not shown any more.
    pub fn add_pending(&mut self, sequence: Sequence) {
        self.pending.insert(sequence);
        if self.pending.len() > PENDING_MAX {
            self.pending.pop_first();
        }
    }
}
