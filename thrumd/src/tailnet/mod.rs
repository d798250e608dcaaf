//! Who and where we are in the tailnet, and who calls. Three kinds behind one type.

pub mod address;
mod error;
pub mod localapi;
pub mod loopback;
pub mod macos;
mod names;
pub mod private;
mod settings;
pub mod tailscaled;
#[cfg(test)]
mod tests;

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use loopback::Loopback;
use private::Private;
use serde_json::Value;
use tailscaled::Tailscaled;
use thrum_api::local::TailnetKind;
use tokio::sync::watch;

pub use error::TailnetError;
pub use localapi::{NodePath, Via};
pub use settings::Settings;

/// Where we are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Presence {
    /// Ready: listen on these addresses.
    Up {
        /// Our tailnet addresses.
        addresses: Vec<IpAddr>,
        /// Our name there.
        hostname: String,
    },
    /// Not ready; the text says why and what to do.
    Waiting {
        /// Words for the status line.
        why: String,
        /// It has only begun, and most likely is over in a moment.
        passing: bool,
    },
}

/// A node of the tailnet, as the tailnet itself tells.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Node {
    /// Its stable id: survives renames and new addresses.
    pub stable_id: String,
    /// Its name.
    pub name: String,
    /// Who owns it (display only).
    pub owner: Option<String>,
}

/// Who calls, found out once for each accepted connection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Caller {
    /// The address that the connection came from.
    pub address: SocketAddr,
    /// Its node; None only with the loopback kind, which knows no identity.
    pub node: Option<Node>,
}

impl Caller {
    /// Address, and name and owner where they are known, for messages.
    pub fn describe(&self) -> String {
        match &self.node {
            None => self.address.ip().to_string(),
            Some(Node { name, owner: Some(owner), .. }) => format!("{name} ({owner})"),
            Some(Node { name, .. }) => name.clone(),
        }
    }
}

/// A machine to dial.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target {
    /// Addresses to try, in order.
    pub addresses: Vec<SocketAddr>,
    /// Its node; None with the loopback kind.
    pub node: Option<Node>,
    /// It has our owner; None if that can't be known.
    pub same_owner: Option<bool>,
}

/// A byte stream to a peer. TCP, or a dial through a tailscaled of our own.
pub type Connection = Box<dyn Stream>;

/// What a [`Connection`] can do.
pub trait Stream: tokio::io::AsyncRead + tokio::io::AsyncWrite + Send + Unpin {}
impl<T: tokio::io::AsyncRead + tokio::io::AsyncWrite + Send + Unpin> Stream for T {}

/// A tailnet of one kind. Clones share it.
#[derive(Clone)]
pub enum Tailnet {
    /// 127.0.0.0/8, no identity.
    Loopback(Loopback),
    /// The machine's own tailscaled.
    Tailscaled(Tailscaled),
    /// A tailscaled child of our own.
    Private(Private),
}

impl Tailnet {
    /// A tailnet as the settings say. Needs a tokio runtime. All that waiting may mend shows in the
    /// presence and is no error.
    ///
    /// # Errors
    /// When the private kind has no program or no place.
    pub fn open(settings: Settings) -> Result<Self, TailnetError> {
        Ok(match settings {
            Settings::Loopback { hostname } => Self::Loopback(Loopback::new(hostname)),
            Settings::Tailscaled(config) => Self::Tailscaled(Tailscaled::open(config)),
            Settings::Private(config) => Self::Private(Private::open(config)?),
        })
    }

    /// Goes into the tailnet: starts the child of the private kind. Nothing of ours is in a tailnet
    /// before somebody wants to sync.
    pub fn begin(&self) {
        if let Self::Private(kind) = self {
            kind.begin();
        }
    }

    /// The follower of a tailscaled, of the kinds that have one.
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

    /// Where we are, and every change of it.
    pub fn presence(&self) -> watch::Receiver<Presence> {
        match self {
            Self::Loopback(kind) => kind.presence(),
            Self::Tailscaled(kind) => kind.presence(),
            Self::Private(kind) => kind.presence(),
        }
    }

    /// Waits while the tailnet is only starting, at most this long: whoever starts us and goes on at
    /// once should not be turned away.
    pub async fn started(&self, limit: Duration) {
        let mut presence = self.presence();
        let over = presence.wait_for(|now| !matches!(now, Presence::Waiting { passing: true, .. }));
        // In vain or not: what is to be said is in the presence.
        drop(tokio::time::timeout(limit, over).await);
    }

    /// Who is at the other end of a connection accepted on a listener of ours.
    ///
    /// # Errors
    /// When the tailnet does not know the caller. It means: no service (fail closed).
    pub async fn whois(&self, remote: SocketAddr) -> Result<Caller, TailnetError> {
        match self.tailscaled() {
            Err(loopback) => loopback.whois(remote),
            Ok(kind) => kind.whois(remote).await,
        }
    }

    /// What the tailnet's policy grants this node towards us under the name `capability`, as of now:
    /// None when it has no such grant, else the grant's values. None with the loopback kind.
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

    /// Where the node with this stable id is now: addresses without port, best first. None when the
    /// tailnet doesn't know it (removed, or hidden by policy). Asked before a peer is dialled.
    ///
    /// # Errors
    /// When we are not in the tailnet now.
    pub async fn locate(&self, stable_id: &str) -> Result<Option<Vec<IpAddr>>, TailnetError> {
        match self.tailscaled() {
            Err(_) => Ok(None),
            Ok(kind) => kind.locate(stable_id),
        }
    }

    /// What the tailnet says of the node with this stable id now: its name follows renames. None when
    /// it isn't known, and with the loopback kind.
    pub fn node(&self, stable_id: &str) -> Option<Node> {
        let nodes = self.tailscaled().ok()?.nodes();
        nodes.get(stable_id).map(|entry| nodes.node(entry))
    }

    /// How packets get to the node now, and how long they take. None when it doesn't answer within
    /// 6 s, isn't known, and with the loopback kind.
    pub async fn path(&self, stable_id: &str) -> Option<NodePath> {
        self.tailscaled().ok()?.path(stable_id).await
    }

    /// Opens a connection to a tailnet address, and to no other.
    ///
    /// # Errors
    /// When the address is not in the tailnet or does not answer.
    pub async fn connect(&self, to: SocketAddr) -> std::io::Result<Connection> {
        match self.tailscaled() {
            Err(loopback) => loopback.connect(to).await,
            Ok(kind) => kind.connect(to).await,
        }
    }

    /// Counts up when the network changed, the machine woke, or a peer came online: a hint that
    /// ends back-offs, no failure detector.
    pub fn hints(&self) -> watch::Receiver<u64> {
        match self.tailscaled() {
            Err(loopback) => loopback.hints(),
            Ok(kind) => kind.hints(),
        }
    }

    /// Turns what a person typed (`name`, `name:port`, `ip`, `[v6]:port`) into addresses. The
    /// default port is 9100.
    ///
    /// # Errors
    /// When it is no address, or not one of the tailnet.
    pub async fn resolve(&self, host: &str) -> Result<Target, TailnetError> {
        match self.tailscaled() {
            Err(loopback) => loopback.resolve(host).await,
            Ok(kind) => kind.resolve(host),
        }
    }

    /// What a person should know of this kind of tailnet, if there is something.
    pub fn problem(&self) -> Option<String> {
        match self {
            Self::Loopback(_) | Self::Tailscaled(_) => None,
            Self::Private(kind) => kind.problem(),
        }
    }

    /// Ends what was started for it: the child of the private kind, at most 4 s.
    pub async fn stop(&self) {
        if let Self::Private(kind) = self {
            kind.stop().await;
        }
    }
}
