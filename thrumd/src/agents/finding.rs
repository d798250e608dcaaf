//! Finding a message by what a person types: its id, or the last characters of it.

use std::collections::BTreeSet;

use thrum_api::event::EventRef;
use thrum_api::local::{Message, MessageFindParams};
use thrum_api::{EventId, Sequence, names};

use super::error::{AgentsError, log_unread, views};
use super::store::Store;
use super::{Agents, broadcasts, project};
use crate::log::LogReader;
use crate::log::column::uint;

/// Messages that an agent got, and that it sent, among which an abbreviated id is looked for: the newest.
const AMONG: i64 = 1000;
/// Characters of an abbreviated id at least.
const ID_MIN_CHARS: usize = 4;
/// Ids that are named when several are meant.
const NAMED_MAX: usize = 5;

/// `?1` agent, `?2` project, or NULL for all.
const INBOXES: &str = "SELECT i.id, i.project, i.settled IS NOT NULL
     FROM inboxes i CROSS JOIN projects p ON p.id = i.project
     WHERE i.agent = ?1 AND (?2 IS NULL OR p.name = ?2)";
const NEWEST_GOT: &str = "SELECT sequence FROM deliveries
     WHERE inbox = ?1 AND read = ?2 ORDER BY sequence DESC LIMIT ?3";
const NEWEST_SENT: &str =
    "SELECT sequence FROM sent WHERE inbox = ?1 ORDER BY sequence DESC LIMIT ?2";

/// As in `inbox`: none may scan rows whose number grows with the log.
#[cfg(test)]
pub(super) const QUERIES: &[&str] = &[INBOXES, NEWEST_GOT, NEWEST_SENT];

impl Agents {
    /// The message that a person means with an id, or the end of one. With a project it is of that project.
    ///
    /// # Errors
    /// When names or the id are invalid, when there is none or several, and when the views can't be brought up to the log.
    pub async fn find(&self, params: MessageFindParams) -> Result<Message, AgentsError> {
        let (agent, project) = (names::agent(&params.agent)?, project(params.project)?);
        let typed = params.id.trim().to_ascii_uppercase();
        self.digested(self.inner.log.head().position.sequence).await?;
        let log = self.inner.log.reader();
        self.read(move |store| store.find(&log, &agent, project.as_deref(), &typed)).await
    }
}

impl Store {
    fn find(
        &self,
        log: &LogReader,
        agent: &str,
        project: Option<&str>,
        typed: &str,
    ) -> Result<Message, AgentsError> {
        let is_end = typed.chars().all(|c| c.is_ascii_alphanumeric());
        if !is_end || typed.len() < ID_MIN_CHARS {
            let problem = format!("{typed:?} is no id of a message, nor its last 4 characters");
            return Err(AgentsError::MessageId(crate::report::brief(&problem)));
        }
        let named: BTreeSet<EventRef> = match typed.parse::<EventId>() {
            Ok(event_id) => {
                let found = log.find([event_id]).map_err(log_unread)?;
                let found = found.into_iter().flatten();
                found.map(|it| EventRef { event_id, origin_daemon: it.origin }).collect()
            }
            Err(_) => BTreeSet::new(),
        };
        // Of one id that several daemons have given, the agent means the one that it knows.
        let among = if named.len() == 1 { named } else { self.known(log, agent, project, typed)? };
        let mut found = Vec::new();
        for of in among {
            match self.message(log, of, agent) {
                // A whole id leads to a message of any project.
                Ok(message) if project.is_none() || message.project.as_deref() == project => {
                    found.push(message);
                }
                Ok(_) => {}
                Err(AgentsError::NoMessage { .. } | AgentsError::DeletedMessage { .. }) => {}
                Err(error) => return Err(error),
            }
        }
        match found.len() {
            0 | 1 => found.pop().ok_or_else(|| AgentsError::NoMessageLike(typed.to_owned())),
            count => {
                let ids = found.iter().rev().take(NAMED_MAX).map(|it| it.event_id.to_string());
                let ids: Vec<String> = ids.collect();
                let problem = format!("{count} messages have ids that end with {typed}");
                Err(AgentsError::MessageId(format!("{problem}, such as {}", ids.join(", "))))
            }
        }
    }

    /// The newest messages that the agent got or sent whose ids end with this.
    fn known(
        &self,
        log: &LogReader,
        agent: &str,
        project: Option<&str>,
        end: &str,
    ) -> Result<BTreeSet<EventRef>, AgentsError> {
        let (mut got, mut sent) =
            self.newest(agent, project).map_err(views("look for messages"))?;
        let among = usize::try_from(AMONG).unwrap_or(usize::MAX);
        for sequences in [&mut got, &mut sent] {
            sequences.sort_unstable_by(|a, b| b.cmp(a));
            sequences.dedup();
            sequences.truncate(among);
        }
        let places = got.into_iter().chain(sent).map(|sequence| Sequence(uint(sequence)));
        let names = log.names_at(places).map_err(log_unread)?;
        let names = names.into_iter().map(|(_, name)| name);
        Ok(names.filter(|name| name.event_id.to_string().ends_with(end)).collect())
    }

    /// Where the newest messages are that the agent got and that it sent, of each inbox.
    fn newest(&self, agent: &str, project: Option<&str>) -> rusqlite::Result<(Vec<i64>, Vec<i64>)> {
        let (mut got, mut sent) = (Vec::new(), Vec::new());
        let mut inboxes = self.connection.prepare_cached(INBOXES)?;
        let mut inboxes = inboxes.query(rusqlite::params![agent, project])?;
        while let Some(row) = inboxes.next()? {
            let (inbox, project, of_local_agent): (i64, i64, bool) =
                (row.get(0)?, row.get(1)?, row.get(2)?);
            let mut newest_got = self.connection.prepare_cached(NEWEST_GOT)?;
            for read in [0, 1] {
                for sequence in newest_got.query_map([inbox, read, AMONG], |row| row.get(0))? {
                    got.push(sequence?);
                }
            }
            if of_local_agent {
                got.extend(broadcasts::newest(&self.connection, project, AMONG)?);
            }
            let mut newest_sent = self.connection.prepare_cached(NEWEST_SENT)?;
            for sequence in newest_sent.query_map([inbox, AMONG], |row| row.get(0))? {
                sent.push(sequence?);
            }
        }
        Ok((got, sent))
    }
}
