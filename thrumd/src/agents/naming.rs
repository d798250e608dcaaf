//! How daemons call themselves, for whoever shows their messages.

use thrum_api::DaemonId;

use super::Agents;

impl Agents {
    /// The name that a daemon has told of itself, and the other daemons that tell the same one in any case.
    pub fn told_name(&self, daemon: DaemonId) -> Option<(String, Vec<DaemonId>)> {
        self.inner.signals.machines.of(daemon)
    }

    /// All daemons that have told a name, with it.
    pub fn told_names(&self) -> Vec<(DaemonId, String)> {
        self.inner.signals.machines.all()
    }
}
