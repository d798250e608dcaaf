//! Queries of readers: their inbox, the oldest unread message, the agents.

use rusqlite::{Connection, OptionalExtension, Row, params};
use thrum_api::local::{Agent, InboxResult, Message, WaitResult};
use thrum_api::{EventId, Sequence, Timestamp};

use super::error::{AgentsError, views};
use super::store::Store;
use crate::log::column::{daemon_id, event_id, uint};

/// Bytes of text and recipients in one response at most. Further messages come with the next one.
const INBOX_MAX_BYTES: usize = 4 * 1024 * 1024;

macro_rules! messages {
    ($from:literal) => {
        concat!(
            "SELECT m.sequence, m.event_id, m.project, m.sender, m.origin, m.recipients, m.to_all,
                    m.timestamp, m.text, i.read
             FROM inbox i ",
            $from
        )
    };
}

/// `?1` agent, `?2` project, `?3` read, `?4` limit.
const OLDEST: &str = messages!(
    "CROSS JOIN messages m ON m.sequence = i.sequence
     WHERE i.agent = ?1 AND i.project = ?2 AND i.read = ?3 ORDER BY i.sequence LIMIT ?4"
);
const NEWEST: &str = messages!(
    "CROSS JOIN messages m ON m.sequence = i.sequence
     WHERE i.agent = ?1 AND i.project = ?2 AND i.read = ?3 ORDER BY i.sequence DESC LIMIT ?4"
);
const OLDEST_ANYWHERE: &str = messages!(
    "INDEXED BY inbox_of_all_projects CROSS JOIN messages m ON m.sequence = i.sequence
     WHERE i.agent = ?1 AND ?2 IS NULL AND i.read = ?3 ORDER BY i.sequence LIMIT ?4"
);
const NEWEST_ANYWHERE: &str = messages!(
    "INDEXED BY inbox_of_all_projects CROSS JOIN messages m ON m.sequence = i.sequence
     WHERE i.agent = ?1 AND ?2 IS NULL AND i.read = ?3 ORDER BY i.sequence DESC LIMIT ?4"
);
const UNREAD_HERE: &str = "SELECT messages FROM unread WHERE agent = ?1 AND project = ?2";
const UNREAD_ANYWHERE: &str = "SELECT COALESCE(SUM(messages), 0) FROM unread WHERE agent = ?1";
const KNOWN_HERE: &str =
    "SELECT EXISTS (SELECT 1 FROM agents WHERE project = ?1 AND name = ?2 AND origin = ?3)";
const KNOWN_ANYWHERE: &str =
    "SELECT EXISTS (SELECT 1 FROM agents WHERE project = ?1 AND name = ?2)";
const AGENTS_OF: &str = "SELECT project, name, origin, last_seen FROM agents WHERE project = ?1
     ORDER BY project, name, origin";
const AGENTS: &str =
    "SELECT project, name, origin, last_seen FROM agents ORDER BY project, name, origin";
const FOR_READER: &str = "SELECT i.project, i.sequence
     FROM messages m CROSS JOIN inbox i INDEXED BY inbox_of_all_projects
       ON i.agent = ?1 AND i.read = 0 AND i.sequence = m.sequence
     WHERE m.event_id = ?2";

/// Every query for a reader: none may scan rows whose number grows with the log.
#[cfg(test)]
pub(super) const QUERIES: &[&str] = &[
    OLDEST,
    NEWEST,
    OLDEST_ANYWHERE,
    NEWEST_ANYWHERE,
    UNREAD_HERE,
    UNREAD_ANYWHERE,
    KNOWN_HERE,
    KNOWN_ANYWHERE,
    AGENTS_OF,
    FOR_READER,
];

/// A reader's query. Project None means all projects.
#[derive(Debug, Clone)]
pub(super) struct InboxQuery {
    pub(super) agent: String,
    pub(super) project: Option<String>,
    pub(super) unread_only: bool,
    pub(super) read_only: bool,
    pub(super) limit: usize,
}

impl Store {
    /// The oldest unread messages, then the newest read ones while they fit; in arrival order.
    pub(super) fn inbox(&self, query: &InboxQuery) -> Result<InboxResult, AgentsError> {
        let doing = views("read an inbox");
        let mut budget = ResponseBudget { messages: query.limit, bytes: INBOX_MAX_BYTES };
        let mut messages = Vec::new();
        if !query.read_only {
            messages = self.read(query, false, &mut budget).map_err(&doing)?;
        }
        if !query.unread_only {
            messages.extend(self.read(query, true, &mut budget).map_err(&doing)?);
            messages.sort_by_key(|message| message.sequence);
        }
        let everywhere = self.unread(UNREAD_ANYWHERE, [&query.agent]).map_err(&doing)?;
        let unread = self.unread_of(query).map_err(&doing)?;
        Ok(InboxResult { messages, unread, unread_elsewhere: everywhere.saturating_sub(unread) })
    }

    /// The oldest unread messages. Without any, the number of unread ones is not looked up: whoever waits
    /// asks with every event that arrives.
    pub(super) fn oldest_unread(&self, query: &InboxQuery) -> Result<WaitResult, AgentsError> {
        let doing = views("read an inbox");
        let mut budget = ResponseBudget { messages: query.limit, bytes: INBOX_MAX_BYTES };
        let messages = self.read(query, false, &mut budget).map_err(&doing)?;
        if messages.is_empty() {
            return Ok(WaitResult::default());
        }
        let shown = u64::try_from(messages.len()).unwrap_or(u64::MAX);
        let left = self.unread_of(query).map_err(&doing)?.saturating_sub(shown);
        Ok(WaitResult { messages, left })
    }

    /// Marks messages read by `agent`. Messages that it did not get or has read cost no write.
    pub(super) fn mark_read(&mut self, agent: &str, ids: &[EventId]) -> Result<(), AgentsError> {
        let doing = views("mark messages read");
        let unread = ids.iter().filter_map(|id| {
            let found = for_reader(&self.connection, agent, *id).transpose()?;
            Some(found.map(|(project, sequence)| (*id, project, sequence)))
        });
        let unread: Vec<_> = unread.collect::<Result<_, _>>().map_err(&doing)?;
        if unread.is_empty() {
            return Ok(());
        }
        let transaction = self.connection.transaction().map_err(&doing)?;
        for (id, project, sequence) in unread {
            mark(&transaction, agent, id, &project, sequence).map_err(&doing)?;
        }
        transaction.commit().map_err(&doing)
    }

    /// Whether the agent was seen on this daemon.
    pub(super) fn knows(&self, project: &str, name: &str) -> Result<bool, AgentsError> {
        let origin = self.daemon.ulid().to_bytes();
        self.connection
            .prepare_cached(KNOWN_HERE)
            .and_then(|mut query| query.query_row(params![project, name, origin], |row| row.get(0)))
            .map_err(views("look for an agent"))
    }

    /// Those of `names` that were not seen in this project on any daemon.
    pub(super) fn unknown(
        &self,
        project: &str,
        names: &[String],
    ) -> Result<Vec<String>, AgentsError> {
        let mut unknown = Vec::new();
        for name in names {
            let known: bool = self
                .connection
                .prepare_cached(KNOWN_ANYWHERE)
                .and_then(|mut query| query.query_row([project, name], |row| row.get(0)))
                .map_err(views("look for an agent"))?;
            if !known {
                unknown.push(name.clone());
            }
        }
        Ok(unknown)
    }

    /// Agents by project, name and daemon.
    pub(super) fn agents(&self, project: Option<&str>) -> Result<Vec<Agent>, AgentsError> {
        let doing = views("list agents");
        let query = if project.is_some() { AGENTS_OF } else { AGENTS };
        let mut query = self.connection.prepare_cached(query).map_err(&doing)?;
        let rows = query.query_map(rusqlite::params_from_iter(project), agent).map_err(&doing)?;
        rows.collect::<Result<_, _>>().map_err(&doing)
    }

    fn read(
        &self,
        query: &InboxQuery,
        read: bool,
        budget: &mut ResponseBudget,
    ) -> rusqlite::Result<Vec<Message>> {
        // Unread messages come from the oldest on, read ones from the newest back.
        let sql = match (&query.project, read) {
            (Some(_), false) => OLDEST,
            (Some(_), true) => NEWEST,
            (None, false) => OLDEST_ANYWHERE,
            (None, true) => NEWEST_ANYWHERE,
        };
        let limit = i64::try_from(budget.messages).unwrap_or(i64::MAX);
        let mut statement = self.connection.prepare_cached(sql)?;
        let mut rows = statement.query(params![query.agent, query.project, read, limit])?;
        let mut messages = Vec::new();
        while let Some(row) = rows.next()? {
            let message = message(row)?;
            if !budget.takes(&message) {
                break;
            }
            messages.push(message);
        }
        Ok(messages)
    }

    fn unread_of(&self, query: &InboxQuery) -> rusqlite::Result<u64> {
        match &query.project {
            None => self.unread(UNREAD_ANYWHERE, [&query.agent]),
            Some(project) => self.unread(UNREAD_HERE, [&query.agent, project]),
        }
    }

    fn unread<const N: usize>(&self, query: &str, of: [&String; N]) -> rusqlite::Result<u64> {
        let count: Option<i64> = self
            .connection
            .prepare_cached(query)?
            .query_row(rusqlite::params_from_iter(of), |row| row.get(0))
            .optional()?;
        Ok(count.map_or(0, uint))
    }
}

/// How much still fits into a response.
struct ResponseBudget {
    messages: usize,
    bytes: usize,
}

impl ResponseBudget {
    fn takes(&mut self, message: &Message) -> bool {
        let bytes = message.text.len() + message.to.iter().map(String::len).sum::<usize>();
        let fits = bytes <= self.bytes;
        self.messages = if fits { self.messages.saturating_sub(1) } else { 0 };
        self.bytes = self.bytes.saturating_sub(bytes);
        fits
    }
}

/// The key in the agent's inbox of a message that it has not read.
fn for_reader(
    connection: &Connection,
    agent: &str,
    id: EventId,
) -> rusqlite::Result<Option<(String, i64)>> {
    connection
        .prepare_cached(FOR_READER)?
        .query_row(params![agent, id.ulid().to_bytes()], |row| Ok((row.get(0)?, row.get(1)?)))
        .optional()
}

fn mark(
    connection: &Connection,
    agent: &str,
    id: EventId,
    project: &str,
    sequence: i64,
) -> rusqlite::Result<()> {
    let moved = connection
        .prepare_cached(
            "UPDATE inbox SET read = 1 WHERE agent = ? AND project = ? AND read = 0 AND sequence = ?",
        )?
        .execute(params![agent, project, sequence])?;
    if moved == 0 {
        // The same id twice in one call.
        return Ok(());
    }
    connection
        .prepare_cached("INSERT OR IGNORE INTO read_marks (agent, event_id) VALUES (?, ?)")?
        .execute(params![agent, id.ulid().to_bytes()])?;
    connection
        .prepare_cached(
            "UPDATE unread SET messages = messages - 1 WHERE agent = ? AND project = ?",
        )?
        .execute([agent, project])?;
    Ok(())
}

fn project(stored: String) -> Option<String> {
    Some(stored).filter(|name| !name.is_empty())
}

fn message(row: &Row<'_>) -> rusqlite::Result<Message> {
    let recipients: String = row.get(5)?;
    Ok(Message {
        sequence: Sequence(uint(row.get(0)?)),
        event_id: event_id(row.get(1)?),
        project: project(row.get(2)?),
        from: row.get(3)?,
        origin_daemon: daemon_id(row.get(4)?),
        machine: None,
        to: recipients.lines().map(str::to_owned).collect(),
        all: row.get(6)?,
        timestamp: Timestamp::from_millis(row.get(7)?),
        text: row.get(8)?,
        read: row.get(9)?,
    })
}

fn agent(row: &Row<'_>) -> rusqlite::Result<Agent> {
    Ok(Agent {
        project: project(row.get(0)?),
        name: row.get(1)?,
        daemon_id: daemon_id(row.get(2)?),
        machine: None,
        last_seen: Timestamp::from_millis(row.get(3)?),
        former: false,
    })
}
