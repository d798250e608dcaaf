use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Params of `socket.add`.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct SocketAddParams {
    /// The only project that can be used through it.
    pub project: String,
    /// The agent as which it sends and reads; absent: any agent of this machine and that project.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub agent: Option<String>,
    /// Its path; absent: in a folder of its own beside the socket of thrumd.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub path: Option<String>,
}

/// A narrow socket: one project, and only methods for messages, agents and sessions. Result of `socket.add`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct NarrowSocket {
    /// Its path. The folder is what to mount into a container: a socket file is another one after a restart.
    pub path: String,
    /// The only project that can be used through it.
    pub project: String,
    /// The agent as which it sends and reads; absent: any agent of this machine and that project.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub agent: Option<String>,
    /// Why it can't be used now; absent if it can.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub problem: Option<String>,
}

/// Result of `socket.list`.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct SocketListResult {
    /// The narrow sockets, by path.
    pub sockets: Vec<NarrowSocket>,
}

/// Params of `socket.remove`.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct SocketRemoveParams {
    /// Its path.
    pub path: String,
}
