use std::collections::BTreeMap;
use std::net::IpAddr;
use std::time::Duration;

use serde::{Deserialize, Deserializer};
use serde_json::Value;
use thrum_api::local::PathToPeer;

/// Path of packets to a node, from a ping below the tunnel.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NodePath {
    /// Direct, or through which relay.
    pub via: Via,
    /// Round trip of that one ping.
    pub round_trip: Duration,
}

/// Direct, or through a relay.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Via {
    /// From endpoint to endpoint, `ip:port`.
    Direct(String),
    /// Through the relay of this name.
    Relay(String),
}

impl From<NodePath> for PathToPeer {
    fn from(path: NodePath) -> Self {
        let round_trip_us = u64::try_from(path.round_trip.as_micros()).unwrap_or(u64::MAX);
        match path.via {
            Via::Direct(via) => Self { direct: true, via, round_trip_us },
            Via::Relay(via) => Self { direct: false, via, round_trip_us },
        }
    }
}

/// Reads null as missing: tailscaled writes Go's nil slices and maps as null.
fn or_default<'de, D, T>(deserializer: D) -> Result<T, D::Error>
where
    D: Deserializer<'de>,
    T: Default + Deserialize<'de>,
{
    Option::<T>::deserialize(deserializer).map(Option::unwrap_or_default)
}

/// State of tailscaled.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum BackendState {
    /// It has not started, or waits for the first answer of the control server.
    #[default]
    NoState,
    /// Logged out, or the key expired.
    NeedsLogin,
    /// Logged in; an administrator has to approve the machine.
    NeedsMachineAuth,
    /// `tailscale down`.
    Stopped,
    /// Coming up.
    Starting,
    /// Up.
    Running,
    /// In use by another user of this machine.
    InUseOtherUser,
    /// A state of a newer version.
    Other(String),
}

impl<'de> Deserialize<'de> for BackendState {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let word = Option::<String>::deserialize(deserializer)?.unwrap_or_default();
        Ok(match word.as_str() {
            "" | "NoState" => Self::NoState,
            "NeedsLogin" => Self::NeedsLogin,
            "NeedsMachineAuth" => Self::NeedsMachineAuth,
            "Stopped" => Self::Stopped,
            "Starting" => Self::Starting,
            "Running" => Self::Running,
            "InUseOtherUser" => Self::InUseOtherUser,
            _ => Self::Other(word),
        })
    }
}

/// Answer to `status`: the members that Thrum uses.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
pub struct Status {
    /// Version of tailscaled.
    #[serde(deserialize_with = "or_default")]
    pub version: String,
    /// It has an interface in the kernel. False: userspace mode. Missing counts as true.
    #[serde(rename = "TUN")]
    pub tun: Option<bool>,
    /// Its state. All else is only valid while this is `Running`.
    pub backend_state: BackendState,
    /// Page where a person logs this machine in, if a login is pending.
    #[serde(rename = "AuthURL", deserialize_with = "or_default")]
    pub auth_url: String,
    /// This node's addresses. Kept while stopped, although the interface has lost them.
    #[serde(rename = "TailscaleIPs", deserialize_with = "or_default")]
    pub tailscale_ips: Vec<IpAddr>,
    #[serde(rename = "Self", deserialize_with = "or_default")]
    pub me: StatusNode,
    #[serde(deserialize_with = "or_default")]
    pub current_tailnet: CurrentTailnet,
    /// tailscaled's own health warnings.
    #[serde(deserialize_with = "or_default")]
    pub health: Vec<String>,
    /// The other nodes, by public key.
    #[serde(deserialize_with = "or_default")]
    pub peer: BTreeMap<String, StatusNode>,
    /// Owners by their id.
    #[serde(deserialize_with = "or_default")]
    pub user: BTreeMap<String, Profile>,
}

/// The tailnet in `status`.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct CurrentTailnet {
    /// Suffix of its full names, without dots around it.
    #[serde(rename = "MagicDNSSuffix", deserialize_with = "or_default")]
    pub suffix: String,
}

/// A node in `status`.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
pub struct StatusNode {
    /// Its stable id.
    #[serde(rename = "ID", deserialize_with = "or_default")]
    pub id: String,
    /// Its number on the IPN bus. From 1.100; 0 before.
    #[serde(rename = "NodeID", deserialize_with = "or_default")]
    pub number: i64,
    /// Its full name with a dot at the end.
    #[serde(rename = "DNSName", deserialize_with = "or_default")]
    pub dns_name: String,
    /// Its owner.
    #[serde(rename = "UserID", deserialize_with = "or_default")]
    pub user_id: i64,
    /// Its addresses.
    #[serde(rename = "TailscaleIPs", deserialize_with = "or_default")]
    pub tailscale_ips: Vec<IpAddr>,
    /// Its tags; a node that has some has no owner.
    #[serde(deserialize_with = "or_default")]
    pub tags: Vec<String>,
    /// Our own endpoints: they change with the network. Empty for others.
    #[serde(deserialize_with = "or_default")]
    pub addrs: Vec<String>,
    /// It is connected to the control server. Stays true long after it died without a word.
    #[serde(deserialize_with = "or_default")]
    pub online: bool,
    /// Its key has expired.
    #[serde(deserialize_with = "or_default")]
    pub expired: bool,
}

/// An owner.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
pub struct Profile {
    /// The id in `StatusNode::user_id`.
    #[serde(rename = "ID", deserialize_with = "or_default")]
    pub id: i64,
    /// For display only.
    #[serde(deserialize_with = "or_default")]
    pub login_name: String,
}

/// Answer to `whois`.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
pub struct Whois {
    #[serde(deserialize_with = "or_default")]
    pub node: WhoisNode,
    /// Its owner.
    #[serde(deserialize_with = "or_default")]
    pub user_profile: Profile,
    /// Capabilities that the tailnet's policy grants it on us.
    #[serde(deserialize_with = "or_default")]
    pub cap_map: BTreeMap<String, Option<Vec<Value>>>,
}

/// The node in `whois`.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
pub struct WhoisNode {
    #[serde(rename = "StableID", deserialize_with = "or_default")]
    pub stable_id: String,
    /// Its full name with a dot at the end.
    #[serde(deserialize_with = "or_default")]
    pub name: String,
    /// Its addresses as prefixes, `100.64.0.1/32`.
    #[serde(deserialize_with = "or_default")]
    pub addresses: Vec<String>,
    #[serde(deserialize_with = "or_default")]
    pub tags: Vec<String>,
}

impl WhoisNode {
    /// Its addresses.
    pub fn ips(&self) -> impl Iterator<Item = IpAddr> {
        self.addresses.iter().filter_map(|prefix| prefix.split('/').next()?.parse().ok())
    }
}

/// Answer to `ping`.
#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
pub(super) struct Ping {
    #[serde(deserialize_with = "or_default")]
    err: String,
    #[serde(deserialize_with = "or_default")]
    latency_seconds: f64,
    #[serde(deserialize_with = "or_default")]
    endpoint: String,
    #[serde(deserialize_with = "or_default")]
    peer_relay: String,
    #[serde(rename = "DERPRegionCode", deserialize_with = "or_default")]
    relay: String,
}

impl Ping {
    /// The path, or tailscaled's error text.
    pub(super) fn path(self) -> Result<NodePath, String> {
        if !self.err.is_empty() {
            return Err(self.err);
        }
        let via = if !self.endpoint.is_empty() {
            Via::Direct(self.endpoint)
        } else if !self.peer_relay.is_empty() {
            Via::Relay(self.peer_relay)
        } else if !self.relay.is_empty() {
            Via::Relay(self.relay)
        } else {
            return Err("the answer names no path".to_owned());
        };
        let round_trip = Duration::try_from_secs_f64(self.latency_seconds).unwrap_or_default();
        Ok(NodePath { via, round_trip })
    }
}

/// An error answer in JSON.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Refusal {
    #[serde(deserialize_with = "or_default")]
    pub(super) error: String,
}
