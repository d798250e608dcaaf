//! Whether the tailnet's policy may stand in for the pairing code.

use serde::{Deserialize, Serialize};

/// The capability that is looked for unless a person names another.
pub const DEFAULT_CAPABILITY: &str = "thrum.dev/cap/pair";

/// What a person allowed. Off by default.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct PairingPolicy {
    /// It may.
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
    /// Nothing was ever said about it.
    pub(super) fn is_default(&self) -> bool {
        *self == Self::default()
    }
}

/// What is wrong with the name of a capability, if something is: `DOMAIN/PATH`, as in the policy.
pub fn wrong_capability(name: &str) -> Option<&'static str> {
    const MAX_BYTES: usize = 200;
    let printable = |text: &str| text.bytes().all(|byte| byte.is_ascii_graphic());
    match name.split_once('/') {
        _ if name.len() > MAX_BYTES => Some("it has more than 200 characters"),
        _ if !printable(name) => Some("it has a blank or a character that is not ASCII"),
        _ if name.contains("://") => Some("it is no URL: leave https:// away"),
        Some((domain, path)) if domain.contains('.') && !path.is_empty() => None,
        _ => Some("it must be DOMAIN/PATH, as in the tailnet's policy"),
    }
}
