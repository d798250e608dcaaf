//! Claims: of several callers that wait for the same agent and claim, each message is for one. It holds until the message is
//! marked read, or the connection of that caller ends: then another one gets it.
//!
//! They are in memory only. After a restart of the daemon every connection has ended.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::sync::Arc;

use parking_lot::Mutex;
use thrum_api::Sequence;
use thrum_api::local::Message;

use super::sessions::LocalConnection;
use super::waiters::News;

/// The claims of all connections. Clones share them.
#[derive(Debug, Clone, Default)]
pub(super) struct Claims(Arc<Mutex<Held>>);

#[derive(Debug, Default)]
struct Held {
    /// By reader, then by position in the log.
    messages: HashMap<String, BTreeMap<Sequence, Claim>>,
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
        agent: &str,
        connection: &LocalConnection,
    ) -> BTreeSet<Sequence> {
        let held = self.0.lock();
        let claims = held.messages.get(agent).into_iter().flatten();
        let others = claims.filter(|(_, claim)| claim.connection != connection.id());
        others.map(|(sequence, _)| *sequence).collect()
    }

    /// Claims messages for a connection; those that another one has claimed meanwhile are removed. Answers whether it
    /// has to be watched from now on.
    pub(super) fn take(
        &self,
        agent: &str,
        connection: &LocalConnection,
        messages: &mut Vec<Message>,
    ) -> bool {
        let id = connection.id();
        let mut held = self.0.lock();
        let claims = held.messages.entry(agent.to_owned()).or_default();
        messages.retain(|message| {
            let project = message.project.clone().unwrap_or_default();
            let claim = claims.entry(message.sequence).or_insert(Claim { connection: id, project });
            claim.connection == id
        });
        held.tidy(agent);
        !messages.is_empty() && held.watched.insert(id)
    }

    /// These messages need no claim any more: their reader has read them.
    pub(super) fn read(&self, agent: &str, messages: impl IntoIterator<Item = Sequence>) {
        let mut held = self.0.lock();
        if let Some(claims) = held.messages.get_mut(agent) {
            for sequence in messages {
                claims.remove(&sequence);
            }
            held.tidy(agent);
        }
    }

    /// Gives back what a connection has claimed and not read. Answers whose that is.
    pub(super) fn release(&self, connection: &LocalConnection) -> News {
        let mut news = News::default();
        let mut held = self.0.lock();
        held.watched.remove(&connection.id());
        held.messages.retain(|agent, claims| {
            claims.retain(|_, claim| {
                let is_held = claim.connection != connection.id();
                if !is_held {
                    news.add_agent(agent, &claim.project);
                }
                is_held
            });
            !claims.is_empty()
        });
        news
    }
}

impl Held {
    fn tidy(&mut self, agent: &str) {
        if self.messages.get(agent).is_some_and(BTreeMap::is_empty) {
            self.messages.remove(agent);
        }
    }
}
