//! A live session, and what keeps it alive.

use std::collections::BTreeSet;

use thrum_api::Timestamp;
use thrum_api::event::{SessionInfo, SessionState};
use tokio_util::sync::DropGuard;

use super::error::SessionError;
use super::room::{Place, SessionRoom};
use super::turn::Turn;

/// An agent of this machine.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AgentKey {
    pub project: String,
    pub agent: String,
}

/// A process, and what tells it from a later one with the same id.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeptProcess {
    pub pid: u32,
    pub identity: Option<String>,
}

/// A session that a process keeps, as it is stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeptInfo {
    pub told: SessionInfo,
    pub process: KeptProcess,
    /// It has no id of its tool yet.
    pub unnamed: bool,
}

/// A watch that tells when what keeps a session has ended. It ends when this is dropped.
#[derive(Debug)]
pub struct Watch {
    /// Tells it from earlier watches of the same session.
    pub number: u64,
    pub _end: DropGuard,
}

/// What a session lives as long as: all of these.
#[derive(Debug, Default)]
pub struct Keeper {
    pub process: Option<KeptProcess>,
    pub connection: Option<u64>,
    pub watch: Option<Watch>,
    /// Where it needs a place.
    pub room: Option<SessionRoom>,
    pub place: Option<Place>,
}

impl Keeper {
    /// Takes a place where it needs one: that of the session as it is live, or a new one.
    pub fn take_place(&mut self, live: Option<&Live>) -> Result<(), SessionError> {
        let has = live.and_then(|live| live.keeper.place.as_ref());
        self.place = self.room.as_ref().map(|room| room.place(has)).transpose()?;
        Ok(())
    }
}

/// A session.
#[derive(Debug)]
pub struct Live {
    /// As it was told.
    pub told: SessionInfo,
    pub keeper: Keeper,
    /// The numbers of the waits of those who wait for it now.
    pub waits: BTreeSet<u64>,
    /// Since when the first of them does.
    pub waits_since: Timestamp,
    /// The wait began after the session said what it does.
    pub waits_last: bool,
    /// It exists only while a caller waits: the caller has no session.
    pub only_waits: bool,
    /// Before a restart it was kept by a connection, and is given some time to come back.
    pub in_grace: bool,
    /// Before a restart a caller waited for it, and is given some time to come back.
    pub wait_in_grace: bool,
    /// Before a restart a program woke it, and is given some time to come back.
    pub waker_in_grace: bool,
    /// Where it is in its turns.
    pub turn: Turn,
}

impl Live {
    pub fn new(told: SessionInfo, keeper: Keeper) -> Self {
        let waits_since = told.since;
        Self {
            told,
            keeper,
            waits: BTreeSet::new(),
            waits_since,
            waits_last: false,
            only_waits: false,
            in_grace: false,
            wait_in_grace: false,
            waker_in_grace: false,
            turn: Turn::default(),
        }
    }

    /// Whether it is shown as waiting. A question for a person comes first, and what it said after the wait began, unless
    /// it said that it has nothing else to do.
    fn shows_wait(&self) -> bool {
        let waits = !self.waits.is_empty() || self.wait_in_grace;
        let nothing_else = self.told.state == SessionState::Idle;
        waits && self.told.state != SessionState::NeedsYou && (self.waits_last || nothing_else)
    }

    /// What others are told of it.
    pub fn shown(&self) -> SessionInfo {
        let told = self.told.clone();
        match self.shows_wait() {
            true => SessionInfo { state: SessionState::Waiting, since: self.waits_since, ..told },
            false => told,
        }
    }

    /// Takes over since when it is what it is: it was something else for so short that nobody was told.
    pub fn adopt_since(&mut self, since: Timestamp) {
        match self.shows_wait() {
            true => self.waits_since = since,
            false => self.told.since = since,
        }
    }
}

/// Whether both say the same, apart from since when.
pub fn same_but_since(one: &SessionInfo, other: &SessionInfo) -> bool {
    *one == SessionInfo { since: one.since, ..other.clone() }
}
