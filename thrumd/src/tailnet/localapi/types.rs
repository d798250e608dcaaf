use std::collections::BTreeMap;
use std::net::IpAddr;
use std::time::Duration;

use serde::{Deserialize, Deserializer};
use serde_json::Value;

use super::{NodePath, Via};

/// Null is as good as missing: tailscaled writes Go's nil slices and maps so.
fn or_default<'de, D, T>(deserializer: D) -> Result<T, D::Error>
where
    D: Deserializer<'de>,
    T: Default + Deserialize<'de>,
{
    Option::<T>::deserialize(deserializer).map(Option::unwrap_or_default)
}

/// What tailscaled is at.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum BackendState {
    /// It has not begun, or waits for its first word from the control server.
    #[default]
    NoState,
    /// Logged out, or the key expired.
    NeedsLogin,
    /// Logged in; an administrator has to approve the machine.
    NeedsMachineAuth,
    /// `tailscale down`.
    Stopped,
    /// On its way up.
    Starting,
    /// Up.
    Running,
    /// Another user of this machine has it.
    InUseOtherUser,
    /// A word of a newer version.
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
    /// What it is at. All else is only true while this is `Running`.
    pub backend_state: BackendState,
    /// Where a person logs this machine in, if that is wanted right now.
    #[serde(rename = "AuthURL", deserialize_with = "or_default")]
    pub auth_url: String,
    /// This node's addresses. Still there when stopped, although the interface has lost them.
    #[serde(rename = "TailscaleIPs", deserialize_with = "or_default")]
    pub tailscale_ips: Vec<IpAddr>,
    /// This node.
    #[serde(rename = "Self", deserialize_with = "or_default")]
    pub me: StatusNode,
    /// The tailnet.
    #[serde(deserialize_with = "or_default")]
    pub current_tailnet: CurrentTailnet,
    /// What tailscaled itself complains of.
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
    /// What its full names end in, without dots around.
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
    /// Its number in the news. From 1.100; 0 before.
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
    /// The control server holds a connection of it. Stays true long after a silent death.
    #[serde(deserialize_with = "or_default")]
    pub online: bool,
    /// Its key is over.
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
    /// The node.
    #[serde(deserialize_with = "or_default")]
    pub node: WhoisNode,
    /// Its owner.
    #[serde(deserialize_with = "or_default")]
    pub user_profile: Profile,
    /// What the tailnet's policy grants it towards us.
    #[serde(deserialize_with = "or_default")]
    pub cap_map: BTreeMap<String, Option<Vec<Value>>>,
}

/// The node in `whois`.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
pub struct WhoisNode {
    /// Its stable id.
    #[serde(rename = "StableID", deserialize_with = "or_default")]
    pub stable_id: String,
    /// Its full name with a dot at the end.
    #[serde(deserialize_with = "or_default")]
    pub name: String,
    /// Its addresses as prefixes, `100.64.0.1/32`.
    #[serde(deserialize_with = "or_default")]
    pub addresses: Vec<String>,
    /// Its tags.
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
    /// The way, or tailscaled's words.
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

/// A refusal that is JSON.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Refusal {
    #[serde(deserialize_with = "or_default")]
    pub(super) error: String,
}
