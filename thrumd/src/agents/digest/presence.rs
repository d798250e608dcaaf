//! Digests what daemons tell of their agents' sessions.

use rusqlite::params;
use serde::Deserialize;
use thrum_api::event::{AgentSessions, SessionInfo};
use thrum_api::{DaemonId, Hlc};

use super::super::failure::Failure;
use super::{Page, parsed};
use crate::log::StoredEvent;
use crate::log::column::int;

/// Sessions in an event at most: more than this version writes, since others may have other limits.
const SESSIONS_MAX: usize = 128;
/// Characters of a text of a session at most, likewise.
const TEXT_MAX_CHARS: usize = 4096;

#[derive(Deserialize)]
struct ParsedSessions {
    origin_daemon: DaemonId,
    hlc: Hlc,
    body: AgentSessions,
}

impl Page<'_> {
    pub(super) fn sessions(&mut self, event: &StoredEvent<'_>) -> Result<(), Failure> {
        let ParsedSessions { origin_daemon, hlc, body } = parsed(event)?;
        check(&body.sessions)?;
        let inbox = self.directory.project(event.project)?.inbox(self.connection, &body.agent)?;
        // An agent that is gone does nothing more: one that was removed stays so.
        if !body.sessions.is_empty() {
            self.note_seen(inbox, origin_daemon, event)?;
        }
        let json = serde_json::to_string(&body.sessions).map_err(Failure::undigestible)?;
        self.connection
            .prepare_cached(
                "INSERT INTO presence (inbox, origin, hlc, at, sessions) VALUES (?1, ?2, ?3, ?4, ?5)
                 ON CONFLICT (inbox, origin) DO UPDATE SET
                 hlc = excluded.hlc, at = excluded.at, sessions = excluded.sessions
                 WHERE excluded.hlc >= presence.hlc",
            )?
            .execute(params![
                inbox,
                origin_daemon.to_bytes(),
                int(hlc.to_bits()),
                event.timestamp,
                json
            ])?;
        Ok(())
    }
}

fn check(sessions: &[SessionInfo]) -> Result<(), Failure> {
    let count = sessions.len();
    if count > SESSIONS_MAX {
        let reason = format!("it has {count} sessions, more than {SESSIONS_MAX}");
        return Err(Failure::undigestible(reason));
    }
    for session in sessions {
        let SessionInfo { id, tool, question, task, folder, branch, .. } = session;
        let texts = [tool, question, task, folder, branch].into_iter().flatten();
        let is_long = |text: &String| text.chars().count() > TEXT_MAX_CHARS;
        if is_long(id) || texts.into_iter().any(is_long) {
            let reason = format!("a text of a session has more than {TEXT_MAX_CHARS} characters");
            return Err(Failure::undigestible(reason));
        }
    }
    Ok(())
}
