//! The kinds of tailnet behind one type.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;
use thrum_api::local::TailnetKind;
use tokio::sync::watch;
use tokio::time::timeout;

use super::error::TailnetError;
use super::hints::Hints;
use super::localapi::NodePath;
use super::loopback::Loopback;
use super::private::Private;
use super::settings::Settings;
use super::tailscaled::{NetMap, NetMapEntry, State, Tailscaled};
use super::types::{Caller, Connection, Node, Presence, Target};

/// How long a request for a machine waits for a tailnet that is coming up.
const UP_WITHIN: Duration = Duration::from_secs(15);

/// A tailnet of one kind. Clones share it.
#[derive(Clone)]
pub enum Tailnet {
    /// 127.0.0.0/8, no identity.
    Loopback(Loopback),
    /// The machine's own tailscaled.
    Tailscaled(Tailscaled),
    /// A tailscaled that runs as our child.
    Private(Private),
}

impl Tailnet {
    /// Opens a tailnet as the settings say. Needs a tokio runtime. Temporary problems show in the presence
    /// and are not an error.
    ///
    /// # Errors
    /// When the private kind has no program or no directory.
    pub fn open(settings: Settings) -> Result<Self, TailnetError> {
        Ok(match settings {
            Settings::Loopback { hostname } => Self::Loopback(Loopback::new(hostname)),
            Settings::Tailscaled(config) => Self::Tailscaled(Tailscaled::open(config)),
            Settings::Private(config) => Self::Private(Private::open(config)?),
        })
    }

    /// Enters the tailnet: starts the child of the private kind. Called only once sync is wanted.
    pub fn start(&self) {
        if let Self::Private(kind) = self {
            kind.start();
        }
    }

    /// The tailscaled, of the kinds that have one.
    fn tailscaled(&self) -> Result<&Tailscaled, &Loopback> {
        match self {
            Self::Loopback(kind) => Err(kind),
            Self::Tailscaled(kind) => Ok(kind),
            Self::Private(kind) => Ok(kind.tailscaled()),
        }
    }

    /// Which kind it is.
    pub fn kind(&self) -> TailnetKind {
        match self {
            Self::Loopback(_) => TailnetKind::Loopback,
            Self::Tailscaled(_) => TailnetKind::Tailscaled,
            Self::Private(_) => TailnetKind::Private,
        }
    }

    /// Whether we are in the tailnet, and every change of it.
    pub fn presence(&self) -> watch::Receiver<Presence> {
        match self {
            Self::Loopback(kind) => kind.presence(),
            Self::Tailscaled(kind) => kind.presence(),
            Self::Private(kind) => kind.presence(),
        }
    }

    /// Waits while the tailnet has only just started, at most `limit`, so that a request right after
    /// our start is not refused.
    pub async fn wait_for_start(&self, limit: Duration) {
        let mut presence = self.presence();
        let ready =
            presence.wait_for(|now| !matches!(now, Presence::Waiting { starting: true, .. }));
        // A timeout is ignored: the presence says why.
        drop(timeout(limit, ready).await);
    }

    /// Identifies the peer of a connection that we accepted.
    ///
    /// # Errors
    /// When the tailnet does not know the caller. It must then be refused (fail closed).
    pub async fn whois(&self, remote: SocketAddr) -> Result<Caller, TailnetError> {
        match self.tailscaled() {
            Err(loopback) => loopback.whois(remote),
            Ok(kind) => kind.whois(remote).await,
        }
    }

    /// What the tailnet's policy currently grants this node on us under the name `capability`: the
    /// grant's values, or None when it has no such grant, and with the loopback kind.
    ///
    /// # Errors
    /// When the tailnet could not be asked.
    pub async fn grants(
        &self,
        stable_id: &str,
        capability: &str,
    ) -> Result<Option<Vec<Value>>, TailnetError> {
        match self.tailscaled() {
            Err(_) => Ok(None),
            Ok(kind) => kind.grants(stable_id, capability).await,
        }
    }

    /// Current addresses of the node with this stable id, best first. None when the tailnet doesn't
    /// know it (removed, or hidden by policy). Asked before a peer is dialled.
    ///
    /// # Errors
    /// When we are not in the tailnet.
    pub fn locate(&self, stable_id: &str) -> Result<Option<Vec<IpAddr>>, TailnetError> {
        match self.tailscaled() {
            Err(_) => Ok(None),
            Ok(kind) => kind.locate(stable_id),
        }
    }

    /// The node with this stable id, under its current name. None when it isn't known, and with the
    /// loopback kind.
    pub fn node(&self, stable_id: &str) -> Option<Node> {
        let netmap = self.tailscaled().ok()?.netmap();
        netmap.get(stable_id).map(|entry| netmap.node(entry))
    }

    /// Current path of packets to the node, and their round trip. None when it doesn't answer within
    /// 6 s, isn't known, and with the loopback kind.
    pub async fn path(&self, stable_id: &str) -> Option<NodePath> {
        self.tailscaled().ok()?.path(stable_id).await
    }

    /// Opens a connection to a tailnet address. Other addresses are refused.
    ///
    /// # Errors
    /// When the address is not in the tailnet or does not answer.
    pub async fn connect(&self, to: SocketAddr) -> std::io::Result<Connection> {
        match self.tailscaled() {
            Err(loopback) => loopback.connect(to).await,
            Ok(kind) => kind.connect(to).await,
        }
    }

    /// Whether the kernel tells when the machine at the other end of a connection is gone. In userspace mode the other
    /// end is tailscaled, on this machine.
    pub fn watches_connections(&self) -> bool {
        self.tailscaled().map_or(true, |kind| !kind.netmap().userspace)
    }

    /// Hints to ask peers at once whether they answer.
    pub fn hints(&self) -> Hints {
        match self.tailscaled() {
            Err(loopback) => loopback.hints(),
            Ok(kind) => kind.hints(),
        }
    }

    /// Resolves what a person typed (`name`, `name:port`, `ip`, `[v6]:port`). The default
    /// port is 9100.
    ///
    /// # Errors
    /// When it is not an address, or not one of the tailnet.
    pub async fn resolve(&self, host: &str) -> Result<Target, TailnetError> {
        match self.tailscaled() {
            Err(loopback) => loopback.resolve(host).await,
            Ok(kind) => kind.resolve(host),
        }
    }

    /// Warning about this kind of tailnet, for `status` and `doctor`.
    pub fn problem(&self) -> Option<String> {
        match self {
            Self::Loopback(_) | Self::Tailscaled(_) => None,
            Self::Private(kind) => kind.problem(),
        }
    }

    /// Stops the child of the private kind, within 4 s.
    pub async fn stop(&self) {
        if let Self::Private(kind) = self {
            kind.stop().await;
        }
    }

    /// Waits while the tailnet is coming up: just after the start, or while our child logs in. Does not
    /// wait for a person to act.
    pub async fn wait_until_up(&self) {
        let Ok(kind) = self.tailscaled() else { return };
        let ours = matches!(self, Self::Private(_));
        let mut state = kind.state();
        let up = state.wait_for(|state| match state {
            State::Up { .. } => true,
            State::Starting => false,
            _ => !ours,
        });
        // After a timeout the error of the next request names the reason.
        drop(timeout(UP_WITHIN, up).await);
    }

    /// The node in the last network map. None when it isn't known, and with the loopback
    /// kind.
    pub fn entry(&self, stable_id: &str) -> Option<NetMapEntry> {
        self.tailscaled().ok()?.netmap().get(stable_id).cloned()
    }

    /// Display name of a machine: the first label of its current name in the tailnet, or what it calls
    /// itself where its node isn't known.
    pub fn display_name(&self, stable_id: Option<&str>, own: &str) -> String {
        let name = stable_id.and_then(|id| self.node(id)).map(|node| node.short_name().to_owned());
        name.filter(|name| !name.is_empty()).unwrap_or_else(|| own.to_owned())
    }

    /// The network map, notified after each refresh even if nothing changed. None with the loopback
    /// kind.
    pub fn netmap_updates(&self) -> Option<watch::Receiver<Arc<NetMap>>> {
        Some(self.tailscaled().ok()?.netmap_updates())
    }
}
