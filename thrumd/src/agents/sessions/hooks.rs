//! Hooks of tools, in the book: what a session does, and which messages it may be shown.

use std::collections::BTreeSet;

use thrum_api::Sequence;
use thrum_api::event::{Reach, SessionState};
use thrum_api::local::HookPoint;

use super::book::{Book, Now, Soon};
use super::change::Change;
use super::live::{AgentKey, Keeper, same_but_since};
use super::room::SessionRoom;
use super::turn::Turn;

/// Sessions of an agent at most that are not live and whose stops are counted, such as those of a container.
const STRANGERS_MAX: usize = 64;

/// A hook that runs.
#[derive(Debug)]
pub struct Hook<'a> {
    pub point: HookPoint,
    pub change: &'a Change,
    /// A person wrote the prompt, or the step was work.
    pub work: bool,
    /// The end of the log.
    pub at: Sequence,
    /// Of the narrow socket that it came over.
    pub room: Option<&'a SessionRoom>,
}

/// What a session may be shown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MayShow {
    /// The id of the session.
    pub id: String,
    /// Only what is after this position; None: nothing.
    pub after: Option<Sequence>,
}

impl Book {
    /// Whether a hook of this session needs the process of its tool watched: it is not live, or that process alone is to keep
    /// it from now on.
    pub fn hook_needs_process(&self, key: &AgentKey, id: &str, pid: u32) -> bool {
        let id = self.id_of(key, id);
        let live = self.agents.get(key).and_then(|entry| entry.sessions.get(id));
        live.filter(|live| live.is_whole()).is_none_or(|live| {
            let process = live.keeper.process.as_ref();
            live.keeper.connection.is_some() && process.is_some_and(|it| it.pid == pid)
        })
    }

    /// A hook runs. A session that is not live is started if something keeps it. One that can't be is shown messages all the
    /// same. At a stop, [`Book::stopped`] follows.
    pub fn hook(
        &mut self,
        key: &AgentKey,
        named: &str,
        hook: &Hook<'_>,
        keeper: Option<Keeper>,
        now: Now,
    ) -> MayShow {
        let id = self.id_of(key, named).to_owned();
        if hook.point == HookPoint::SessionEnd {
            if self.loses_its_id(key, &id, now) {
                return MayShow { id, after: None };
            }
            self.note_ended(key, &id, hook.at);
            // One that isn't live has ended already.
            drop(self.end(key, Some(&id), now));
            self.forget_stranger(key, &id);
            return MayShow { id, after: None };
        }
        match keeper {
            Some(keeper) => self.hook_keeps(key, &id, hook, keeper, now),
            None if self.gets_its_id(key, &id, hook.room, now) => self.forget_stranger(key, &id),
            None => {}
        }
        self.apply_hook(key, &id, hook, now);
        self.has_woken_up(key, &id);
        let turn = self.turn(key, &id, now);
        turn.take_part(hook.at);
        turn.hooked_at = Some(now.at);
        if matches!(hook.point, HookPoint::Prompt | HookPoint::Step) {
            (turn.answered_at, turn.interrupted) = (None, false);
        }
        if hook.point == HookPoint::Prompt && hook.work {
            turn.stops = 0;
        }
        let after = match hook.point {
            HookPoint::Prompt | HookPoint::Step => Some(Sequence::default()),
            HookPoint::Stop => Some(turn.stopped).filter(|_| turn.may_go_on()),
            HookPoint::SessionStart | HookPoint::Interrupt | HookPoint::SessionEnd => None,
        };
        match hook.point {
            HookPoint::Prompt if hook.work => self.entry(key).brake.release(),
            _ if hook.work => self.entry(key).brake.has_worked(),
            _ => {}
        }
        if hook.point == HookPoint::Interrupt {
            // A person wants it to be idle.
            self.turn(key, &id, now).interrupted = true;
            self.wakes_for_newer(key, hook.at);
        }
        // It may be woken from now on, or no longer.
        self.changed(key, Soon::AtOnce, now);
        MayShow { id, after }
    }

    /// A stop has answered messages, so that the turn goes on, or none. If the hook that answered runs twice, the other run
    /// changes nothing. `at`: the end of the log before it looked.
    pub fn stopped(&mut self, key: &AgentKey, id: &str, answered: bool, at: Sequence, now: Now) {
        let turn = self.turn(key, id, now);
        if !answered && turn.stops_twice(now.at) {
            return;
        }
        let is_held = !turn.may_go_on();
        turn.has_stopped(answered, at, now.at);
        if is_held {
            self.wakes_for_newer(key, at);
        }
        let state = if answered { SessionState::Working } else { SessionState::Idle };
        let asks = self.live(key, id).is_some_and(|it| it.told.state == SessionState::NeedsYou);
        // A question stays when the turn has ended.
        if answered || !asks {
            self.tell(key, id, &Change { state: Some(state), ..Change::default() }, now);
        }
    }

    /// A session was shown messages. Those that are `new` to its agent are still to be shown to the other sessions. Answers
    /// the id of the session, and whether there are others.
    pub fn was_shown(
        &mut self,
        key: &AgentKey,
        named: &str,
        messages: &BTreeSet<Sequence>,
        new: &BTreeSet<Sequence>,
    ) -> (String, bool) {
        let shown = self.id_of(key, named).to_owned();
        let mut others = false;
        let sessions = self.agents.get_mut(key).into_iter().flat_map(|it| &mut it.sessions);
        for (id, live) in sessions {
            if *id == shown {
                live.turn.pending.retain(|sequence| !messages.contains(sequence));
                live.turn.woken.retain(|sequence| !messages.contains(sequence));
            } else if live.turn.takes_part && !live.only_waits {
                new.iter().for_each(|sequence| live.turn.add_pending(*sequence));
                others |= !new.is_empty();
            }
        }
        (shown, others)
    }

    /// Messages that a session is to be shown although its agent has read them.
    pub fn pending(&self, key: &AgentKey, named: &str) -> BTreeSet<Sequence> {
        let id = self.id_of(key, named);
        let live = self.agents.get(key).and_then(|entry| entry.sessions.get(id));
        live.map(|live| live.turn.pending.clone()).unwrap_or_default()
    }

    /// Messages that a session was to be shown are gone.
    pub fn not_pending(&mut self, key: &AgentKey, id: &str, gone: &[Sequence]) {
        if let Some(live) = self.live(key, id) {
            gone.iter().for_each(|sequence| {
                live.turn.pending.remove(sequence);
            });
        }
    }

    /// The present id of a session that a caller names.
    pub fn id_of<'a>(&'a self, key: &AgentKey, named: &'a str) -> &'a str {
        self.agents.get(key).map_or(named, |entry| entry.id_of(named))
    }

    /// The process of a tool keeps the session of a hook: one that is live, one that was joined before the first hook, or a
    /// new one.
    fn hook_keeps(&mut self, key: &AgentKey, id: &str, hook: &Hook<'_>, keeper: Keeper, now: Now) {
        let pid = keeper.process.as_ref().map(|process| process.pid);
        if self.is_whole(key, id) {
            self.keep_by(key, id, keeper, now);
        } else if let Some(unnamed) = pid.and_then(|pid| self.unnamed(key, pid)) {
            self.rename(key, &unnamed, id);
            self.keep_by(key, id, keeper, now);
        } else {
            let new = Change { state: Some(begins_as(hook.point)), ..hook.change.clone() };
            if self.start(key, id.to_owned(), &new, keeper, now).is_err() {
                return;
            }
        }
        self.forget_stranger(key, id);
        self.follow_ended(key, pid, id, now);
    }

    /// What a hook says of a live session.
    fn apply_hook(&mut self, key: &AgentKey, id: &str, hook: &Hook<'_>, now: Now) {
        let Some(live) = self.live(key, id) else { return };
        let asks = live.told.state == SessionState::NeedsYou;
        let state = match hook.point {
            HookPoint::Prompt => Some(SessionState::Working),
            // With the tools of messages alone it has only just asked.
            HookPoint::Step if hook.work || !asks => Some(SessionState::Working),
            // Later ones come in the middle of a turn, too.
            HookPoint::SessionStart if live.turn.hooked_at.is_none() => Some(SessionState::Idle),
            HookPoint::Interrupt if !asks => Some(SessionState::Idle),
            _ => None,
        };
        let reach = live.told.reach.or(Some(Reach::Hooks));
        self.tell(key, id, &Change { state, reach, ..hook.change.clone() }, now);
    }

    /// Changes what is told of a session, if that says anything new.
    pub(super) fn tell(&mut self, key: &AgentKey, id: &str, change: &Change, now: Now) {
        let Some(live) = self.live(key, id) else { return };
        let told = change.applied(&live.told, now.wall);
        let waited = change.state.is_some() && (live.waits_last || live.wait_in_grace);
        if change.state.is_some() {
            (live.waits_last, live.wait_in_grace) = (false, false);
        }
        if (same_but_since(&told, &live.told) && !waited) || self.check_size(key, &told).is_err() {
            return;
        }
        if let Some(live) = self.live(key, id) {
            live.told = told;
        }
        self.unsaved.insert(key.clone());
        self.changed(key, Soon::AtOnce, now);
    }

    /// The turn of a session, live or not.
    fn turn(&mut self, key: &AgentKey, id: &str, now: Now) -> &mut Turn {
        if !self.agents.contains_key(key) {
            self.forget_the_gone(key, now);
        }
        let entry = self.entry(key);
        if let Some(live) = entry.sessions.get_mut(id) {
            return &mut live.turn;
        }
        if entry.strangers.len() >= STRANGERS_MAX && !entry.strangers.contains_key(id) {
            let oldest = entry.strangers.iter().min_by_key(|(_, turn)| turn.hooked_at);
            if let Some(oldest) = oldest.map(|(id, _)| id.clone()) {
                entry.strangers.remove(&oldest);
            }
        }
        entry.strangers.entry(id.to_owned()).or_default()
    }

    fn forget_stranger(&mut self, key: &AgentKey, id: &str) {
        if let Some(entry) = self.agents.get_mut(key) {
            entry.strangers.remove(id);
        }
    }
}

/// What a session does whose first hook is this one.
const fn begins_as(point: HookPoint) -> SessionState {
    match point {
        HookPoint::SessionStart | HookPoint::Interrupt | HookPoint::SessionEnd => {
            SessionState::Idle
        }
        HookPoint::Prompt | HookPoint::Step | HookPoint::Stop => SessionState::Working,
    }
}
