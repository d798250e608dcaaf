//! Name resolution: from what a person typed to a machine of the tailnet.

use std::net::SocketAddr;

use thrum_api::similar_names;

use super::netmap::{NetMap, NetMapEntry};
use crate::tailnet::address::{Host, HostPort};
use crate::tailnet::error::TailnetError;
use crate::tailnet::types::Target;

/// How many similar names an error suggests.
const SUGGESTIONS: usize = 3;

impl NetMap {
    /// The machine with the name or address `wanted`, which was typed as `typed`.
    pub(super) fn resolve(&self, typed: &str, wanted: &HostPort) -> Result<Target, TailnetError> {
        let entry = match &wanted.host {
            Host::Ip(ip) => self
                .by_address(ip.to_canonical())
                .ok_or_else(|| TailnetError::NotInTailnet { host: ip.to_string() })?,
            Host::Name(name) => self.by_name(typed, name)?,
        };
        let mut ips = entry.addresses.clone();
        if let Host::Ip(ip) = wanted.host {
            // The one that was typed comes first.
            ips.sort_by_key(|other| *other != ip.to_canonical());
        }
        Ok(Target {
            addresses: ips.into_iter().map(|ip| SocketAddr::new(ip, wanted.port)).collect(),
            node: Some(self.node(entry)),
            same_owner: self.same_owner(entry),
        })
    }

    /// The node with this full name, else with this name in our tailnet, else the one node shared with
    /// us from another tailnet whose name begins with this label.
    fn by_name(&self, typed: &str, name: &str) -> Result<&NetMapEntry, TailnetError> {
        let local = format!("{name}.{}", self.suffix);
        for full in [name, local.as_str()] {
            if let Some(entry) = self.all().find(|entry| entry.name == full) {
                return Ok(entry);
            }
        }
        let matches: Vec<_> = self.all().filter(|entry| entry.label() == name).collect();
        match matches.as_slice() {
            [one] => Ok(one),
            [] => Err(TailnetError::NoSuchName {
                name: typed.to_owned(),
                tailnet: self.suffix.clone(),
                similar: self.similar(name),
            }),
            several => Err(TailnetError::Ambiguous {
                name: typed.to_owned(),
                matches: several.iter().map(|entry| entry.name.clone()).collect(),
            }),
        }
    }

    /// Similar names, most similar first.
    fn similar(&self, name: &str) -> Vec<String> {
        let wanted = name.split('.').next().unwrap_or(name);
        let found = similar_names(wanted, self.all().map(NetMapEntry::label));
        found.into_iter().take(SUGGESTIONS).map(str::to_owned).collect()
    }
}
