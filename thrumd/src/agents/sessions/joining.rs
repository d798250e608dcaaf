//! Joining a session, in the book: a program of a tool takes part in the session that the tool's hooks have started, or
//! starts one that they give their id.

use thrum_api::Sequence;
use thrum_api::event::{Reach, SessionInfo, SessionState};

use super::book::{Book, Now, Soon};
use super::change::Change;
use super::entry::Ended;
use super::live::{AgentKey, Keeper, Live};
use super::room::SessionRoom;

/// Sessions of an agent at most that have ended and whose process may begin another one.
const ENDED_MAX: usize = 8;

impl Live {
    /// Whether something but a wait keeps it.
    pub(super) const fn is_whole(&self) -> bool {
        !self.only_waits && !self.in_grace
    }

    /// Whether a connection keeps it, and no process.
    fn is_of_connection(&self) -> bool {
        let Keeper { process, connection, .. } = &self.keeper;
        self.is_whole() && connection.is_some() && process.is_none()
    }

    pub(super) fn is_of(&self, pid: u32) -> bool {
        self.is_whole() && self.keeper.process.as_ref().is_some_and(|it| it.pid == pid)
    }
}

impl Book {
    /// Joins a live session as it is: the one with this id, or else the one of this process whose hook ran last. `at`: the
    /// end of the log.
    pub fn join(
        &mut self,
        key: &AgentKey,
        named: Option<&str>,
        pid: Option<u32>,
        reach: Option<Reach>,
        (at, now): (Sequence, Now),
    ) -> Option<SessionInfo> {
        self.name_unnamed(key, named, pid, now);
        let by_id = named.map(|named| self.id_of(key, named)).filter(|id| self.is_whole(key, id));
        let id = by_id.or_else(|| {
            let sessions = &self.agents.get(key)?.sessions;
            let of_process =
                sessions.iter().filter(|(_, live)| pid.is_some_and(|it| live.is_of(it)));
            of_process.max_by_key(|(_, live)| live.turn.hooked_at).map(|(id, _)| id.as_str())
        });
        let id = id?.to_owned();
        self.take_part(key, &id, at);
        self.tell(key, &id, &Change { reach, ..Change::default() }, now);
        self.live(key, &id).map(|live| live.told.clone())
    }

    /// A program that has learnt the id of the tool gives it to the session of the process that has none.
    fn name_unnamed(&mut self, key: &AgentKey, named: Option<&str>, pid: Option<u32>, now: Now) {
        let (Some(named), Some(pid)) = (named, pid) else { return };
        // An id that means a live session is that one's.
        if self.is_whole(key, self.id_of(key, named)) {
            return;
        }
        if let Some(unnamed) = self.unnamed(key, pid) {
            self.rename(key, &unnamed, named);
            self.changed(key, Soon::AtOnce, now);
        }
    }

    /// A session is shown messages from now on.
    pub fn take_part(&mut self, key: &AgentKey, id: &str, at: Sequence) {
        if let Some(live) = self.live(key, id) {
            live.turn.take_part(at);
        }
    }

    /// A hook of this process names the id of a session that was started without one.
    pub fn is_unnamed(&mut self, key: &AgentKey, id: &str) {
        if let Some(live) = self.live(key, id) {
            live.turn.unnamed = true;
        }
    }

    /// A program on this connection wakes a session. Answers whether that is new.
    pub fn wakes(&mut self, key: &AgentKey, named: &str, connection: u64) -> bool {
        let id = self.id_of(key, named).to_owned();
        self.live(key, &id).is_some_and(|live| live.turn.wakers.insert(connection))
    }

    /// The connection of a program that woke a session has ended. With the last one, hooks alone show it messages.
    pub fn wakes_no_more(&mut self, key: &AgentKey, named: &str, connection: u64, now: Now) {
        let id = self.id_of(key, named).to_owned();
        for ended in self.agents.get_mut(key).into_iter().flat_map(|entry| &mut entry.ended) {
            ended.wakers.remove(&connection);
        }
        let Some(live) = self.live(key, &id) else { return };
        live.turn.wakers.remove(&connection);
        if live.turn.wakers.is_empty() && live.told.reach == Some(Reach::Wake) {
            let change = Change { reach: Some(Reach::Hooks), ..Change::default() };
            self.tell(key, &id, &change, now);
        }
    }

    pub(super) fn is_whole(&self, key: &AgentKey, id: &str) -> bool {
        let live = self.agents.get(key).and_then(|entry| entry.sessions.get(id));
        live.is_some_and(Live::is_whole)
    }

    /// The session of this process that has no id of its tool yet.
    pub(super) fn unnamed(&self, key: &AgentKey, pid: u32) -> Option<String> {
        let sessions = &self.agents.get(key)?.sessions;
        let unnamed = sessions.iter().find(|(_, live)| live.turn.unnamed && live.is_of(pid));
        unnamed.map(|(id, _)| id.clone())
    }

    /// Gives a session another id, under which callers that wait for it are found, too. The one that it had goes on to
    /// mean it.
    pub(super) fn rename(&mut self, key: &AgentKey, from: &str, to: &str) {
        let Some(entry) = self.agents.get_mut(key) else { return };
        let Some(mut live) = entry.sessions.remove(from) else { return };
        live.told.id = to.to_owned();
        live.turn.unnamed = false;
        if let Some(waiting) = entry.sessions.remove(to) {
            self.count -= 1;
            live.waits.extend(waiting.waits);
        }
        entry.sessions.insert(to.to_owned(), live);
        entry.aliases.values_mut().filter(|id| *id == from).for_each(|id| *id = to.to_owned());
        entry.aliases.insert(from.to_owned(), to.to_owned());
        self.unsaved.insert(key.clone());
    }

    /// A tool ends a session that a connection alone keeps, as in a container: its program goes on, and so does the session,
    /// without an id, until a hook names the next one. Answers whether it is such a one.
    pub(super) fn loses_its_id(&mut self, key: &AgentKey, id: &str, now: Now) -> bool {
        let live = self.live(key, id).filter(|live| live.is_of_connection());
        let Some(live) = live else { return false };
        live.turn.unnamed = true;
        let state = Some(SessionState::Idle);
        self.tell(key, id, &Change { state, ..Change::default() }, now);
        self.changed(key, Soon::AtOnce, now);
        true
    }

    /// A hook without a process gives its id to the only session of the same socket that a connection keeps and that has
    /// none. Answers whether it has.
    pub(super) fn gets_its_id(
        &mut self,
        key: &AgentKey,
        id: &str,
        room: Option<&SessionRoom>,
        now: Now,
    ) -> bool {
        let is_whole = self.is_whole(key, id);
        let Some(entry) = self.agents.get_mut(key) else { return false };
        let is_unnamed = |live: &Live| {
            let is_of_socket = SessionRoom::is_same(live.keeper.room.as_ref(), room);
            live.turn.unnamed && live.is_of_connection() && is_of_socket
        };
        let mut unnamed = entry.sessions.iter_mut().filter(|(_, live)| is_unnamed(live));
        let from = match (unnamed.next(), unnamed.next()) {
            // The tool goes on with it.
            (Some((from, live)), None) if from == id => {
                live.turn.unnamed = false;
                None
            }
            (Some((from, _)), None) if !is_whole => Some(from.clone()),
            _ => return false,
        };
        if let Some(from) = from {
            self.rename(key, &from, id);
        }
        self.changed(key, Soon::AtOnce, now);
        true
    }

    /// From now on only this keeps a session.
    pub(super) fn keep_by(&mut self, key: &AgentKey, id: &str, keeper: Keeper, now: Now) {
        if let Some(live) = self.live(key, id) {
            live.keeper = keeper;
        }
        self.unsaved.insert(key.clone());
        self.changed(key, Soon::AtOnce, now);
    }

    /// A tool has ended a session: its process may begin another one, which goes on as this one for who has joined it.
    pub(super) fn note_ended(&mut self, key: &AgentKey, id: &str, at: Sequence) {
        let Some(entry) = self.agents.get_mut(key) else { return };
        let Some(live) = entry.sessions.get(id) else { return };
        let Some(pid) = live.keeper.process.as_ref().map(|process| process.pid) else { return };
        let (reach, wakers) = (live.told.reach, live.turn.wakers.clone());
        let aliases =
            entry.aliases.iter().filter(|(_, to)| *to == id).map(|(from, _)| from.clone());
        let names = aliases.chain([id.to_owned()]).collect();
        entry.ended.push_back(Ended { pid, at, names, reach, wakers });
        if entry.ended.len() > ENDED_MAX {
            entry.ended.pop_front();
        }
    }

    /// The sessions that this process has ended mean this one now. Who woke them wakes it, also for what came between.
    pub(super) fn follow_ended(&mut self, key: &AgentKey, pid: Option<u32>, id: &str, now: Now) {
        let (Some(entry), Some(pid)) = (self.agents.get_mut(key), pid) else { return };
        let Some(live) = entry.sessions.get_mut(id) else { return };
        let mut is_woken = false;
        entry.ended.retain(|ended| {
            let follows = ended.pid == pid;
            if follows {
                let names = ended.names.iter().filter(|name| *name != id);
                entry.aliases.extend(names.map(|name| (name.clone(), id.to_owned())));
                live.turn.wakers.extend(&ended.wakers);
                live.turn.take_part(ended.at);
                is_woken |= ended.reach == Some(Reach::Wake) && !ended.wakers.is_empty();
            }
            !follows
        });
        if is_woken {
            let change = Change { reach: Some(Reach::Wake), ..Change::default() };
            self.tell(key, id, &change, now);
        }
    }
}
