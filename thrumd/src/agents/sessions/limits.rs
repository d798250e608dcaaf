//! Limits of sessions.

use std::time::Duration;

/// Sessions of one agent at most.
pub const SESSIONS_OF_AGENT_MAX: usize = 64;
/// Sessions of this machine at most. Each that a process keeps has a file descriptor.
pub const SESSIONS_MAX: usize = 3000;
/// Sessions that are started over one narrow socket at most.
pub const SESSIONS_OF_NARROW_MAX: usize = 64;
/// Bytes of all sessions of an agent as JSON at most, so that they fit into an event.
pub const AGENT_MAX_BYTES: usize = 200 * 1024;
/// At most one event tells of an agent's sessions in this time.
pub const EVENT_INTERVAL: Duration = Duration::from_secs(5);
/// The end of a wait is told only after this long: most who wait do so again at once.
pub const WAIT_LINGER: Duration = Duration::from_secs(5);
/// How long sessions of connections that were live before a restart are not told to be gone.
pub const GRACE: Duration = Duration::from_secs(10);
