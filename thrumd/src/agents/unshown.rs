//! The messages that a session was not shown yet: those that its agent has not read, and those that it has read in another
//! session.

use std::collections::BTreeSet;

use thrum_api::local::Message;
use thrum_api::{Sequence, Timestamp};

use super::error::{AgentsError, views};
use super::filter::is_delivered;
use super::inbox::{Answer, Entry, Inbox, InboxQuery, Shown};
use super::store::Store;
use crate::log::LogReader;
use crate::log::column::{int, uint};

/// What a session asks for.
#[derive(Debug)]
pub(super) struct UnshownQuery {
    pub(super) agent: String,
    pub(super) project: String,
    pub(super) limit: usize,
    /// Only those after this position; None: none, they are counted.
    pub(super) after: Option<Sequence>,
    /// Messages that the agent has read in another session.
    pub(super) pending: BTreeSet<Sequence>,
    /// Unread messages that are handed to other callers.
    pub(super) held: BTreeSet<Sequence>,
    /// Pending ones that are handed to another hook of the session.
    pub(super) held_pending: BTreeSet<Sequence>,
}

/// What it gets.
#[derive(Debug)]
pub(super) struct Unshown {
    /// In arrival order. Those that the agent has read are marked so.
    pub(super) messages: Vec<Message>,
    /// How many more there are.
    pub(super) left: u64,
    /// Pending ones that are in the inbox no more.
    pub(super) gone: Vec<Sequence>,
    /// When the agent was seen on this machine.
    pub(super) seen: Option<Timestamp>,
}

impl Store {
    /// The oldest messages that a session was not shown yet.
    pub(super) fn unshown(
        &self,
        log: &LogReader,
        query: &UnshownQuery,
    ) -> Result<Answer<Unshown>, AgentsError> {
        let doing = views("read an inbox");
        let inboxes = self.inboxes(&query.as_inbox()).map_err(&doing)?;
        let unread: u64 = inboxes.iter().map(|inbox| inbox.unread).sum();
        let mut entries = self.free_entries(query, &inboxes).map_err(&doing)?;
        let (mut pending, mut gone) = (0_u64, Vec::new());
        for sequence in query.pending.difference(&query.held_pending) {
            let at = int(sequence.0);
            let inbox = inboxes.iter().find_map(|inbox| {
                let is_there = is_delivered(&self.connection, inbox.id, at, true);
                is_there.map(|it| it.then_some(inbox.id)).transpose()
            });
            match inbox.transpose().map_err(&doing)? {
                Some(inbox) => {
                    pending += 1;
                    if query.after.is_some_and(|after| *sequence > after) {
                        entries.push(Entry { inbox, sequence: at, read: true });
                    }
                }
                None => gone.push(*sequence),
            }
        }
        entries.sort_unstable_by_key(|entry| entry.sequence);
        entries.truncate(query.limit);
        let mut shown = Shown::new(query.limit);
        shown.add(log, &entries)?;
        let held = u64::try_from(query.held.len()).unwrap_or(u64::MAX);
        let all = unread.saturating_sub(held).saturating_add(pending);
        let seen = self.last_seen(&query.project, &query.agent)?;
        Ok(shown.answer(|messages| {
            let count = u64::try_from(messages.len()).unwrap_or(u64::MAX);
            Unshown { messages, left: all.saturating_sub(count), gone, seen }
        }))
    }

    /// Where the unread messages are that nobody else is being shown.
    pub(super) fn unread_entries_after(
        &self,
        query: &UnshownQuery,
    ) -> Result<Vec<Entry>, AgentsError> {
        let inboxes = self.inboxes(&query.as_inbox());
        let entries = inboxes.and_then(|inboxes| self.free_entries(query, &inboxes));
        entries.map_err(views("read an inbox"))
    }

    fn free_entries(
        &self,
        query: &UnshownQuery,
        inboxes: &[Inbox],
    ) -> rusqlite::Result<Vec<Entry>> {
        let Some(after) = query.after else { return Ok(Vec::new()) };
        let most = query.limit + query.held.len();
        let mut oldest = self.oldest_unread_of(inboxes, int(after.0), most)?;
        oldest.retain(|entry| !query.held.contains(&Sequence(uint(entry.sequence))));
        Ok(oldest)
    }

    /// Those of these messages that are unread in this inbox.
    pub(super) fn unread_of(
        &self,
        query: &UnshownQuery,
        messages: &[Sequence],
    ) -> Result<BTreeSet<Sequence>, AgentsError> {
        let doing = views("read an inbox");
        let mut unread = BTreeSet::new();
        for inbox in self.inboxes(&query.as_inbox()).map_err(&doing)? {
            for sequence in messages {
                let at = int(sequence.0);
                if is_delivered(&self.connection, inbox.id, at, false).map_err(&doing)? {
                    unread.insert(*sequence);
                }
            }
        }
        Ok(unread)
    }
}

impl UnshownQuery {
    fn as_inbox(&self) -> InboxQuery {
        InboxQuery {
            agent: self.agent.clone(),
            project: Some(self.project.clone()),
            unread_only: true,
            read_only: false,
            limit: self.limit,
            filter: None,
        }
    }
}
