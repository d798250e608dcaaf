use std::collections::BTreeMap;

use thrum_api::Empty;
use thrum_api::local::{PeerAdd, PeerJoin, PeerJoinParams, PeerJoinResult, PeerStatus};

use super::{NodeSpec, Programs, TAILNET_LIMIT, Tailnet};
use crate::harness::{CallError, Daemon, SHORT, converge, eventually, holds};

/// A tailnet with a daemon on each node that has a tailscaled.
#[derive(Debug)]
pub struct Cluster {
    // Before the tailnet, because they end first.
    daemons: BTreeMap<String, Daemon>,
    /// What is under the daemons.
    pub tailnet: Tailnet,
}

impl Cluster {
    /// Nodes of one user, each with an interface and a daemon.
    ///
    /// # Panics
    /// When they don't come up.
    #[track_caller]
    pub fn of(programs: &Programs, names: &[&str]) -> Self {
        Self::up(programs, names.iter().map(|name| NodeSpec::new(name)))
    }

    /// Starts a tailnet with direct paths, and the daemons.
    ///
    /// # Panics
    /// When they don't come up.
    #[track_caller]
    pub fn up(programs: &Programs, specs: impl IntoIterator<Item = NodeSpec>) -> Self {
        let tailnet = Tailnet::up(programs, specs);
        tailnet.make_direct();
        let with_tailscaled = tailnet.nodes().iter().filter(|node| node.is_started());
        let daemons =
            with_tailscaled.map(|node| (node.name().to_owned(), node.setup().start())).collect();
        Self { daemons, tailnet }
    }

    /// The daemon on this node.
    ///
    /// # Panics
    /// When there is none.
    #[track_caller]
    pub fn daemon(&self, name: &str) -> &Daemon {
        self.daemons.get(name).unwrap_or_else(|| panic!("no daemon on {name}"))
    }

    /// The same, to stop or start it.
    ///
    /// # Panics
    /// When there is none.
    #[track_caller]
    pub fn daemon_mut(&mut self, name: &str) -> &mut Daemon {
        self.daemons.get_mut(name).unwrap_or_else(|| panic!("no daemon on {name}"))
    }

    /// Puts another daemon on a node. An earlier one ends.
    pub fn put(&mut self, name: &str, daemon: Daemon) {
        self.daemons.insert(name.to_owned(), daemon);
    }

    /// Pairs two daemons by the calls that `thrum peer add` and `thrum peer join NAME` make.
    ///
    /// # Panics
    /// When that fails.
    #[track_caller]
    pub fn pair(&self, accepting: &str, joining: &str) -> PeerJoinResult {
        pair_over(self.daemon(accepting), accepting, self.daemon(joining))
    }

    /// What one daemon says of another in `status`.
    ///
    /// # Errors
    /// When it has no such peer or doesn't answer.
    pub fn look(&self, from: &str, at: &str) -> Result<PeerStatus, String> {
        self.daemon(from).peer(self.daemon(at).id())
    }

    /// Something is written on each of these nodes and read on all of them.
    ///
    /// # Panics
    /// When it isn't, within [`TAILNET_LIMIT`].
    #[track_caller]
    pub fn talk(&self, names: &[&str]) {
        let daemons: Vec<_> = names.iter().map(|name| self.daemon(name)).collect();
        talk(&daemons);
    }
}

/// Something is written at each of these daemons and read at all of them.
#[track_caller]
pub(super) fn talk(daemons: &[&Daemon]) {
    for daemon in daemons {
        daemon.append([format!("from {}", daemon.name())]);
    }
    converge(TAILNET_LIMIT, daemons);
}

/// Pairs over the tailnet; `host` is what to type for the accepting one. A first packet through a
/// tunnel can take its time, so it is tried until the limit.
///
/// # Panics
/// When that fails.
#[track_caller]
pub fn pair_over(accepting: &Daemon, host: &str, joining: &Daemon) -> PeerJoinResult {
    let joined = eventually(TAILNET_LIMIT, || {
        join_once(accepting, host, joining).map_err(|error| error.to_string())
    });
    assert_eq!(joined.daemon_id, accepting.id());
    eventually(SHORT, || accepting.has_peer(joining).and_then(|()| joining.has_peer(accepting)));
    joined
}

fn join_once(
    accepting: &Daemon,
    host: &str,
    joining: &Daemon,
) -> Result<PeerJoinResult, CallError> {
    let session = accepting.call::<PeerAdd>(Empty {})?;
    let params = PeerJoinParams { address: host.to_owned(), code: Some(session.code) };
    let joined = joining.call::<PeerJoin>(params);
    if joined.is_err() {
        // The next attempt must not find this session.
        let cancel = thrum_api::local::PeerCancelParams { session: session.session };
        let _over = accepting.call::<thrum_api::local::PeerCancel>(cancel);
    }
    joined
}

impl Daemon {
    /// Whether it waits for the tailnet for a reason that has these words, and serves its own
    /// machine meanwhile.
    ///
    /// # Errors
    /// What it says instead.
    pub fn waits_for(&self, words: &str) -> Result<(), String> {
        let status = self.call::<thrum_api::local::Status>(Empty {}).map_err(|e| e.to_string())?;
        let said = status.tailnet.state;
        holds(said.starts_with("waiting: ") && said.contains(words), || {
            format!("{} says {said:?}, not {words:?}", self.name())
        })?;
        let told = status.problems.iter().any(|problem| problem.message.contains(words));
        holds(told, || format!("no problem tells {words:?}: {:?}", status.problems))?;
        self.try_append(["meanwhile"]).map(drop).map_err(|error| error.to_string())
    }
}
