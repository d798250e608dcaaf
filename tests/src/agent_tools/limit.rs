use std::time::Duration;

/// The limit for what a tool does by itself. Codex looks for what others queued for it every ten seconds, and the machine may
/// be busy.
pub const TOOL_LIMIT: Duration = Duration::from_secs(90);
