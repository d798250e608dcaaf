//! Claims: of several callers that wait for the same agent and claim, each message is for one. It holds until the message is
//! marked read, or the connection of that caller ends: then another one gets it.
//!
//! A session has claims of its own, for messages that its agent has read and it was not shown: its tool may run hooks in
//! parallel.
//!
//! They are in memory only. After a restart of the daemon every connection has ended.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::sync::Arc;

use parking_lot::Mutex;
use thrum_api::Sequence;
use thrum_api::local::Message;

use super::sessions::LocalConnection;
use super::sessions::live::AgentKey;
use super::waiters::News;

/// The claims of all connections. Clones share them.
#[derive(Debug, Clone, Default)]
pub(super) struct Claims(Arc<Mutex<Held>>);

/// Whom a message is handed to once.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Reader {
    agent: String,
    /// The project and the id of a session, for messages that the agent has read.
    session: Option<(String, String)>,
}

impl Reader {
    /// An agent.
    pub(super) fn agent(agent: &str) -> Self {
        Self { agent: agent.to_owned(), session: None }
    }

    /// A session.
    pub(super) fn session(key: &AgentKey, id: &str) -> Self {
        let session = Some((key.project.clone(), id.to_owned()));
        Self { agent: key.agent.clone(), session }
    }
}

#[derive(Debug, Default)]
struct Held {
    /// By reader, then by position in the log.
    messages: HashMap<Reader, BTreeMap<Sequence, Claim>>,
    /// Connections whose end gives back what they have claimed.
    watched: HashSet<u64>,
}

#[derive(Debug)]
struct Claim {
    /// The connection that it was handed to.
    connection: u64,
    /// The project of the message, empty for none.
    project: String,
}

impl Claims {
    /// Messages of a reader that other connections have claimed.
    pub(super) fn of_others(
        &self,
        reader: &Reader,
        connection: &LocalConnection,
    ) -> BTreeSet<Sequence> {
        self.of_others_where(reader, connection, |_| true)
    }

    /// As [`Self::of_others`], of one project.
    pub(super) fn of_others_in(
        &self,
        project: &str,
        reader: &Reader,
        connection: &LocalConnection,
    ) -> BTreeSet<Sequence> {
        self.of_others_where(reader, connection, |of| of == project)
    }

    fn of_others_where(
        &self,
        reader: &Reader,
        connection: &LocalConnection,
        is_of: impl Fn(&str) -> bool,
    ) -> BTreeSet<Sequence> {
        let held = self.0.lock();
        let claims = held.messages.get(reader).into_iter().flatten();
        let others = claims.filter(|(_, claim)| claim.connection != connection.id());
        let others = others.filter(|(_, claim)| is_of(&claim.project));
        others.map(|(sequence, _)| *sequence).collect()
    }

    /// Claims messages for a connection; those that another one has claimed meanwhile are removed. Answers whether it
    /// has to be watched from now on.
    pub(super) fn take(
        &self,
        reader: &Reader,
        connection: &LocalConnection,
        messages: &mut Vec<Message>,
    ) -> bool {
        let id = connection.id();
        let mut held = self.0.lock();
        let claims = held.messages.entry(reader.clone()).or_default();
        messages.retain(|message| {
            let project = message.project.clone().unwrap_or_default();
            let claim = claims.entry(message.sequence).or_insert(Claim { connection: id, project });
            claim.connection == id
        });
        held.tidy(reader);
        !messages.is_empty() && held.watched.insert(id)
    }

    /// These messages need no claim any more: their reader has read them.
    pub(super) fn read(&self, reader: &Reader, messages: impl IntoIterator<Item = Sequence>) {
        let mut held = self.0.lock();
        if let Some(claims) = held.messages.get_mut(reader) {
            for sequence in messages {
                claims.remove(&sequence);
            }
            held.tidy(reader);
        }
    }

    /// Gives back what a connection has claimed and not read. Answers whose that is.
    pub(super) fn release(&self, connection: &LocalConnection) -> News {
        let mut news = News::default();
        let mut held = self.0.lock();
        held.watched.remove(&connection.id());
        held.messages.retain(|reader, claims| {
            claims.retain(|_, claim| {
                let is_held = claim.connection != connection.id();
                if !is_held {
                    news.add_agent(&reader.agent, &claim.project);
                }
                is_held
            });
            !claims.is_empty()
        });
        news
    }
}

impl Held {
    fn tidy(&mut self, reader: &Reader) {
        if self.messages.get(reader).is_some_and(BTreeMap::is_empty) {
            self.messages.remove(reader);
        }
    }
}
