//! Callers that wait, in the book. Each wait has a number: sessions come and go with the same id.

use thrum_api::event::SessionState;

use super::book::{Book, Now, Soon};
use super::change::bare;
use super::entry::Entry;
use super::live::{AgentKey, Keeper, Live};

/// A wait that has begun.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Began {
    /// The session that waits.
    pub id: String,
    pub number: u64,
}

impl Book {
    /// A caller waits: the session with this id, or that of its connection, or a new one. Answers which; None if there
    /// is no room for a new one.
    pub fn wait_began(
        &mut self,
        key: &AgentKey,
        named: Option<&str>,
        connection: u64,
        now: Now,
    ) -> Option<Began> {
        let is_of = |live: &&Live| live.keeper.connection == Some(connection) && !live.only_waits;
        let entry = self.agents.get(key);
        let own = entry.and_then(|entry| entry.sessions.values().find(is_of));
        let id = match (named, own) {
            (Some(id), _) => self.id_of(key, id).to_owned(),
            (None, Some(own)) => own.told.id.clone(),
            (None, None) => entry.map_or_else(|| Entry::default().waiter_id(), Entry::waiter_id),
        };
        let is_live = entry.is_some_and(|entry| entry.sessions.contains_key(&id));
        if !is_live {
            self.check_room(key).ok()?;
            self.forget_the_gone(key, now);
            let told = bare(id.clone(), SessionState::Waiting, now.wall);
            let live = Live { only_waits: true, ..Live::new(told, Keeper::default()) };
            self.count += 1;
            self.entry(key).sessions.insert(id.clone(), live);
        }
        let number = self.last_wait + 1;
        let live = self.live(key, &id)?;
        if live.waits.is_empty() {
            live.waits_since = now.wall;
        }
        // One that came back has nothing yet that keeps it but this wait.
        live.only_waits |= std::mem::take(&mut live.in_grace);
        live.waits.insert(number);
        (live.waits_last, live.wait_in_grace) = (true, false);
        self.last_wait = number;
        self.changed(key, Soon::AtOnce, now);
        Some(Began { id, number })
    }

    /// A caller waits no more.
    pub fn wait_ended(&mut self, key: &AgentKey, began: &Began, now: Now) {
        // Meanwhile it may have another id.
        let waits = |(_, live): &(&String, &mut Live)| live.waits.contains(&began.number);
        let sessions = self.agents.get_mut(key).into_iter().flat_map(|it| &mut it.sessions);
        let Some((id, live)) = sessions.into_iter().find(waits) else { return };
        live.waits.remove(&began.number);
        if !live.waits.is_empty() {
            return;
        }
        if live.only_waits {
            let id = id.clone();
            self.remove(key, &id, Soon::Later, now);
            return;
        }
        if std::mem::take(&mut live.waits_last) {
            live.told.since = now.wall;
        }
        self.changed(key, Soon::Later, now);
    }

    /// A session has ended, and callers wait for it still: the agent is not gone before they are.
    pub(super) fn only_waits_now(&mut self, key: &AgentKey, id: &str, now: Now) {
        let Some(live) = self.live(key, id) else { return };
        live.told = bare(id.to_owned(), SessionState::Waiting, live.waits_since);
        let keeper = std::mem::take(&mut live.keeper);
        (live.only_waits, live.waits_last) = (true, true);
        if keeper.process.is_some() {
            self.unsaved.insert(key.clone());
        }
        self.changed(key, Soon::AtOnce, now);
    }
}
