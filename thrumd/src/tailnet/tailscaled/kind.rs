//! The `tailscaled` kind itself: requests to the machine's tailscaled.

use std::collections::BTreeMap;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use serde_json::Value;
use tokio::net::{TcpSocket, TcpStream};
use tokio::sync::watch;
use tokio::task::AbortHandle;

use super::follow;
use super::netmap::{NetMap, full_name};
use super::shared::{Shared, TailscaledConfig};
use super::state::State;
use crate::tailnet::error::TailnetError;
use crate::tailnet::hints::Hints;
use crate::tailnet::localapi::{ApiError, Client, NodePath, Whois};
use crate::tailnet::tcp;
use crate::tailnet::types::{Caller, Connection, Node, Presence, Target};

/// The machine's tailscaled. Clones share one follower, which ends with the last of them.
#[derive(Clone)]
pub struct Tailscaled {
    pub(super) shared: Arc<Shared>,
    _follower: Arc<Follower>,
}

struct Follower(AbortHandle);

impl Drop for Follower {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl Tailscaled {
    /// Starts to follow tailscaled. Needs a tokio runtime; the first state is known a moment later.
    pub fn open(config: TailscaledConfig) -> Self {
        let shared = Arc::new(Shared::new(config));
        let task = tokio::spawn(follow::run(Arc::clone(&shared)));
        Self { shared, _follower: Arc::new(Follower(task.abort_handle())) }
    }

    /// Whether we are in the tailnet, and where.
    pub fn presence(&self) -> watch::Receiver<Presence> {
        self.shared.presence.subscribe()
    }

    /// The same in detail, for `doctor`.
    pub fn state(&self) -> watch::Receiver<State> {
        self.shared.state.subscribe()
    }

    /// Given when our network changed, we came up, or nodes that were located with [`Self::locate`] came, went or moved.
    pub fn hints(&self) -> Hints {
        self.shared.hints.clone()
    }

    /// The last network map. Outdated while we are not up.
    pub fn netmap(&self) -> Arc<NetMap> {
        self.shared.netmap()
    }

    /// The same, notified after each refresh.
    pub fn netmap_updates(&self) -> watch::Receiver<Arc<NetMap>> {
        self.shared.netmap.subscribe()
    }

    /// A client of the LocalAPI at its current place.
    pub fn api(&self) -> Client {
        self.shared.api()
    }

    /// Tries again at once if tailscaled was not reached: it was just started.
    pub fn retry_now(&self) {
        self.shared.retry.notify_one();
    }

    /// Identifies the node at `remote`, the address that a connection came from.
    ///
    /// # Errors
    /// When no node is there, and when there is no answer. The caller must be refused in both cases.
    pub async fn whois(&self, remote: SocketAddr) -> Result<Caller, TailnetError> {
        let remote = SocketAddr::new(remote.ip().to_canonical(), remote.port());
        let answer = self.node_at(remote).await?.ok_or(TailnetError::UnknownCaller { remote })?;
        let found = &answer.node;
        if found.stable_id.is_empty() {
            return Err(TailnetError::UnknownCaller { remote });
        }
        // In userspace mode tailscaled connects to us for the caller.
        let ip = if remote.ip().is_loopback() { found.ips().next() } else { Some(remote.ip()) };
        let ip = ip.ok_or(TailnetError::UnknownCaller { remote })?;
        let owner = match answer.user_profile.login_name {
            _ if !found.tags.is_empty() => Some(found.tags.join(", ")),
            name if name.is_empty() => None,
            name => Some(name),
        };
        let node = Node {
            stable_id: found.stable_id.clone(),
            name: full_name(&found.name).to_owned(),
            owner,
        };
        Ok(Caller { address: SocketAddr::new(ip, remote.port()), node: Some(node) })
    }

    /// Asks which node has this address; None if none has.
    async fn node_at(&self, remote: SocketAddr) -> Result<Option<Whois>, TailnetError> {
        match self.shared.api().whois(remote).await {
            Ok(answer) => Ok(Some(answer)),
            Err(ApiError::NotFound { .. }) => Ok(None),
            Err(source) => Err(TailnetError::Whois { remote, source }),
        }
    }

    /// What the tailnet's policy currently grants the node on us under the name `capability`. None
    /// when the policy has no such grant; otherwise the grant's values, which may be empty.
    ///
    /// # Errors
    /// When we are not up, and when there is no answer.
    pub async fn grants(
        &self,
        stable_id: &str,
        capability: &str,
    ) -> Result<Option<Vec<Value>>, TailnetError> {
        // Not with `locate`: any caller may have its grants looked up.
        let netmap = self.shared.up()?;
        let Some(entry) = netmap.get(stable_id) else { return Ok(None) };
        let Some(ip) = entry.addresses.first() else { return Ok(None) };
        let Some(answer) = self.node_at(SocketAddr::new(*ip, 0)).await? else { return Ok(None) };
        // The address may have gone to another node since the network map was read.
        if answer.node.stable_id != stable_id {
            return Ok(None);
        }
        let mut grants: BTreeMap<String, Option<Vec<Value>>> = answer.cap_map;
        Ok(grants.remove(capability).map(Option::unwrap_or_default))
    }

    /// The node's addresses; None when the tailnet doesn't know it. From now on its changes are a hint.
    ///
    /// # Errors
    /// When we are not up.
    pub fn locate(&self, stable_id: &str) -> Result<Option<Vec<IpAddr>>, TailnetError> {
        self.shared.remember_located(stable_id);
        Ok(self.shared.up()?.get(stable_id).map(|entry| entry.addresses.clone()))
    }

    /// Resolves the machine that a person typed.
    ///
    /// # Errors
    /// When we are not up, and when it is none or several of the tailnet.
    pub fn resolve(&self, typed: &str) -> Result<Target, TailnetError> {
        let wanted = typed.parse()?;
        self.shared.up()?.resolve(typed, &wanted)
    }

    /// Connects to an address of the tailnet. Other addresses are refused.
    ///
    /// # Errors
    /// When we are not up, the address is not in the tailnet, or it does not answer. The caller sets
    /// the time limit.
    pub async fn connect(&self, to: SocketAddr) -> io::Result<Connection> {
        let netmap =
            self.shared.up().map_err(|e| io::Error::new(io::ErrorKind::NotConnected, e))?;
        if netmap.by_address(to.ip()).is_none() {
            let error = TailnetError::NotInTailnet { host: to.ip().to_string() };
            return Err(io::Error::new(io::ErrorKind::AddrNotAvailable, error));
        }
        if netmap.userspace {
            return self.shared.api().dial(to).await.map_err(ApiError::into_io);
        }
        let stream = from_our_address(&netmap, to).await?;
        tcp::set_options(&stream)?;
        Ok(Box::new(stream))
    }

    /// Current path of packets to the node. None when it doesn't answer or isn't known. Sends one ping
    /// below the tunnel and waits up to 6 s.
    pub async fn path(&self, stable_id: &str) -> Option<NodePath> {
        let ip = *self.locate(stable_id).ok()??.first()?;
        self.shared.api().ping(ip).await.ok()
    }
}

/// Connects from our tailnet address. If tailscaled has stopped meanwhile, the address is gone, and the
/// attempt fails here. Unbound, it would leave through the ordinary network.
async fn from_our_address(netmap: &NetMap, to: SocketAddr) -> io::Result<TcpStream> {
    let ours = netmap.me.addresses.iter().find(|ip| ip.is_ipv4() == to.is_ipv4());
    let ours = *ours.ok_or_else(|| {
        io::Error::new(io::ErrorKind::AddrNotAvailable, "this machine has no such address")
    })?;
    let socket = if to.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
    socket.bind(SocketAddr::new(ours, 0))?;
    socket.connect(to).await
}
