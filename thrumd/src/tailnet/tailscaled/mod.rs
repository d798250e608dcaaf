//! The `tailscaled` kind: the machine's own tailscaled, through its LocalAPI.
//!
//! A task follows its news and keeps the last look at the tailnet, so that names and addresses are
//! found without asking. Only who calls is asked for each connection, because that decides.

mod follow;
mod names;
mod nodes;
mod state;

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use serde_json::Value;
use tokio::net::{TcpSocket, TcpStream};
use tokio::sync::{Notify, watch};
use tokio::task::AbortHandle;

use super::localapi::{ApiError, Client, DEFAULT_SOCKET, Endpoint, NodePath};
use super::{Caller, Connection, Node, Presence, TailnetError, Target, macos};

pub use nodes::{Entry, Nodes};
pub use state::{State, Whose};

/// Of so many nodes news is a hint; of more it only comes later.
const WANTED_MAX: usize = 1024;

/// Which tailscaled to follow.
#[derive(Debug, Clone)]
pub struct TailscaledConfig {
    /// Its socket (`THRUM_TS_SOCKET`). None: where the platform has it; on macOS the apps are looked
    /// for as well, anew at each attempt, because their port changes.
    pub socket: Option<PathBuf>,
    /// Whose it is: decides the words for what to do next.
    pub whose: Whose,
}

impl Default for TailscaledConfig {
    fn default() -> Self {
        Self { socket: None, whose: Whose::Machine }
    }
}

impl TailscaledConfig {
    /// Whether it has to be looked for with programs.
    fn is_searched(&self) -> bool {
        self.socket.is_none() && cfg!(target_os = "macos")
    }

    async fn endpoint(&self) -> Endpoint {
        match &self.socket {
            Some(path) => Endpoint::Unix(path.clone()),
            None if self.is_searched() => macos::discover().await,
            None => Endpoint::Unix(DEFAULT_SOCKET.into()),
        }
    }
}

/// The kind. Clones share one follower, which ends with the last of them.
#[derive(Clone)]
pub struct Tailscaled {
    shared: Arc<Shared>,
    _follower: Arc<Follower>,
}

struct Follower(AbortHandle);

impl Drop for Follower {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// What the follower writes and all others read.
struct Shared {
    config: TailscaledConfig,
    // Replaced by the follower when the endpoint moved.
    api: watch::Sender<Client>,
    state: watch::Sender<State>,
    presence: watch::Sender<Presence>,
    hints: watch::Sender<u64>,
    nodes: watch::Sender<Arc<Nodes>>,
    // Nodes that somebody asked for by stable id: of these alone news is a hint.
    wanted: Mutex<BTreeSet<String>>,
    // Ends the pause before the next attempt.
    again: Notify,
}

impl Shared {
    fn api(&self) -> Client {
        self.api.borrow().clone()
    }

    fn nodes(&self) -> Arc<Nodes> {
        Arc::clone(&self.nodes.borrow())
    }

    /// The tailnet as last seen, if we are in it now.
    fn up(&self) -> Result<Arc<Nodes>, TailnetError> {
        match &*self.state.borrow() {
            State::Up { .. } => Ok(self.nodes()),
            state => Err(TailnetError::Waiting { why: state.why(self.config.whose) }),
        }
    }

    fn publish(&self, state: State) {
        let presence = match &state {
            State::Up { addresses, hostname, .. } => {
                Presence::Up { addresses: addresses.clone(), hostname: hostname.clone() }
            }
            waiting => Presence::Waiting {
                why: waiting.why(self.config.whose),
                passing: *waiting == State::Starting,
            },
        };
        replace(&self.state, state);
        replace(&self.presence, presence);
    }

    /// From now on news of this node is a hint.
    fn want(&self, stable_id: &str) {
        let mut wanted = self.wanted.lock().unwrap_or_else(PoisonError::into_inner);
        if wanted.contains(stable_id) {
            return;
        }
        if wanted.len() >= WANTED_MAX {
            // Nodes come and go for months; who is not here now is asked for again if it comes back.
            let nodes = self.nodes();
            wanted.retain(|id| nodes.get(id).is_some());
        }
        if wanted.len() < WANTED_MAX {
            wanted.insert(stable_id.to_owned());
        }
    }

    fn hint(&self) {
        self.hints.send_modify(|count| *count = count.wrapping_add(1));
    }
}

/// Tells the receivers of a change only.
fn replace<T: PartialEq>(sender: &watch::Sender<T>, new: T) {
    sender.send_if_modified(|old| {
        let changed = *old != new;
        *old = new;
        changed
    });
}

impl Tailscaled {
    /// Starts to follow. Needs a tokio runtime; the first state is known a moment later.
    pub fn open(config: TailscaledConfig) -> Self {
        let socket = config.socket.clone().unwrap_or_else(|| DEFAULT_SOCKET.into());
        let first = State::Starting;
        let presence = Presence::Waiting { why: first.why(config.whose), passing: true };
        let shared = Arc::new(Shared {
            config,
            api: watch::Sender::new(Client::new(Endpoint::Unix(socket))),
            state: watch::Sender::new(first),
            presence: watch::Sender::new(presence),
            hints: watch::Sender::new(0),
            nodes: watch::Sender::new(Arc::default()),
            wanted: Mutex::default(),
            again: Notify::new(),
        });
        let task = tokio::spawn(follow::run(Arc::clone(&shared)));
        Self { shared, _follower: Arc::new(Follower(task.abort_handle())) }
    }

    /// Where we are.
    pub fn presence(&self) -> watch::Receiver<Presence> {
        self.shared.presence.subscribe()
    }

    /// The same with all that is known, for `doctor`.
    pub fn state(&self) -> watch::Receiver<State> {
        self.shared.state.subscribe()
    }

    /// Counts up when our network changed, we came up, or a node came back or moved that was asked
    /// for with [`Self::locate`].
    pub fn hints(&self) -> watch::Receiver<u64> {
        self.shared.hints.subscribe()
    }

    /// The tailnet as last seen. Old while we are not up.
    pub fn nodes(&self) -> Arc<Nodes> {
        self.shared.nodes()
    }

    /// The same, and told after each look.
    pub fn looks(&self) -> watch::Receiver<Arc<Nodes>> {
        self.shared.nodes.subscribe()
    }

    /// The LocalAPI as it is reached now.
    pub fn api(&self) -> Client {
        self.shared.api()
    }

    /// Tries at once again if tailscaled is away: it was just started.
    pub fn look_again(&self) {
        self.shared.again.notify_one();
    }

    /// Asks tailscaled who is at `remote`, an address that a connection came from.
    ///
    /// # Errors
    /// When no node is there, and when there is no answer. Both mean: no service.
    pub async fn whois(&self, remote: SocketAddr) -> Result<Caller, TailnetError> {
        let remote = SocketAddr::new(remote.ip().to_canonical(), remote.port());
        let answer = match self.shared.api().whois(remote).await {
            Ok(answer) => answer,
            Err(ApiError::Unknown { .. }) => return Err(TailnetError::Stranger { remote }),
            Err(source) => return Err(TailnetError::WhoCalls { remote, source }),
        };
        let seen = &answer.node;
        if seen.stable_id.is_empty() {
            return Err(TailnetError::Stranger { remote });
        }
        // In userspace mode tailscaled connects to us in the caller's place.
        let ip = if remote.ip().is_loopback() { seen.ips().next() } else { Some(remote.ip()) };
        let ip = ip.ok_or(TailnetError::Stranger { remote })?;
        let owner = match answer.user_profile.login_name {
            _ if !seen.tags.is_empty() => Some(seen.tags.join(", ")),
            name if name.is_empty() => None,
            name => Some(name),
        };
        let node = Node {
            stable_id: seen.stable_id.clone(),
            name: nodes::full_name(&seen.name).to_owned(),
            owner,
        };
        Ok(Caller { address: SocketAddr::new(ip, remote.port()), node: Some(node) })
    }

    /// What the tailnet's policy grants the node towards us under the name `capability`, as of now.
    /// None when the policy has no such grant; the grant's values otherwise, which may be none.
    ///
    /// # Errors
    /// When we are not up or have no answer.
    pub async fn grants(
        &self,
        stable_id: &str,
        capability: &str,
    ) -> Result<Option<Vec<Value>>, TailnetError> {
        // Not by `locate`: whoever calls may ask for its grants.
        let nodes = self.shared.up()?;
        let Some(entry) = nodes.get(stable_id) else { return Ok(None) };
        let Some(ip) = entry.addresses.first() else { return Ok(None) };
        let remote = SocketAddr::new(*ip, 0);
        let answer = match self.shared.api().whois(remote).await {
            Ok(answer) => answer,
            Err(ApiError::Unknown { .. }) => return Ok(None),
            Err(source) => return Err(TailnetError::WhoCalls { remote, source }),
        };
        // The address may have gone to another node since we looked.
        if answer.node.stable_id != stable_id {
            return Ok(None);
        }
        let mut grants: BTreeMap<String, Option<Vec<Value>>> = answer.cap_map;
        Ok(grants.remove(capability).map(Option::unwrap_or_default))
    }

    /// The node's addresses; None when the tailnet doesn't know it. From now on its news is a hint.
    ///
    /// # Errors
    /// When we are not up.
    pub fn locate(&self, stable_id: &str) -> Result<Option<Vec<IpAddr>>, TailnetError> {
        self.shared.want(stable_id);
        Ok(self.shared.up()?.get(stable_id).map(|entry| entry.addresses.clone()))
    }

    /// The machine that a person means.
    ///
    /// # Errors
    /// When we are not up, and when it is none or several of the tailnet.
    pub fn resolve(&self, typed: &str) -> Result<Target, TailnetError> {
        let wanted = typed.parse()?;
        self.shared.up()?.resolve(typed, &wanted)
    }

    /// Connects to an address of the tailnet, and to no other.
    ///
    /// # Errors
    /// When we are not up, the address is not in the tailnet, or it does not answer. The caller sets
    /// the time limit.
    pub async fn connect(&self, to: SocketAddr) -> io::Result<Connection> {
        let nodes = self.shared.up().map_err(|e| io::Error::new(io::ErrorKind::NotConnected, e))?;
        if nodes.by_address(to.ip()).is_none() {
            let error = TailnetError::NotInTailnet { host: to.ip().to_string() };
            return Err(io::Error::new(io::ErrorKind::AddrNotAvailable, error));
        }
        if nodes.userspace {
            return self.shared.api().dial(to).await.map_err(ApiError::into_io);
        }
        let stream = from_our_address(&nodes, to).await?;
        // Requests are small and waited for; Nagle's algorithm would hold them back.
        stream.set_nodelay(true)?;
        Ok(Box::new(stream))
    }

    /// How packets get to the node now. None when it doesn't answer or isn't known. Sends one ping
    /// below the tunnel and waits up to 6 s.
    pub async fn path(&self, stable_id: &str) -> Option<NodePath> {
        let ip = *self.locate(stable_id).ok()??.first()?;
        self.shared.api().ping(ip).await.ok()
    }
}

/// Connects from our tailnet address. If tailscaled has gone since we looked, the address has too,
/// and the attempt fails here; unbound it would leave through the ordinary network.
async fn from_our_address(nodes: &Nodes, to: SocketAddr) -> io::Result<TcpStream> {
    let ours = nodes.me.addresses.iter().find(|ip| ip.is_ipv4() == to.is_ipv4());
    let ours = *ours.ok_or_else(|| {
        io::Error::new(io::ErrorKind::AddrNotAvailable, "this machine has no such address")
    })?;
    let socket = if to.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
    socket.bind(SocketAddr::new(ours, 0))?;
    socket.connect(to).await
}

/// Where connections arrive in userspace mode.
const LOOPBACK: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

#[cfg(test)]
pub(crate) mod tests;
#[cfg(test)]
pub(crate) use tests::until;
