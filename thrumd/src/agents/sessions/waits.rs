//! A caller that waits, as a session.

use super::callers::Began;
use super::connection::LocalConnection;
use super::live::AgentKey;
use super::shared::Sessions;

/// While it exists, an agent counts as waiting.
#[derive(Debug)]
pub struct Wait {
    sessions: Sessions,
    key: AgentKey,
    began: Began,
}

impl Wait {
    /// A caller begins to wait, for this session or for none. None if the agent has no room for one more.
    pub fn begin(
        sessions: &Sessions,
        key: AgentKey,
        session: Option<&str>,
        connection: &LocalConnection,
    ) -> Option<Self> {
        let began = |book: &mut super::book::Book, now| {
            book.wait_began(&key, session, connection.id(), now)
        };
        let began = sessions.change(began)?;
        Some(Self { sessions: sessions.clone(), key, began })
    }
}

impl Drop for Wait {
    fn drop(&mut self) {
        self.sessions.change(|book, now| book.wait_ended(&self.key, &self.began, now));
    }
}
