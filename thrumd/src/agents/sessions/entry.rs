//! The sessions of one agent, and what others were told of them.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use thrum_api::event::{Reach, SessionInfo};
use thrum_api::{Sequence, Timestamp};
use tokio::time::Instant;

use super::brake::Brake;
use super::live::{Live, same_but_since};
use super::turn::Turn;

/// The sessions of an agent.
#[derive(Debug, Default)]
pub struct Entry {
    /// By id.
    pub sessions: BTreeMap<String, Live>,
    /// What the last event says.
    pub written: Vec<SessionInfo>,
    /// What the event before it says, while that one is being written.
    pub before: Option<Vec<SessionInfo>>,
    /// No event is written before.
    pub free_at: Option<Instant>,
    /// When the next event is written. None: there is nothing to tell.
    pub due: Option<Instant>,
    /// When its last session ended.
    pub gone_at: Option<Timestamp>,
    /// An event of it was written by this process, or could not be.
    pub tried: bool,
    /// Sessions that run hooks and are not live, by id.
    pub strangers: BTreeMap<String, Turn>,
    /// Ids that mean a live session with another one.
    pub aliases: BTreeMap<String, String>,
    /// Up to where one of its sessions was woken for the messages to it.
    pub woken_up_to: Sequence,
    /// The oldest messages that might wake one, and since when. Each process may have another one: its sessions began at
    /// another time.
    pub oldest_wait: BTreeMap<Sequence, Instant>,
    /// Its sessions are not woken.
    pub wake_off: bool,
    /// Messages with other agents.
    pub brake: Brake,
    /// What is to be said to one of its sessions.
    pub notices: Vec<String>,
    /// Grows with each change.
    pub version: u64,
    /// Sessions that their tool has ended, the newest last.
    pub ended: VecDeque<Ended>,
}

/// A session that its tool has ended: the process may begin another one, which goes on as this one.
#[derive(Debug)]
pub struct Ended {
    pub pid: u32,
    /// The end of the log then: what comes later is for the session that follows.
    pub at: Sequence,
    /// All ids that it had.
    pub names: Vec<String>,
    pub reach: Option<Reach>,
    /// The connections of programs that woke it.
    pub wakers: BTreeSet<u64>,
}

impl Entry {
    /// What others are to know.
    pub fn shown(&self) -> Vec<SessionInfo> {
        self.sessions.values().map(|live| self.shown_of(live)).collect()
    }

    /// The best way in which a message gets to one of its sessions that is idle.
    pub fn reach(&self) -> Option<Reach> {
        self.sessions.values().filter_map(|live| self.shown_of(live).reach).min()
    }

    /// Whether one of its sessions is woken.
    pub fn is_woken(&self) -> bool {
        self.reach() == Some(Reach::Wake)
    }

    /// Sets whether its sessions are not woken. Answers whether that is new.
    pub fn set_wake_off(&mut self, off: bool) -> bool {
        std::mem::replace(&mut self.wake_off, off) != off
    }

    fn shown_of(&self, live: &Live) -> SessionInfo {
        shown_of(live, self.wake_off)
    }

    /// Whether others know it all. What is again as it was written keeps its time.
    pub fn is_known(&mut self) -> bool {
        let wake_off = self.wake_off;
        for live in self.sessions.values_mut() {
            let shown = shown_of(live, wake_off);
            let written = self.written.iter().find(|written| written.id == shown.id);
            if let Some(written) = written.filter(|written| same_but_since(written, &shown)) {
                live.adopt_since(written.since);
            }
        }
        self.shown() == self.written
    }

    /// Whether nothing is lost without it.
    pub fn is_empty(&self, now: Instant) -> bool {
        let free = self.free_at.is_none_or(|at| at <= now);
        self.sessions.is_empty() && self.written.is_empty() && self.before.is_none() && free
    }

    /// The present id of a session that a caller names.
    pub fn id_of<'a>(&'a self, named: &'a str) -> &'a str {
        match self.aliases.get(named) {
            Some(id) if !self.sessions.contains_key(named) => id,
            _ => named,
        }
    }

    /// The ids of its sessions, except those that only wait.
    pub fn ids(&self) -> Vec<String> {
        let told = self.sessions.values().filter(|live| !live.only_waits);
        told.map(|live| live.told.id.clone()).collect()
    }

    /// A free id for a caller that waits without a session.
    pub fn waiter_id(&self) -> String {
        let is_free = |id: &String| self.sessions.get(id).is_none_or(|live| live.in_grace);
        let ids = (1..).map(|number: u32| format!("wait-{number}"));
        ids.into_iter().find(is_free).unwrap_or_default()
    }

    /// How large all sessions are as JSON, with this one in place of the one with its id.
    pub fn bytes_with(&self, session: &SessionInfo) -> usize {
        let size = |info: &SessionInfo| serde_json::to_vec(info).map_or(0, |json| json.len() + 1);
        let others = self.sessions.values().filter(|live| live.told.id != session.id);
        others.map(|live| size(&live.told)).sum::<usize>() + size(session)
    }
}

/// While a session is not woken, hooks alone show it messages.
fn shown_of(live: &Live, wake_off: bool) -> SessionInfo {
    let mut session = live.shown();
    if (wake_off || !live.turn.can_be_woken()) && session.reach == Some(Reach::Wake) {
        session.reach = Some(Reach::Hooks);
    }
    session
}
