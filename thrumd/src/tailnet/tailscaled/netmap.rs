//! The network map: the tailnet's nodes as of the last `status`.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, SocketAddr};

use crate::tailnet::hints::Hint;
use crate::tailnet::localapi::{BusUpdate, Status, StatusNode};
use crate::tailnet::types::Node;

/// A node in the network map.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct NetMapEntry {
    pub stable_id: String,
    /// Its number on the IPN bus; 0 where that isn't known.
    pub number: i64,
    /// Its full name, without a dot at the end, in lower case.
    pub name: String,
    /// Its addresses, best first.
    pub addresses: Vec<IpAddr>,
    /// Its owner's id; meaningless if it has tags.
    pub user: i64,
    pub tags: Vec<String>,
    /// It is connected to the control server.
    pub online: bool,
    /// Its key has expired.
    pub expired: bool,
}

/// The network map.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct NetMap {
    /// Suffix of full names in this tailnet, without the dot before it.
    pub suffix: String,
    /// tailscaled has no network interface: connections in both directions go through it.
    pub userspace: bool,
    /// This node.
    pub me: NetMapEntry,
    /// Our own addresses below the tunnel: they change with the network. Their ports are left out, because many routers
    /// give another one all the time.
    endpoints: BTreeSet<IpAddr>,
    peers: BTreeMap<String, NetMapEntry>,
    owners: BTreeMap<i64, String>,
}

/// A DNS name without the dot at its end.
pub(super) fn full_name(dns_name: &str) -> &str {
    dns_name.strip_suffix('.').unwrap_or(dns_name)
}

impl NetMapEntry {
    fn read(node: StatusNode) -> Self {
        Self {
            name: full_name(&node.dns_name).to_ascii_lowercase(),
            stable_id: node.id,
            number: node.number,
            addresses: node.tailscale_ips,
            user: node.user_id,
            tags: node.tags,
            online: node.online,
            expired: node.expired,
        }
    }

    /// The first label of the name.
    pub fn label(&self) -> &str {
        self.name.split('.').next().unwrap_or_default()
    }
}

impl NetMap {
    /// The network map of a `status`.
    pub(super) fn read(status: Status) -> Self {
        let mut me = NetMapEntry::read(StatusNode { addrs: Vec::new(), ..status.me.clone() });
        if me.addresses.is_empty() {
            me.addresses = status.tailscale_ips;
        }
        let endpoints = status.me.addrs.iter().filter_map(|it| it.parse::<SocketAddr>().ok());
        let peers = status.peer.into_values().filter(|node| !node.id.is_empty());
        let owners = status
            .user
            .into_iter()
            .map(|(key, owner)| (key.parse().unwrap_or(owner.id), owner.login_name));
        Self {
            suffix: status.current_tailnet.suffix.to_ascii_lowercase(),
            userspace: status.tun == Some(false),
            me,
            endpoints: endpoints.map(|it| it.ip()).collect(),
            peers: peers.map(|node| (node.id.clone(), NetMapEntry::read(node))).collect(),
            owners: owners.filter(|(_, name)| !name.is_empty()).collect(),
        }
    }

    /// The node with this stable id; it may be us.
    pub fn get(&self, stable_id: &str) -> Option<&NetMapEntry> {
        if !stable_id.is_empty() && self.me.stable_id == stable_id {
            return Some(&self.me);
        }
        self.peers.get(stable_id)
    }

    /// The node with this address.
    pub fn by_address(&self, ip: IpAddr) -> Option<&NetMapEntry> {
        self.all().find(|entry| entry.addresses.contains(&ip))
    }

    /// All nodes, us first.
    pub fn all(&self) -> impl Iterator<Item = &NetMapEntry> {
        std::iter::once(&self.me).chain(self.peers.values())
    }

    /// The entry as a node, with its owner.
    pub fn node(&self, entry: &NetMapEntry) -> Node {
        let owner = match entry.tags.is_empty() {
            true => self.owners.get(&entry.user).cloned(),
            false => Some(entry.tags.join(", ")),
        };
        Node { stable_id: entry.stable_id.clone(), name: entry.name.clone(), owner }
    }

    /// Whether we and the node have the same owner. A node with tags has none.
    pub fn same_owner(&self, entry: &NetMapEntry) -> Option<bool> {
        match (self.me.tags.is_empty(), entry.tags.is_empty()) {
            (true, true) if self.me.user != 0 && entry.user != 0 => {
                Some(self.me.user == entry.user)
            }
            (true, true) | (false, false) => None,
            _ => Some(false),
        }
    }

    /// What a change since `before` hints at: our network or address changed, or we are connected to the control server
    /// again; or some of the `located` nodes came, went, came back or moved. Other nodes of a large tailnet change all
    /// the time.
    pub(super) fn hint(
        &self,
        before: &Self,
        update: &BusUpdate,
        located: &BTreeSet<String>,
    ) -> Option<Hint> {
        let moved = self.me.addresses != before.me.addresses || self.endpoints != before.endpoints;
        if moved || update.self_changed || (self.me.online && !before.me.online) {
            return Some(Hint::OurNetwork);
        }
        let known = located.iter().filter_map(|id| self.peers.get(id));
        let changed = known.filter(|now| {
            let Some(then) = before.peers.get(&now.stable_id) else { return true };
            now.online != then.online
                || (then.expired && !now.expired)
                || now.addresses != then.addresses
                || update.back_online.contains(&now.number)
        });
        let nodes: BTreeSet<_> = changed.map(|now| now.stable_id.clone()).collect();
        (!nodes.is_empty()).then_some(Hint::Nodes(nodes))
    }
}
