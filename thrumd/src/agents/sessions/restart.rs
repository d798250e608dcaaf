//! What the book takes over from before a restart, so that nothing is told that did not change.
//!
//! Sessions that processes keep are stored, and watched again at once. Those that connections kept are known by what was told
//! of them last; their clients connect again in a moment.

use std::collections::BTreeSet;
use std::time::Duration;

use thrum_api::event::{Reach, SessionInfo, SessionState};
use thrum_api::{Sequence, Timestamp};
use tokio::time::Instant;

use super::book::{Book, Now, Soon};
use super::limits::{EVENT_INTERVAL, GRACE};
use super::live::{AgentKey, Keeper, KeptInfo, Live};

/// What the last event of an agent says.
#[derive(Debug, Clone)]
pub struct Told {
    pub key: AgentKey,
    pub at: Timestamp,
    pub sessions: Vec<SessionInfo>,
}

impl Live {
    /// One that was live before the restart. What its agent has not read may not have been shown to it either.
    fn returning(told: SessionInfo, keeper: Keeper) -> Self {
        let (takes_part, waker_in_grace) = (told.reach.is_some(), told.reach == Some(Reach::Wake));
        let mut live = Self { waker_in_grace, ..Self::new(told, keeper) };
        if takes_part {
            live.turn.take_part(Sequence::default());
        }
        live
    }
}

impl Book {
    /// A book of a daemon that starts now.
    pub fn starting(at: Instant) -> Self {
        let mut book = Self::default();
        book.grace_until = Some(at + GRACE);
        book
    }

    /// A session that a process keeps is live still.
    pub fn restore(&mut self, key: &AgentKey, kept: KeptInfo, keeper: Keeper) {
        let KeptInfo { told, unnamed, .. } = kept;
        let id = told.id.clone();
        let mut live = Live::returning(told, keeper);
        live.turn.unnamed = unnamed;
        let is_new = self.entry(key).sessions.insert(id, live).is_none();
        self.count += usize::from(is_new);
    }

    /// The process of a stored session has ended.
    pub fn lost(&mut self, key: &AgentKey) {
        self.unsaved.insert(key.clone());
    }

    /// Now it is known what was told before the start. `dead`: sessions whose process ended meanwhile.
    pub fn told_before(&mut self, told: Vec<Told>, dead: &BTreeSet<(AgentKey, String)>, now: Now) {
        let comes_back = self.grace_until.is_some_and(|until| until > now.at);
        for Told { key, at, sessions } in told {
            let mut returning = 0;
            let entry = self.entry(&key);
            let ago = Duration::from_millis(now.wall.millis_since(at));
            entry.free_at = Some(now.at + EVENT_INTERVAL.saturating_sub(ago));
            for session in &sessions {
                let waited = session.state == SessionState::Waiting;
                if let Some(live) = entry.sessions.get_mut(&session.id) {
                    let waits_no_more =
                        live.waits.is_empty() && live.told.state != SessionState::Waiting;
                    if comes_back && waited && waits_no_more && live.told.question.is_none() {
                        (live.wait_in_grace, live.waits_last) = (true, true);
                        live.waits_since = session.since;
                    }
                } else if comes_back
                    && !dead.contains(&(key.clone(), session.id.clone()))
                    // It has got another id already.
                    && !entry.aliases.contains_key(&session.id)
                {
                    let live = Live::returning(session.clone(), Keeper::default());
                    let live = Live { in_grace: true, ..live };
                    entry.sessions.insert(session.id.clone(), live);
                    returning += 1;
                }
            }
            entry.written = sessions;
            self.count += returning;
        }
        self.ready = true;
        let in_grace = |live: &Live| live.in_grace || live.wait_in_grace || live.waker_in_grace;
        if !self.agents.values().any(|entry| entry.sessions.values().any(in_grace)) {
            self.grace_until = None;
        }
        let keys: Vec<AgentKey> = self.agents.keys().cloned().collect();
        for key in keys {
            self.changed(&key, Soon::AtOnce, now);
        }
    }

    /// What has not come back by now is gone.
    pub(super) fn end_grace(&mut self, now: Now) {
        self.grace_until = None;
        let mut changed = Vec::new();
        for (key, entry) in &mut self.agents {
            let gone = entry.sessions.values().filter(|live| live.in_grace);
            let gone: Vec<String> = gone.map(|live| live.told.id.clone()).collect();
            let mut has_changed = false;
            for live in entry.sessions.values_mut().filter(|live| live.wait_in_grace) {
                (live.wait_in_grace, live.waits_last) = (false, false);
                live.told.since = now.wall;
                has_changed = true;
            }
            for live in entry.sessions.values_mut().filter(|live| live.waker_in_grace) {
                live.waker_in_grace = false;
                if live.turn.wakers.is_empty() && live.told.reach == Some(Reach::Wake) {
                    live.told.reach = Some(Reach::Hooks);
                    has_changed = true;
                }
            }
            if has_changed || !gone.is_empty() {
                changed.push((key.clone(), gone));
            }
        }
        for (key, gone) in changed {
            for id in gone {
                self.remove(&key, &id, Soon::AtOnce, now);
            }
            self.changed(&key, Soon::AtOnce, now);
        }
    }
}
