//! State that the follower of tailscaled shares with its users.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::Arc;

use parking_lot::Mutex;
use tokio::sync::{Notify, watch};

use super::netmap::NetMap;
use super::state::{Instance, State};
use crate::tailnet::error::TailnetError;
use crate::tailnet::hints::Hints;
use crate::tailnet::localapi::{Client, DEFAULT_SOCKET, Endpoint};
use crate::tailnet::macos;
use crate::tailnet::types::{Presence, replace_if_changed};

/// How many located nodes are watched for hints. Changes of others are found later.
pub(super) const LOCATED_MAX: usize = 1024;

/// Which tailscaled to follow.
#[derive(Debug, Clone)]
pub struct TailscaledConfig {
    /// Its socket (`THRUM_TS_SOCKET`). None: the platform's default; on macOS the apps are searched as
    /// well, at each attempt, because their port changes.
    pub socket: Option<PathBuf>,
    /// Whose instance it is. The remedies depend on it.
    pub instance: Instance,
}

impl Default for TailscaledConfig {
    fn default() -> Self {
        Self { socket: None, instance: Instance::System }
    }
}

impl TailscaledConfig {
    /// Whether it is searched with other programs.
    pub(super) fn is_searched(&self) -> bool {
        self.socket.is_none() && cfg!(target_os = "macos")
    }

    /// The current endpoint of its LocalAPI.
    pub(super) async fn endpoint(&self) -> Endpoint {
        match &self.socket {
            Some(path) => Endpoint::Unix(path.clone()),
            None if self.is_searched() => macos::discover().await,
            None => Endpoint::Unix(DEFAULT_SOCKET.into()),
        }
    }
}

/// The state that the follower writes and its users read.
pub(super) struct Shared {
    pub(super) config: TailscaledConfig,
    /// Replaced by the follower when the endpoint moved.
    pub(super) api: watch::Sender<Client>,
    pub(super) state: watch::Sender<State>,
    pub(super) presence: watch::Sender<Presence>,
    pub(super) hints: Hints,
    pub(super) netmap: watch::Sender<Arc<NetMap>>,
    /// Stable ids of the nodes that were located. Only changes of these are a hint.
    pub(super) located: Mutex<BTreeSet<String>>,
    /// Ends the pause before the next attempt.
    pub(super) retry: Notify,
}

impl Shared {
    pub(super) fn new(config: TailscaledConfig) -> Self {
        let socket = config.socket.clone().unwrap_or_else(|| DEFAULT_SOCKET.into());
        let reason = State::Starting.describe(config.instance);
        Self {
            config,
            api: watch::Sender::new(Client::new(Endpoint::Unix(socket))),
            state: watch::Sender::new(State::Starting),
            presence: watch::Sender::new(Presence::Waiting { reason, starting: true }),
            hints: Hints::default(),
            netmap: watch::Sender::new(Arc::default()),
            located: Mutex::default(),
            retry: Notify::new(),
        }
    }

    pub(super) fn api(&self) -> Client {
        self.api.borrow().clone()
    }

    pub(super) fn netmap(&self) -> Arc<NetMap> {
        Arc::clone(&self.netmap.borrow())
    }

    /// The network map, if we are in the tailnet now.
    pub(super) fn up(&self) -> Result<Arc<NetMap>, TailnetError> {
        match &*self.state.borrow() {
            State::Up { .. } => Ok(self.netmap()),
            state => Err(TailnetError::Waiting { reason: state.describe(self.config.instance) }),
        }
    }

    /// Sets the state and the presence that follows from it.
    pub(super) fn publish(&self, state: State) {
        let presence = match &state {
            State::Up { addresses, hostname, .. } => {
                Presence::Up { addresses: addresses.clone(), hostname: hostname.clone() }
            }
            waiting => Presence::Waiting {
                reason: waiting.describe(self.config.instance),
                starting: *waiting == State::Starting,
            },
        };
        replace_if_changed(&self.state, state);
        replace_if_changed(&self.presence, presence);
    }

    /// Makes changes of this node a hint.
    pub(super) fn remember_located(&self, stable_id: &str) {
        let mut located = self.located.lock();
        if located.contains(stable_id) {
            return;
        }
        if located.len() >= LOCATED_MAX {
            // Nodes come and go for months; one that comes back is located again.
            let netmap = self.netmap();
            located.retain(|id| netmap.get(id).is_some());
        }
        if located.len() < LOCATED_MAX {
            located.insert(stable_id.to_owned());
        }
    }
}
