use std::fmt::Display;

use super::{PeerState, PeerStatus, Problem, SyncFailureKind};
use crate::label::{is_plain, to_type};
use crate::peer::reason;
use crate::time::Timestamp;

impl Problem {
    /// A problem with this id.
    pub fn new(id: &str, message: String, since: Option<Timestamp>, next: Option<&str>) -> Self {
        Self { id: id.to_owned(), message, since, next: next.map(str::to_owned) }
    }
}

/// Why a peer refuses our token, for the known values of [`reason`].
pub fn token_refusal(name: &str, refusal: Option<&str>) -> String {
    match refusal {
        Some(reason::OTHER_NODE) => format!(
            "{name} takes this machine for another one: it was removed from the tailnet and added \
             again since it was paired; run `thrum peer add` on {name} and pair again"
        ),
        Some(reason::GRANT_WITHDRAWN) => {
            format!("{name} was paired by the tailnet's policy, which no longer allows it")
        }
        _ => format!(
            "{name} no longer knows this machine: it was removed there; to pair again, run \
             `thrum peer add` on {name}"
        ),
    }
}

/// That `who` brings events without a valid signature of their origins. Every message and log line about such events says it
/// with these words, so that they are found in docs/operations.md.
pub fn unsigned(who: impl Display) -> String {
    format!(
        "{who} brings events that the machines which are said to have written them did not sign"
    )
}

impl PeerStatus {
    /// What to type for this peer: its name or its id.
    pub fn to_type(&self) -> String {
        to_type(&self.name, self.daemon_id)
    }

    /// The problem that keeps events from being synced with this peer, if there is one.
    pub fn problem(&self) -> Option<Problem> {
        let name = &self.name;
        let (id, message, next) = match self.state {
            PeerState::RemovedUs => {
                let message = token_refusal(name, self.refusal.as_deref());
                let next = match self.refusal.as_deref() {
                    Some(reason::OTHER_NODE | reason::GRANT_WITHDRAWN) => {
                        let host = if is_plain(name) { name } else { &self.address };
                        format!("thrum peer join {host}")
                    }
                    _ => format!("thrum peer remove {}", self.to_type()),
                };
                ("peer_token", message, next)
            }
            PeerState::BackingOff | PeerState::NeverReached if self.failures > 0 => {
                let why = self.last_error.as_deref().unwrap_or("no answer");
                let (message, next) = match self.trouble {
                    Some(SyncFailureKind::Own) => (
                        format!("can't store the events of {name}: {why}"),
                        "thrum daemon logs".to_owned(),
                    ),
                    Some(SyncFailureKind::Refusing) => (
                        format!("{name} answers with an error: {why}"),
                        format!("thrum status   (on {name})"),
                    ),
                    Some(SyncFailureKind::Unreachable) | None => {
                        (format!("{name} unreachable: {why}"), "thrum doctor".to_owned())
                    }
                };
                ("peer_sync", message, next)
            }
            _ => return None,
        };
        Some(Problem::new(id, message, Some(self.since), Some(&next)))
    }
}
