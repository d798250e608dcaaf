//! The book of the live sessions of this machine: decides what is told of them, and when. It has no I/O and no clock.
//!
//! The first change of an agent is told at once, later ones together when five seconds have passed since; nothing is told
//! that others know already.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::time::Duration;

use thrum_api::Timestamp;
use thrum_api::event::{Reach, SessionInfo};
use thrum_api::local::AgentState;
use tokio::time::Instant;

use super::change::Change;
use super::entry::Entry;
use super::error::SessionError;
use super::limits::{
    AGENT_MAX_BYTES, EVENT_INTERVAL, SESSIONS_MAX, SESSIONS_OF_AGENT_MAX, WAIT_LINGER,
};
use super::live::{AgentKey, Keeper, KeptInfo, Live};
use super::wake_off::WakeOff;

/// The moment of an input.
#[derive(Debug, Clone, Copy)]
pub struct Now {
    pub at: Instant,
    /// By the wall clock.
    pub wall: Timestamp,
}

/// How soon a change is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Soon {
    AtOnce,
    /// It may be over in a moment.
    Later,
}

/// What is told of an agent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Due {
    pub key: AgentKey,
    pub sessions: Vec<SessionInfo>,
}

/// The sessions that processes keep, of one agent, as they are stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ToKeep {
    pub key: AgentKey,
    pub sessions: Vec<KeptInfo>,
}

/// What the agents of this machine do.
#[derive(Debug, Default)]
pub struct Shown {
    pub agents: HashMap<AgentKey, ShownAgent>,
    /// Those that are missing have no session.
    pub is_complete: bool,
}

/// What an agent of this machine does.
#[derive(Debug)]
pub struct ShownAgent {
    pub sessions: Vec<SessionInfo>,
    /// When its last session ended, if it was since the start.
    pub gone_at: Option<Timestamp>,
}

/// The book.
#[derive(Debug, Default)]
pub struct Book {
    pub(super) agents: BTreeMap<AgentKey, Entry>,
    /// Agents with something to tell, by when.
    due: BTreeSet<(Instant, AgentKey)>,
    /// Agents whose sessions are not stored as they are.
    pub(super) unsaved: BTreeSet<AgentKey>,
    /// How many sessions there are.
    pub(super) count: usize,
    /// The number of the last wait.
    pub(super) last_wait: u64,
    /// It is known what was told before the start.
    pub(super) ready: bool,
    /// The daemon stops: nothing is told any more.
    frozen: bool,
    /// Where sessions are not woken.
    pub(super) wake_off: WakeOff,
    /// When sessions that have not come back since the start are gone.
    pub(super) grace_until: Option<Instant>,
}

impl Book {
    /// Starts a session, or changes one that is live. Answers it as it is now.
    pub fn start(
        &mut self,
        key: &AgentKey,
        id: String,
        change: &Change,
        mut keeper: Keeper,
        now: Now,
    ) -> Result<SessionInfo, SessionError> {
        let id = self.id_of(key, &id).to_owned();
        let entry = self.agents.get(key);
        let live = entry.and_then(|entry| entry.sessions.get(&id));
        // One that only waited has said nothing of itself yet.
        let told = match live.filter(|live| !live.only_waits) {
            Some(live) => change.applied(&live.told, now.wall),
            None => change.new_session(id.clone(), now.wall),
        };
        let is_new = live.is_none();
        if is_new {
            self.check_room(key)?;
        }
        self.check_size(key, &told)?;
        keeper.take_place(live)?;
        if is_new {
            self.forget_the_gone(key, now);
        }
        self.count += usize::from(is_new);
        let entry = self.entry(key);
        let live =
            entry.sessions.entry(id).or_insert_with(|| Live::new(told.clone(), Keeper::default()));
        (live.told, live.keeper) = (told, keeper);
        (live.only_waits, live.in_grace) = (false, false);
        if change.state.is_some() {
            (live.waits_last, live.wait_in_grace) = (false, false);
        }
        let shown = live.told.clone();
        self.unsaved.insert(key.clone());
        self.changed(key, Soon::AtOnce, now);
        Ok(shown)
    }

    /// Changes a session: the one with this id, or the only one.
    pub fn update(
        &mut self,
        key: &AgentKey,
        id: Option<&str>,
        change: &Change,
        now: Now,
    ) -> Result<SessionInfo, SessionError> {
        let id = self.resolve(key, id)?;
        let live = self.live(key, &id).ok_or_else(|| unknown(key, Some(&id), Vec::new()))?;
        let told = change.applied(&live.told, now.wall);
        self.check_size(key, &told)?;
        if let Some(live) = self.live(key, &id) {
            live.told.clone_from(&told);
            if change.state.is_some() {
                (live.waits_last, live.wait_in_grace) = (false, false);
            }
        }
        self.unsaved.insert(key.clone());
        self.changed(key, Soon::AtOnce, now);
        Ok(told)
    }

    /// Ends a session: the one with this id, or the only one.
    pub fn end(&mut self, key: &AgentKey, id: Option<&str>, now: Now) -> Result<(), SessionError> {
        let id = self.resolve(key, id)?;
        match self.live(key, &id).is_some_and(|live| !live.waits.is_empty()) {
            true => self.only_waits_now(key, &id, now),
            false => self.remove(key, &id, Soon::AtOnce, now),
        }
        Ok(())
    }

    /// What kept a session has ended, as the watch with this number tells.
    pub fn keeper_ended(&mut self, key: &AgentKey, id: &str, watch: u64, now: Now) {
        let number = |live: &mut Live| live.keeper.watch.as_ref().map(|watch| watch.number);
        // The session may have got another id since.
        let id = self.id_of(key, id).to_owned();
        if self.live(key, &id).and_then(number) == Some(watch) {
            self.remove(key, &id, Soon::AtOnce, now);
        }
    }

    /// When there is something to do next.
    pub fn next_due(&self) -> Option<Instant> {
        let told = self.due.first().map(|(at, _)| *at).filter(|_| self.ready && !self.frozen);
        told.into_iter().chain(self.grace_until.filter(|_| self.ready)).min()
    }

    /// What is to be told now, of so many agents at most.
    pub fn take_due(&mut self, max: usize, now: Now) -> Vec<Due> {
        if !self.ready || self.frozen {
            return Vec::new();
        }
        if self.grace_until.is_some_and(|at| at <= now.at) {
            self.end_grace(now);
        }
        let mut taken = Vec::new();
        while let Some((at, key)) = self.due.pop_first() {
            if at > now.at || taken.len() == max {
                self.due.insert((at, key));
                break;
            }
            let Some(entry) = self.agents.get_mut(&key) else { continue };
            let sessions = entry.shown();
            entry.due = None;
            entry.free_at = Some(now.at + EVENT_INTERVAL);
            entry.before = Some(std::mem::replace(&mut entry.written, sessions.clone()));
            taken.push(Due { key, sessions });
        }
        taken
    }

    /// What was taken is in the log.
    pub fn written(&mut self, taken: &[Due]) {
        for due in taken {
            if let Some(entry) = self.agents.get_mut(&due.key) {
                (entry.before, entry.tried) = (None, true);
            }
        }
    }

    /// What was taken is not in the log: it is due again at `retry`.
    pub fn failed(&mut self, taken: &[Due], retry: Instant, now: Now) {
        for due in taken {
            if let Some(entry) = self.agents.get_mut(&due.key) {
                entry.written = entry.before.take().unwrap_or_default();
                (entry.free_at, entry.tried) = (Some(retry), true);
            }
            self.changed(&due.key, Soon::AtOnce, now);
        }
    }

    /// What is not stored as it is.
    pub fn take_unsaved(&mut self) -> Vec<ToKeep> {
        let unsaved = std::mem::take(&mut self.unsaved);
        let of = |key: AgentKey| {
            let sessions = self.agents.get(&key).into_iter().flat_map(|entry| {
                entry.sessions.values().filter_map(|live| {
                    let (told, unnamed) = (live.told.clone(), live.turn.unnamed);
                    Some(KeptInfo { told, process: live.keeper.process.clone()?, unnamed })
                })
            });
            ToKeep { sessions: sessions.collect(), key }
        };
        unsaved.into_iter().map(of).collect()
    }

    /// What was taken to be stored is not: it is taken again with the next change.
    pub fn not_saved(&mut self, taken: Vec<ToKeep>) {
        self.unsaved.extend(taken.into_iter().map(|to_keep| to_keep.key));
    }

    /// What was stored may be lost: all of it is stored again.
    pub fn none_is_saved(&mut self) {
        let is_kept =
            |entry: &Entry| entry.sessions.values().any(|live| live.keeper.process.is_some());
        let kept = self.agents.iter().filter(|(_, entry)| is_kept(entry));
        self.unsaved.extend(kept.map(|(key, _)| key.clone()));
    }

    /// Whether a start of this agent is stored, and told or not to be told now.
    pub fn is_settled(&self, key: &AgentKey, now: Instant) -> bool {
        let is_told = |entry: &Entry| {
            let not_now = entry.due.is_none_or(|at| at > now) && entry.before.is_none();
            entry.tried || (self.ready && not_now)
        };
        self.frozen || (!self.unsaved.contains(key) && self.agents.get(key).is_none_or(is_told))
    }

    /// What the agents of a project do, or all.
    pub fn shown(&self, project: Option<&str>) -> Shown {
        let asked = |key: &AgentKey| project.is_none_or(|project| project == key.project);
        let of = |(key, entry): (&AgentKey, &Entry)| {
            let (sessions, gone_at) = (entry.shown(), entry.gone_at);
            (key.clone(), ShownAgent { sessions, gone_at })
        };
        let agents = self.agents.iter().filter(|(key, _)| asked(key)).map(of).collect();
        Shown { agents, is_complete: self.ready }
    }

    /// What an agent of this machine does. None while it is unknown who has a session.
    pub fn state(&self, key: &AgentKey) -> Option<AgentState> {
        match self.agents.get(key) {
            Some(entry) => Some(AgentState::of(&entry.shown())),
            None => self.ready.then_some(AgentState::Gone),
        }
    }

    /// The best way in which a message gets to an idle session of an agent of this machine. None as for [`Self::state`].
    pub fn reach(&self, key: &AgentKey) -> Option<Option<Reach>> {
        match self.agents.get(key) {
            Some(entry) => Some(entry.reach()),
            None => self.ready.then_some(None),
        }
    }

    /// Nothing is told any more.
    pub fn freeze(&mut self) {
        self.frozen = true;
    }

    /// Finds out whether there is something to tell of an agent, and when.
    pub(super) fn changed(&mut self, key: &AgentKey, soon: Soon, now: Now) {
        let Some(entry) = self.agents.get_mut(key) else { return };
        entry.version += 1;
        let before = entry.due.take();
        if let Some(at) = before {
            self.due.remove(&(at, key.clone()));
        }
        // Before that it is unknown what others know.
        if !self.ready || entry.is_known() {
            return;
        }
        let linger = if soon == Soon::Later { WAIT_LINGER } else { Duration::ZERO };
        let earliest = (now.at + linger).max(entry.free_at.unwrap_or(now.at));
        let at = before.map_or(earliest, |before| before.min(earliest));
        entry.due = Some(at);
        self.due.insert((at, key.clone()));
    }

    pub(super) fn remove(&mut self, key: &AgentKey, id: &str, soon: Soon, now: Now) {
        let Some(entry) = self.agents.get_mut(key) else { return };
        if let Some(live) = entry.sessions.remove(id) {
            entry.aliases.retain(|_, to| to != id);
            self.count -= 1;
            if live.keeper.process.is_some() {
                self.unsaved.insert(key.clone());
            }
        }
        if entry.sessions.is_empty() {
            entry.gone_at = Some(now.wall);
        }
        self.changed(key, soon, now);
    }

    /// Forgets agents that are gone, and all know it, once there are many entries. `key`: for whom another one is made.
    pub(super) fn forget_the_gone(&mut self, key: &AgentKey, now: Now) {
        if self.agents.len() > 2 * SESSIONS_MAX {
            self.agents.retain(|other, entry| other == key || !entry.is_empty(now.at));
        }
    }

    /// The entry of an agent.
    pub(super) fn entry(&mut self, key: &AgentKey) -> &mut Entry {
        let wake_off = self.wake_off.has(&key.project);
        let new = || Entry { wake_off, ..Entry::default() };
        self.agents.entry(key.clone()).or_insert_with(new)
    }

    pub(super) fn live(&mut self, key: &AgentKey, id: &str) -> Option<&mut Live> {
        self.agents.get_mut(key)?.sessions.get_mut(id)
    }

    /// The id of the session that a caller means.
    pub(super) fn resolve(&self, key: &AgentKey, id: Option<&str>) -> Result<String, SessionError> {
        let entry = self.agents.get(key);
        let id = id.map(|id| self.id_of(key, id));
        let has = entry.map(Entry::ids).unwrap_or_default();
        match id {
            Some(id) if entry.is_some_and(|entry| entry.sessions.contains_key(id)) => {
                Ok(id.to_owned())
            }
            Some(id) => Err(unknown(key, Some(id), has)),
            None => match has.as_slice() {
                [] => Err(unknown(key, None, has)),
                [one] => Ok(one.clone()),
                _ => Err(SessionError::Several { agent: key.agent.clone(), has }),
            },
        }
    }

    /// Whether there is room for another session of this agent.
    pub(super) fn check_room(&self, key: &AgentKey) -> Result<(), SessionError> {
        let of_agent = self.agents.get(key).map_or(0, |entry| entry.sessions.len());
        if of_agent >= SESSIONS_OF_AGENT_MAX {
            return Err(SessionError::TooManyOfAgent { agent: key.agent.clone() });
        }
        if self.count >= SESSIONS_MAX {
            return Err(SessionError::TooMany);
        }
        Ok(())
    }

    pub(super) fn check_size(
        &self,
        key: &AgentKey,
        session: &SessionInfo,
    ) -> Result<(), SessionError> {
        let bytes = self.agents.get(key).map_or(0, |entry| entry.bytes_with(session));
        if bytes > AGENT_MAX_BYTES {
            return Err(SessionError::TooLarge { agent: key.agent.clone() });
        }
        Ok(())
    }
}

fn unknown(key: &AgentKey, session: Option<&str>, has: Vec<String>) -> SessionError {
    let (agent, session) = (key.agent.clone(), session.map(str::to_owned));
    SessionError::Unknown { agent, session, has }
}
