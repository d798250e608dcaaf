//! Bodies of the events about agents, their sessions and groups.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::address::Address;
use crate::time::Timestamp;

/// The type of an event that announces an agent on a daemon.
pub const AGENT_JOINED: &str = "agent.joined";
/// The type of an event that removes an agent of a daemon from the lists.
pub const AGENT_REMOVED: &str = "agent.removed";
/// The type of an event that tells what the sessions of an agent do.
pub const AGENT_SESSIONS: &str = "agent.sessions";
/// The type of an event that changes the members of a group.
pub const GROUP_CHANGED: &str = "group.changed";

/// Body of [`AGENT_JOINED`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct AgentJoined {
    /// The agent's name within its project.
    pub agent: String,
    /// The name of the daemon, for those who are no peers of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub machine: Option<String>,
    /// What the agent is for. Absent: as before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub about: Option<String>,
}

/// Body of [`AGENT_REMOVED`]. Any later event of the agent makes it known again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct AgentRemoved {
    /// The agent's name within its project.
    pub agent: String,
}

/// Body of [`AGENT_SESSIONS`]: all live sessions of an agent on the daemon that created the event. The last one counts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct AgentSessions {
    /// The agent's name within its project.
    pub agent: String,
    /// Its live sessions; none: it is gone.
    pub sessions: Vec<SessionInfo>,
}

/// A session: one live tool of an agent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct SessionInfo {
    /// Its id: that of the tool, if the tool has one.
    pub id: String,
    /// The tool, such as `claude` or `codex`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tool: Option<String>,
    /// What it does.
    pub state: SessionState,
    /// The question that it has, if it needs a person.
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
    /// How a message gets to it while it is idle; absent if nobody has said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reach: Option<Reach>,
    /// Since when it has this state, by the clock of its daemon.
    pub since: Timestamp,
}

/// What a session does.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum SessionState {
    /// It has a question for a person, and goes on when that is answered.
    NeedsYou,
    /// It works.
    Working,
    /// It waits for a message.
    Waiting,
    /// It has nothing to do.
    Idle,
    /// A state that this version doesn't know.
    #[serde(other)]
    Other,
}

/// How a message gets to a session that is idle.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum Reach {
    /// It is woken: the message starts a turn.
    Wake,
    /// A hook shows it with the next prompt, or between two steps.
    Hooks,
    /// A way that this version doesn't know.
    #[serde(other)]
    Other,
}

/// Body of [`GROUP_CHANGED`]. For each member the last change counts, by hybrid clock, origin and position there.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct GroupChanged {
    /// The group's name within its project, without `@`.
    pub group: String,
    /// Members to add: agents, not groups.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub add: Vec<Address>,
    /// Members to remove.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub remove: Vec<Address>,
}
