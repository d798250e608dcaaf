//! Sessions of tools that have hooks: the points of a turn, the messages that a session is shown, and waking.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::messages::Message;
use crate::ids::DaemonId;

/// Messages that `session.hook` answers, unless the caller sets a limit.
pub const HOOK_DEFAULT_MESSAGES: u32 = 3;
/// How many stops of a session in a row answer messages, at most. A prompt of a person begins a new row.
pub const STOPS_MAX: u32 = 3;
/// After so many messages between two agents within [`BRAKE_SECONDS`], without a prompt of a person or work between, neither
/// is woken for the other.
pub const BRAKE_MESSAGES: usize = 20;
/// After so many messages between an agent and all agents of another daemon within [`BRAKE_SECONDS`], without a prompt of a
/// person between, the agent is not woken for any of them.
pub const BRAKE_DAEMON_MESSAGES: usize = 60;
/// See [`BRAKE_MESSAGES`]. In seconds.
pub const BRAKE_SECONDS: u64 = 300;

/// A point of a session at which its tool runs a hook.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum HookPoint {
    /// The session has begun. No messages are answered; `left` counts them.
    SessionStart,
    /// A turn begins with a prompt.
    Prompt,
    /// Between two steps of a turn: tools were used.
    Step,
    /// The turn would end. Only messages that came since the last stop are answered; without any, the session is idle.
    Stop,
    /// The turn was interrupted by a person. No messages are answered; the session is idle.
    Interrupt,
    /// The session ends. No messages are answered.
    SessionEnd,
}

/// Params of `session.hook`.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct SessionHookParams {
    /// The agent.
    pub agent: String,
    /// Its project.
    pub project: String,
    /// The id of the session, as its tool says it.
    pub session: String,
    /// The point.
    pub point: HookPoint,
    /// The tool, such as `claude-code`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tool: Option<String>,
    /// The process of the tool. A session that is not live is started with it; without it, it is not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pid: Option<u32>,
    /// The folder that it works in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub folder: Option<String>,
    /// The branch that it works on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub branch: Option<String>,
    /// Whether a person wrote the prompt, or the step was work: a tool other than those of messages was used. That ends a row of
    /// messages between two agents; a prompt also ends a row of stops, and one of messages with another daemon.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub work: bool,
    /// Maximum number of messages (default 3, at most 100).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit: Option<u32>,
}

/// Params of `session.messages`.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
pub struct SessionMessagesParams {
    /// The agent.
    pub agent: String,
    /// Its project.
    pub project: String,
    /// The session. It need not be live; then the messages are those that the agent has not read.
    pub session: String,
    /// How long to wait for a message in milliseconds, at most an hour; 0 to answer at once. Meanwhile the session waits.
    #[serde(default)]
    pub timeout_ms: u64,
    /// Maximum number of messages (default 3, at most 100).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit: Option<u32>,
}

/// Result of `session.hook` and `session.messages`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct SessionMessagesResult {
    /// The oldest messages that the session was not shown yet, in arrival order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub messages: Vec<Message>,
    /// How many more there are that it was not shown.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub left: u64,
    /// What the daemon has to say to the session, once each: that it is no longer woken for somebody.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub notices: Vec<String>,
}

/// Params of `session.wake`. It is asked for all sessions of the agent that the process of this one has: the answer names the
/// one to wake.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
pub struct SessionWakeParams {
    /// The agent.
    pub agent: String,
    /// Its project.
    pub project: String,
    /// The session.
    pub session: String,
    /// How long to wait in milliseconds, at most an hour.
    pub timeout_ms: u64,
}

/// Result of `session.wake`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct SessionWakeResult {
    /// What to wake the session for; absent after the time-out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub wake: Option<Wake>,
}

/// What an idle session is woken for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Wake {
    /// The id of the session, as its tool says it.
    pub session: String,
    /// Who wrote the messages, each once, at most 10.
    pub from: Vec<WakeSender>,
    /// How many messages there are.
    pub messages: u64,
    /// Whether one of them is urgent.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub urgent: bool,
}

/// The sender of a message for which a session is woken.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
pub struct WakeSender {
    /// Its name.
    pub agent: String,
    /// Its daemon.
    pub daemon_id: DaemonId,
    /// The name of that daemon, if it is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub machine: Option<String>,
}

/// Params of `wake.switch`.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
pub struct WakeSwitchParams {
    /// The project; absent for all projects.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub project: Option<String>,
    /// Whether sessions are not woken there; absent to change nothing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub off: Option<bool>,
}

/// Result of `wake.switch`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct WakeSwitchResult {
    /// Whether no session of this machine is woken.
    pub all_off: bool,
    /// The projects whose sessions are not woken.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub projects_off: Vec<String>,
}

#[allow(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
const fn is_zero(count: &u64) -> bool {
    *count == 0
}
