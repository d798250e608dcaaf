use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::event::{Reach, SessionInfo, SessionState};
use crate::ids::DaemonId;
use crate::time::Timestamp;

/// Params of `agent.list`.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
pub struct AgentListParams {
    /// Only agents of this project.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub project: Option<String>,
    /// Also agents that were not seen for 30 days, that were removed, and those of daemons that no longer exist.
    #[serde(default)]
    pub all: bool,
}

/// Result of `agent.list`.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct AgentListResult {
    /// The agents, sorted by project, then by name.
    pub agents: Vec<Agent>,
}

/// What an agent does, by its sessions: that of them which comes first here.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum AgentState {
    /// A session has a question for a person.
    NeedsYou,
    /// A session works.
    Working,
    /// A session waits for a message.
    Waiting,
    /// It has a session, which has nothing to do.
    Idle,
    /// Its machine can't be reached: nobody here knows what it does.
    Unreachable,
    /// It has no session.
    Gone,
}

impl AgentState {
    /// What an agent with these sessions does.
    pub fn of(sessions: &[SessionInfo]) -> Self {
        let states = sessions.iter().map(|session| match session.state {
            SessionState::NeedsYou => Self::NeedsYou,
            SessionState::Working => Self::Working,
            SessionState::Waiting => Self::Waiting,
            SessionState::Idle | SessionState::Other => Self::Idle,
        });
        states.min().unwrap_or(Self::Gone)
    }
}

/// An agent: a name in a project on a daemon.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Agent {
    /// Its name.
    pub name: String,
    /// Its project.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub project: Option<String>,
    /// The daemon of the agent.
    pub daemon_id: DaemonId,
    /// The name of that daemon, if it is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub machine: Option<String>,
    /// What it is for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub about: Option<String>,
    /// What it does.
    pub state: AgentState,
    /// Since when, by its daemon's clock.
    pub since: Timestamp,
    /// Its live sessions; the last known ones, if its machine can't be reached.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub sessions: Vec<SessionInfo>,
    /// The time of its last event, by its daemon's clock.
    pub last_seen: Timestamp,
    /// It was removed, and has written nothing since.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub removed: bool,
    /// Its daemon no longer exists: the machine was set up anew and paired again.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub former: bool,
}

/// Params of `agent.register`.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct AgentRegisterParams {
    /// Its name.
    pub agent: String,
    /// Its project.
    pub project: String,
    /// What it is for, at most 500 characters; empty for nothing, absent: as before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub about: Option<String>,
}

/// Result of `agent.register`.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct AgentRegisterResult {
    /// The agent.
    pub agent: Agent,
    /// Other machines that have an agent of this name.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub also_on: Vec<String>,
}

/// Params of `agent.remove`.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct AgentRemoveParams {
    /// Its name: an agent of this machine.
    pub agent: String,
    /// Its project.
    pub project: String,
}

/// Params of `session.start`.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
pub struct SessionStartParams {
    /// The agent.
    pub agent: String,
    /// Its project.
    pub project: String,
    /// The id of the session, at most 128 characters; absent for a new one. A session that is live already is changed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub session: Option<String>,
    /// The tool, such as `claude`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tool: Option<String>,
    /// The process of the tool: the session ends with it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pid: Option<u32>,
    /// Whether the session ends with this connection. One of `pid` and `connection` is needed.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub connection: bool,
    /// Whether a live session with this id, or else of this process, is joined as it is: the answer is that session.
    /// Otherwise one is started. One that was started without an id gets that of the next hook or call of the same process
    /// that names one.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub join: bool,
    /// How a message gets to it while it is idle.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reach: Option<Reach>,
    /// What it does [default: `working`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub state: Option<SessionState>,
    /// The question, with the state `needs_you`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub question: Option<String>,
    /// What it works on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub task: Option<String>,
    /// The folder that it works in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub folder: Option<String>,
    /// The branch that it works on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub branch: Option<String>,
}

/// Result of `session.start` and `session.update`.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct SessionResult {
    /// The session as it is now.
    pub session: SessionInfo,
}

/// Params of `session.update`. What is absent stays as it is; an empty text removes it.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
pub struct SessionUpdateParams {
    /// The agent.
    pub agent: String,
    /// Its project.
    pub project: String,
    /// The session; absent if the agent has one only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub session: Option<String>,
    /// How a message gets to it while it is idle.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reach: Option<Reach>,
    /// What it does. Another state than `needs_you` removes the question.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub state: Option<SessionState>,
    /// The question. Without a state, it means `needs_you`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub question: Option<String>,
    /// What it works on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub task: Option<String>,
    /// The folder that it works in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub folder: Option<String>,
    /// The branch that it works on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub branch: Option<String>,
}

/// Params of `session.end`.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
pub struct SessionEndParams {
    /// The agent.
    pub agent: String,
    /// Its project.
    pub project: String,
    /// The session; absent if the agent has one only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub session: Option<String>,
}
