//! The names that have joined and that the views may not know yet.

use std::collections::BTreeMap;

use thrum_api::Sequence;

use super::follow::Progress;

/// Names whose `agent.joined` this process has written, each with its project, and where. It bridges the time until the
/// views have digested that event.
#[derive(Debug, Default)]
pub(super) struct JoinedNames {
    names: BTreeMap<(String, String), Sequence>,
    /// The last of these events.
    last: Sequence,
}

impl JoinedNames {
    pub(super) fn contain(&self, project: &str, agent: &str) -> bool {
        self.at(project, agent).is_some()
    }

    /// Where the last of these events of this name is.
    pub(super) fn at(&self, project: &str, agent: &str) -> Option<Sequence> {
        self.names.get(&(project.to_owned(), agent.to_owned())).copied()
    }

    pub(super) fn add(&mut self, project: &str, agent: &str, at: Sequence) {
        self.names.insert((project.to_owned(), agent.to_owned()), at);
        self.last = self.last.max(at);
    }

    /// Forgets all names once the views have digested all of their events, so that this doesn't grow.
    pub(super) fn forget_digested(&mut self, views: &Progress) {
        if !self.names.is_empty() && views.has(self.last) {
            self.names.clear();
        }
    }
}
