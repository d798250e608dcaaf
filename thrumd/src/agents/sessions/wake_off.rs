//! Where idle sessions of this machine are not woken.

use std::collections::BTreeSet;

/// Where sessions of this machine are not woken.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct WakeOff {
    pub all: bool,
    pub projects: BTreeSet<String>,
}

impl WakeOff {
    /// Whether this project's are not.
    pub fn has(&self, project: &str) -> bool {
        self.all || self.projects.contains(project)
    }
}
