//! The setting that lets a grant in the tailnet's policy replace the pairing code.

use serde::{Deserialize, Serialize};

/// The capability that is required unless a person names another.
pub const DEFAULT_CAPABILITY: &str = "thrum.dev/cap/pair";

/// Pairing by policy, as a person set it. Off by default.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct PairingPolicy {
    /// Whether it is on.
    pub on: bool,
    /// The application capability that a caller must have been granted towards this machine.
    pub capability: String,
}

impl Default for PairingPolicy {
    fn default() -> Self {
        Self { on: false, capability: DEFAULT_CAPABILITY.to_owned() }
    }
}

impl PairingPolicy {
    /// Whether it was never set.
    pub(super) fn is_default(&self) -> bool {
        *self == Self::default()
    }
}

/// Why this is not the name of a capability (`DOMAIN/PATH`, as in the policy); None if it is one.
pub fn wrong_capability(name: &str) -> Option<&'static str> {
    const MAX_BYTES: usize = 200;
    let printable = |text: &str| text.bytes().all(|byte| byte.is_ascii_graphic());
    match name.split_once('/') {
        _ if name.len() > MAX_BYTES => Some("it has more than 200 characters"),
        _ if !printable(name) => Some("it has a space or a character that is not ASCII"),
        _ if name.contains("://") => Some("it must not be a URL: leave out https://"),
        Some((domain, path)) if domain.contains('.') && !path.is_empty() => None,
        _ => Some("it must be DOMAIN/PATH, as in the tailnet's policy"),
    }
}
