//! The stored sessions: those that processes keep, so that a restart of the daemon can watch these again.

use std::borrow::Cow;

use rusqlite::{Connection, Row, params};
use serde::{Deserialize, Serialize};
use thrum_api::event::SessionInfo;

use super::book::ToKeep;
use super::live::{AgentKey, KeptInfo, KeptProcess};

const SELECT: &str = "SELECT project, agent, pid, identity, info FROM live_sessions";
const DELETE: &str = "DELETE FROM live_sessions WHERE project = ?1 AND agent = ?2";
const INSERT: &str = "INSERT OR REPLACE INTO live_sessions
     (project, agent, session, pid, identity, info) VALUES (?1, ?2, ?3, ?4, ?5, ?6)";

/// A session as it was stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeptSession {
    pub key: AgentKey,
    pub info: KeptInfo,
}

/// What the column `info` holds.
#[derive(Serialize, Deserialize)]
struct Column<'a> {
    #[serde(flatten)]
    told: Cow<'a, SessionInfo>,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    unnamed: bool,
}

/// All stored sessions. Those that can't be read are left out: their agents go on as new.
pub fn all(connection: &Connection) -> rusqlite::Result<Vec<KeptSession>> {
    let mut query = connection.prepare(SELECT)?;
    let rows = query.query_map([], read)?;
    rows.filter_map(Result::transpose).collect()
}

/// Stores what these agents have.
pub fn save(connection: &Connection, agents: &[ToKeep]) -> rusqlite::Result<()> {
    for ToKeep { key, sessions } in agents {
        connection.prepare_cached(DELETE)?.execute([&key.project, &key.agent])?;
        for info in sessions {
            insert(connection, key, info)?;
        }
    }
    Ok(())
}

/// Stores one, in place of one with its id.
pub fn put(connection: &Connection, kept: &KeptSession) -> rusqlite::Result<()> {
    insert(connection, &kept.key, &kept.info)
}

fn insert(connection: &Connection, key: &AgentKey, kept: &KeptInfo) -> rusqlite::Result<()> {
    let KeptInfo { told, process: KeptProcess { pid, identity }, unnamed } = kept;
    let column = Column { told: Cow::Borrowed(told), unnamed: *unnamed };
    let Ok(info) = serde_json::to_string(&column) else { return Ok(()) };
    connection.prepare_cached(INSERT)?.execute(params![
        key.project,
        key.agent,
        told.id,
        pid,
        identity,
        info
    ])?;
    Ok(())
}

fn read(row: &Row<'_>) -> rusqlite::Result<Option<KeptSession>> {
    let key = AgentKey { project: row.get(0)?, agent: row.get(1)? };
    let process = KeptProcess { pid: row.get(2)?, identity: row.get(3)? };
    let column = serde_json::from_str(&row.get::<_, String>(4)?).ok();
    Ok(column.map(|Column { told, unnamed }| {
        let info = KeptInfo { told: told.into_owned(), process, unnamed };
        KeptSession { key, info }
    }))
}
