//! Waking, in the book: which session is woken for which messages, and when. One of an agent for each message, and nobody
//! who gets it anyway.

use std::cmp::Reverse;
use std::time::Duration;

use thrum_api::event::SessionState;
use thrum_api::{DaemonId, EventId, Sequence};
use tokio::time::Instant;

use super::book::{Book, Now, Soon};
use super::brake::{Braked, Other};
use super::entry::Entry;
use super::error::SessionError;
use super::limits::SESSIONS_OF_AGENT_MAX;
use super::live::{AgentKey, Live};
use super::wake_off::WakeOff;

/// A session that shows work and runs no hook for so long may be stuck, or its tool tells of no stop.
const STALE: Duration = Duration::from_secs(60);
/// How long a session that was woken may take until its hook runs: meanwhile nobody of its agent is woken.
const WAKES_UP: Duration = Duration::from_secs(30);
/// How long a session that was woken and hasn't woken up is not woken again: a question of its tool may be open.
const NOT_AGAIN: Duration = Duration::from_secs(600);
/// Messages at most that a session was woken for and that its agent has not read.
const WOKEN_MAX: usize = 256;
/// Notices at most that an agent was not told yet.
const NOTICES_MAX: usize = 16;

/// An unread message that a session might be woken for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Candidate {
    pub sequence: Sequence,
    pub event_id: EventId,
    pub from: String,
    pub origin: DaemonId,
    pub urgent: bool,
}

impl Candidate {
    fn sender(&self) -> Other {
        Other { agent: self.from.clone(), daemon: self.origin }
    }
}

/// Whether a session may be woken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MayWake {
    /// Its present id.
    pub id: String,
    /// For what came after this position.
    pub after: Sequence,
    /// From when on; None: not as it is.
    pub from: Option<Instant>,
    /// Only for what has been unread for a while.
    pub only_old: bool,
}

impl Book {
    /// Which session of the process of this one may be woken as it is, and for which messages: the one that may be first, and
    /// of several the one whose hook ran last. They take part from now on. `at`: the end of the log.
    pub fn may_wake(
        &mut self,
        key: &AgentKey,
        named: &str,
        (at, now): (Sequence, Now),
    ) -> Result<MayWake, SessionError> {
        let ids = self.of_same_process(key, named)?;
        ids.iter().for_each(|id| self.take_part(key, id, at));
        let entry = self.agents.get(key);
        let of = |id: &String| Some((entry?.sessions.get(id)?, entry?.may_wake(id, now)?));
        let first = ids.iter().filter_map(of).min_by_key(|(live, may)| {
            // None is no time at all.
            let from = (may.from.is_none(), may.from);
            (from, may.only_old, Reverse(live.turn.hooked_at))
        });
        let none = MayWake { id: named.to_owned(), after: at, from: None, only_old: false };
        Ok(first.map_or(none, |(_, may)| may))
    }

    /// The live sessions of the process of this one. While a tool ends one to begin another one, it has none.
    fn of_same_process(&self, key: &AgentKey, named: &str) -> Result<Vec<String>, SessionError> {
        let entry = self.agents.get(key);
        let id = self.id_of(key, named);
        let live = entry.and_then(|entry| entry.sessions.get(id)).filter(|live| live.is_whole());
        let ended = || {
            let ended = entry?.ended.iter().rev();
            ended.filter(|it| it.names.iter().any(|it| it == named)).map(|it| it.pid).next()
        };
        let pid = match live {
            Some(live) => live.keeper.process.as_ref().map(|process| process.pid),
            None => ended(),
        };
        match (live, pid) {
            (_, Some(pid)) => {
                let sessions = entry.into_iter().flat_map(|entry| &entry.sessions);
                let of_it = sessions.filter(|(_, live)| live.is_of(pid));
                Ok(of_it.map(|(id, _)| id.clone()).collect())
            }
            (Some(_), None) => Ok(vec![id.to_owned()]),
            (None, None) => self.resolve(key, Some(named)).map(|id| vec![id]),
        }
    }

    /// Nothing that is unread up to here wakes a session.
    pub fn pass_over(&mut self, key: &AgentKey, id: &str, up_to: Sequence) {
        if let Some(live) = self.live(key, id) {
            live.turn.began = live.turn.began.max(up_to);
        }
    }

    /// From when on a session that may be woken is, for messages of which this one is the oldest.
    pub fn ready_at(
        &mut self,
        key: &AgentKey,
        may: &MayWake,
        oldest: Sequence,
        now: Now,
    ) -> Option<Instant> {
        let entry = self.entry(key);
        let woken_up_to = entry.woken_up_to;
        entry.oldest_wait.retain(|of, _| *of > woken_up_to);
        let since = *entry.oldest_wait.entry(oldest).or_insert(now.at);
        if entry.oldest_wait.len() > SESSIONS_OF_AGENT_MAX {
            entry.oldest_wait.pop_first();
        }
        may.from.map(|from| if may.only_old { from.max(since + STALE) } else { from })
    }

    /// Wakes a session, if it still may be, for those of these messages whose senders have no brake. For none of them is
    /// another one woken.
    pub fn wake(
        &mut self,
        key: &AgentKey,
        (named, may): (&str, &MayWake),
        candidates: &[Candidate],
        (at, now): (Sequence, Now),
    ) -> Vec<Candidate> {
        let still = self.may_wake(key, named, (at, now)).ok();
        let is_ready = |it: &MayWake| it.from.is_some_and(|from| from <= now.at);
        let is_same = |it: &MayWake| (&it.id, it.only_old) == (&may.id, may.only_old);
        let Some(still) = still.filter(|it| is_ready(it) && is_same(it)) else {
            return Vec::new();
        };
        let Some(entry) = self.agents.get_mut(key) else { return Vec::new() };
        let new = candidates.iter().filter(|it| it.sequence > still.after);
        let (held, woken): (Vec<_>, Vec<_>) =
            new.cloned().partition(|it| entry.brake.is_on(&it.sender(), now.at));
        let last = held.iter().chain(&woken).map(|it| it.sequence).max();
        entry.woken_up_to = entry.woken_up_to.max(last.unwrap_or_default());
        if let Some(live) = entry.sessions.get_mut(&still.id).filter(|_| !woken.is_empty()) {
            live.turn.woken_at = Some(now.at);
            live.turn.woken.extend(woken.iter().map(|it| it.sequence));
            while live.turn.woken.len() > WOKEN_MAX {
                live.turn.woken.pop_first();
            }
        }
        woken
    }

    /// Nobody of an agent is woken for what is there already. `at`: the end of the log.
    pub(super) fn wakes_for_newer(&mut self, key: &AgentKey, at: Sequence) {
        let entry = self.entry(key);
        entry.woken_up_to = entry.woken_up_to.max(at);
    }

    /// A session does something: if it was woken, it has woken up.
    pub fn has_woken_up(&mut self, key: &AgentKey, named: &str) {
        let id = self.id_of(key, named).to_owned();
        let Some(entry) = self.agents.get_mut(key) else { return };
        let live = entry.sessions.get_mut(&id);
        if live.is_some_and(|live| live.turn.woken_at.take().is_some()) {
            entry.version += 1;
        }
    }

    /// Whether a session was woken for this message, and it is unread.
    pub fn was_woken_for(&self, key: &AgentKey, named: &str, sequence: Sequence) -> bool {
        let entry = self.agents.get(key);
        let live = entry.and_then(|entry| entry.sessions.get(entry.id_of(named)));
        live.is_some_and(|live| live.turn.woken.contains(&sequence))
    }

    /// Counts a message between an agent that is woken and another one. Answers for whom it is no longer woken from now on:
    /// then both are to be told.
    pub fn count_message(
        &mut self,
        key: &AgentKey,
        (other, is_remote): (&Other, bool),
        now: Now,
    ) -> Option<Braked> {
        let entry = self.agents.get_mut(key).filter(|entry| entry.is_woken())?;
        entry.brake.count(other, is_remote, now.at)
    }

    /// Says something to the next session of an agent that asks.
    pub fn notify(&mut self, key: &AgentKey, notice: String) {
        let entry = self.entry(key);
        entry.notices.push(notice);
        if entry.notices.len() > NOTICES_MAX {
            entry.notices.remove(0);
        }
    }

    /// What is to be said to a session of an agent, once.
    pub fn take_notices(&mut self, key: &AgentKey) -> Vec<String> {
        self.agents.get_mut(key).map(|entry| std::mem::take(&mut entry.notices)).unwrap_or_default()
    }

    /// From now on sessions are not woken there.
    pub fn set_wake_off(&mut self, off: WakeOff, now: Now) {
        self.wake_off = off;
        let keys: Vec<AgentKey> = self.agents.keys().cloned().collect();
        for key in keys {
            let off = self.wake_off.has(&key.project);
            if self.entry(&key).set_wake_off(off) {
                self.changed(&key, Soon::AtOnce, now);
            }
        }
    }

    /// Counts what has changed for an agent, so that who waits sees whether anything has.
    pub fn version(&self, key: &AgentKey) -> u64 {
        self.agents.get(key).map_or(0, |entry| entry.version)
    }
}

impl Live {
    /// It shows work, and its tool has hooks that show it messages.
    fn is_at_work(&self) -> bool {
        self.turn.takes_part && self.told.state == SessionState::Working
    }
}

impl Entry {
    /// Whether one of the sessions may be woken as it is.
    fn may_wake(&self, id: &str, now: Now) -> Option<MayWake> {
        let session = self.sessions.get(id)?;
        let after = self.woken_up_to.max(session.turn.began);
        let mut from = Some(now.at);
        let mut only_old = false;
        let mut not_before = |at: Instant| from = from.map(|from| from.max(at));
        for live in self.sessions.values() {
            if let Some(woken) = live.turn.woken_at {
                not_before(woken + if live.told.id == id { NOT_AGAIN } else { WAKES_UP });
            }
            // The others get it at their next step.
            let at_work = live.is_at_work() || live.told.id == id;
            if at_work && live.told.state == SessionState::Working {
                only_old = true;
                not_before(live.turn.hooked_at.map_or(now.at, |at| at + STALE));
            }
        }
        let somebody_waits = self.sessions.values().any(|live| !live.waits.is_empty());
        let is_idle = matches!(session.told.state, SessionState::Idle | SessionState::Working);
        let from = from.filter(|_| {
            is_idle && session.turn.can_be_woken() && !somebody_waits && !self.wake_off
        });
        Some(MayWake { id: id.to_owned(), after, from, only_old })
    }
}
