//! Changes of what a session tells.

use thrum_api::Timestamp;
use thrum_api::event::{Reach, SessionInfo, SessionState};
use thrum_api::local::{SessionHookParams, SessionStartParams, SessionUpdateParams};

use super::error::SessionError;
use super::texts::Texts;

/// What a caller says of a session. What is absent stays as it is; an empty text removes it.
#[derive(Debug, Clone, Default)]
pub struct Change {
    pub tool: Option<String>,
    pub state: Option<SessionState>,
    pub question: Option<String>,
    pub task: Option<String>,
    pub folder: Option<String>,
    pub branch: Option<String>,
    pub reach: Option<Reach>,
}

impl Change {
    /// What a start says.
    pub fn of_start(params: &SessionStartParams) -> Result<Self, SessionError> {
        let SessionStartParams { tool, state, question, task, folder, branch, reach, .. } =
            params.clone();
        Self { tool, state, question, task, folder, branch, reach }
            .checked(params.session.as_deref())
    }

    /// What an update says.
    pub fn of_update(params: &SessionUpdateParams) -> Result<Self, SessionError> {
        let SessionUpdateParams { state, question, task, folder, branch, reach, .. } =
            params.clone();
        let change = Self { tool: None, state, question, task, folder, branch, reach };
        change.checked(params.session.as_deref())
    }

    /// What a hook says, without the state that its point means.
    pub fn of_hook(params: &SessionHookParams) -> Result<Self, SessionError> {
        let SessionHookParams { tool, folder, branch, .. } = params.clone();
        Self { tool, folder, branch, ..Self::default() }.checked(Some(&params.session))
    }

    fn checked(mut self, session: Option<&str>) -> Result<Self, SessionError> {
        Texts {
            session,
            tool: self.tool.as_deref(),
            question: self.question.as_deref(),
            task: self.task.as_deref(),
            folder: self.folder.as_deref(),
            branch: self.branch.as_deref(),
        }
        .check()?;
        let asks = self.question.as_deref().is_some_and(|question| !question.is_empty());
        match self.state {
            Some(SessionState::Other) => return Err(SessionError::State),
            Some(state) if asks && state != SessionState::NeedsYou => {
                return Err(SessionError::Question);
            }
            None if asks => self.state = Some(SessionState::NeedsYou),
            _ => {}
        }
        Ok(self)
    }

    /// The session with this change.
    pub fn applied(&self, to: &SessionInfo, now: Timestamp) -> SessionInfo {
        let mut changed = to.clone();
        if let Some(state) = self.state.filter(|state| *state != changed.state) {
            (changed.state, changed.since) = (state, now);
        }
        set(&mut changed.tool, self.tool.as_ref());
        set(&mut changed.question, self.question.as_ref());
        set(&mut changed.task, self.task.as_ref());
        set(&mut changed.folder, self.folder.as_ref());
        set(&mut changed.branch, self.branch.as_ref());
        changed.reach = self.reach.or(changed.reach);
        if changed.state != SessionState::NeedsYou {
            changed.question = None;
        }
        changed
    }

    /// A new session that says this.
    pub fn new_session(&self, id: String, now: Timestamp) -> SessionInfo {
        self.applied(&bare(id, SessionState::Working, now), now)
    }
}

fn set(field: &mut Option<String>, text: Option<&String>) {
    if let Some(text) = text {
        *field = Some(text.clone()).filter(|text| !text.is_empty());
    }
}

/// A session of which nothing is known but its state.
pub fn bare(id: String, state: SessionState, since: Timestamp) -> SessionInfo {
    SessionInfo {
        id,
        tool: None,
        state,
        question: None,
        task: None,
        folder: None,
        branch: None,
        reach: None,
        since,
    }
}
