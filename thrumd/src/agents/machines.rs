//! The names of daemons, as they tell them themselves: for those that are no peers.

use std::collections::BTreeMap;

use parking_lot::RwLock;
use thrum_api::DaemonId;

use super::error::{AgentsError, views};
use super::store::Store;
use crate::log::column::daemon_id;

/// The rows of the table `machines`, in memory: whoever shows messages asks for many of them.
#[derive(Debug, Default)]
pub(super) struct Machines(RwLock<BTreeMap<DaemonId, String>>);

impl Machines {
    pub(super) fn replace(&self, names: BTreeMap<DaemonId, String>) {
        *self.0.write() = names;
    }

    /// All daemons that have told a name, with it.
    pub(super) fn all(&self) -> Vec<(DaemonId, String)> {
        self.0.read().iter().map(|(daemon, name)| (*daemon, name.clone())).collect()
    }

    /// The name that a daemon has told of itself, and the other daemons that tell the same one in any case.
    pub(super) fn of(&self, daemon: DaemonId) -> Option<(String, Vec<DaemonId>)> {
        let names = self.0.read();
        let name = names.get(&daemon)?;
        let others = names.iter().filter(|(other, _)| **other != daemon);
        let same = others.filter(|(_, its_name)| its_name.eq_ignore_ascii_case(name));
        Some((name.clone(), same.map(|(other, _)| *other).collect()))
    }

    pub(super) fn add(&self, names: Vec<(DaemonId, String)>) {
        if !names.is_empty() {
            self.0.write().extend(names);
        }
    }
}

impl Store {
    pub(super) fn machines(&self) -> Result<BTreeMap<DaemonId, String>, AgentsError> {
        let doing = views("read the names of machines");
        let mut rows =
            self.connection.prepare_cached("SELECT origin, name FROM machines").map_err(&doing)?;
        let names = rows.query_map([], |row| Ok((daemon_id(row.get(0)?), row.get(1)?)));
        names.and_then(Iterator::collect).map_err(&doing)
    }
}
