//! How the session of a tool is woken.

use thrum_api::local::Wake;

use super::{claude, codex};
use crate::clock;
use crate::mcp::who::Who;
use crate::setup::Tool;
use crate::wake_text;

/// A way to wake sessions of a tool.
#[derive(Debug, Clone)]
pub enum Waker {
    /// By the session's own socket.
    Claude(claude::Inbox),
    /// By the tool's program.
    Codex(codex::Queue),
}

impl Waker {
    /// The way for this agent, if the person asked for waking. OpenCode's plugin does it without this server.
    ///
    /// # Errors
    /// Why there is none although it was asked for.
    pub fn of(who: &Who) -> Result<Option<Self>, String> {
        if !who.identity.wake {
            return Ok(None);
        }
        match who.tool {
            Tool::ClaudeCode => claude::Inbox::of_environment().map(|it| Some(Self::Claude(it))),
            Tool::Codex => codex::Queue::find(who.pid, &who.folder).map(|it| Some(Self::Codex(it))),
            _ => Ok(None),
        }
    }

    /// Wakes the session, once.
    ///
    /// # Errors
    /// Why it could not be woken. Whether it woke, the daemon hears from its hooks.
    pub async fn wake(&self, agent: &str, wake: &Wake) -> Result<(), String> {
        let text = wake_text::text(agent, wake, clock::now());
        match self {
            Self::Claude(inbox) => inbox.write(&text).await,
            Self::Codex(queue) => queue.add(&wake.session, &text).await,
        }
    }
}
