//! The stored sessions: those that processes keep, so that a restart of the daemon can watch these again.

use rusqlite::{Connection, Row, params};
use thrum_api::event::SessionInfo;

use super::book::ToKeep;
use super::live::{AgentKey, KeptProcess};

const SELECT: &str = "SELECT project, agent, pid, identity, info FROM live_sessions";
const DELETE: &str = "DELETE FROM live_sessions WHERE project = ?1 AND agent = ?2";
const INSERT: &str = "INSERT OR REPLACE INTO live_sessions
     (project, agent, session, pid, identity, info) VALUES (?1, ?2, ?3, ?4, ?5, ?6)";

/// A session as it was stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeptSession {
    pub key: AgentKey,
    pub told: SessionInfo,
    pub process: KeptProcess,
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
        for (told, process) in sessions {
            insert(connection, key, told, process)?;
        }
    }
    Ok(())
}

/// Stores one, in place of one with its id.
pub fn put(connection: &Connection, kept: &KeptSession) -> rusqlite::Result<()> {
    insert(connection, &kept.key, &kept.told, &kept.process)
}

fn insert(
    connection: &Connection,
    key: &AgentKey,
    told: &SessionInfo,
    process: &KeptProcess,
) -> rusqlite::Result<()> {
    let Ok(info) = serde_json::to_string(told) else { return Ok(()) };
    let KeptProcess { pid, identity } = process;
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
    let told = serde_json::from_str(&row.get::<_, String>(4)?).ok();
    Ok(told.map(|told| KeptSession { key, told, process }))
}
