//! Types that every kind of tailnet shares.

use std::net::{IpAddr, SocketAddr};

use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::watch;

/// Whether we are in the tailnet, and where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Presence {
    /// Ready: listen on these addresses.
    Up {
        /// Our tailnet addresses.
        addresses: Vec<IpAddr>,
        /// Our name there.
        hostname: String,
    },
    /// Not ready.
    Waiting {
        /// Why, and what to do about it.
        reason: String,
        /// It has only just started, and is probably ready in a moment.
        starting: bool,
    },
}

/// A node of the tailnet, as reported by the tailnet itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Node {
    /// Its stable id, which survives renames and new addresses.
    pub stable_id: String,
    pub name: String,
    /// Who owns it (display only).
    pub owner: Option<String>,
}

/// The peer of an accepted connection, identified once for each.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Caller {
    /// The address that the connection came from.
    pub address: SocketAddr,
    /// Its node; None only with the loopback kind, which knows no identity.
    pub node: Option<Node>,
}

impl Node {
    /// The first label of its name.
    pub fn short_name(&self) -> &str {
        self.name.split('.').next().unwrap_or_default()
    }
}

impl Caller {
    /// Name and owner where they are known, else the address, for messages.
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

/// Sends a value, unless the receivers have the same one already.
pub(super) fn replace_if_changed<T: PartialEq>(sender: &watch::Sender<T>, new: T) {
    sender.send_if_modified(|old| {
        let changed = *old != new;
        *old = new;
        changed
    });
}

/// A byte stream to a peer. TCP, or a dial through our child.
pub type Connection = Box<dyn Stream>;

/// What a [`Connection`] can do.
pub trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Stream for T {}
