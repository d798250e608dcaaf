//! Checks up to the port: tailnet, path, port.

use std::io::ErrorKind;
use std::net::SocketAddr;

use thrum_api::local::{CheckState, PathToPeer, TailnetKind};

use super::super::client::{ClientError, DialError, dial};
use super::super::shared::{Shared, chain as chain_of};
use super::CheckList;
use crate::peer::Peer;

/// Checks that the tailnet knows its node, and that it is online.
pub(super) async fn known(
    shared: &Shared,
    peer: &Peer,
    name: &str,
    list: &mut CheckList,
) -> Option<Vec<SocketAddr>> {
    let found = shared.locate(peer).await;
    let addresses = match found {
        Ok(addresses) if !addresses.is_empty() => addresses,
        Ok(_) | Err(ClientError::NotThere { .. }) => {
            let error = ClientError::NotThere { peer: name.to_owned() };
            let message = format!(
                "{name} is not in the tailnet: it was removed, or the tailnet's policy hides it; a \
                 machine that was added again must be paired again"
            );
            list.fail("peer_known", &error, message, Some("tailscale status"));
            return None;
        }
        Err(error) => {
            list.fail("peer_known", &error, chain_of(&error), Some("thrum status"));
            return None;
        }
    };
    if shared.tailnet.kind() == TailnetKind::Loopback {
        list.ok("peer_known", format!("{name} is at {} on this machine", peer.address));
        list.add("peer_online", CheckState::Skipped, "the loopback tailnet doesn't know", None);
        return Some(addresses);
    }
    let node = peer.node.as_deref().unwrap_or_default();
    let entry = shared.tailnet.entry(node);
    let full = entry.as_ref().map_or(name, |entry| entry.name.as_str());
    let at: Vec<String> = addresses.iter().map(ToString::to_string).collect();
    list.ok("peer_known", format!("{name} is {full}, at {}", at.join(" and ")));
    match entry {
        Some(entry) if entry.expired => {
            let message = format!("the key of {name} in the tailnet has expired");
            let next = Some("tailscale up --force-reauth   (on that machine)");
            list.add("peer_online", CheckState::Fail, message, next);
            return None;
        }
        Some(entry) if !entry.online => {
            let message = format!(
                "the tailnet's control server has no connection to {name}: it is off, asleep or \
                 without network, or its tailscaled is not running"
            );
            list.add("peer_online", CheckState::Warn, message, None);
        }
        Some(_) => list.ok("peer_online", "online, according to the tailnet's control server"),
        None => {}
    }
    Some(addresses)
}

/// Pings the node and dials its port, in parallel, because each may take seconds.
pub(super) async fn probe(
    shared: &Shared,
    peer: &Peer,
    addresses: &[SocketAddr],
) -> (Option<PathToPeer>, Result<SocketAddr, DialError>) {
    let ping = async {
        let node = peer.node.as_deref()?;
        shared.tailnet.path(node).await.map(PathToPeer::from)
    };
    let dialled = async { dial(&shared.tailnet, addresses).await.map(|(address, _)| address) };
    tokio::join!(ping, dialled)
}

pub(super) fn path(
    shared: &Shared,
    peer: &Peer,
    name: &str,
    path: Option<&PathToPeer>,
    list: &mut CheckList,
) {
    if peer.node.is_none() || shared.tailnet.kind() == TailnetKind::Loopback {
        return list.add(
            "peer_path",
            CheckState::Skipped,
            "the loopback tailnet has no paths",
            None,
        );
    }
    match path {
        Some(PathToPeer { direct: true, via, round_trip_us }) => {
            list.ok("peer_path", format!("direct to {via}, {}", millis(*round_trip_us)));
        }
        Some(PathToPeer { via, round_trip_us, .. }) => {
            let message = format!(
                "relayed via {via}, {}: it works, only slower than a direct path",
                millis(*round_trip_us)
            );
            list.add("peer_path", CheckState::Warn, message, Some("tailscale netcheck"));
        }
        None => {
            let message = format!("{name} does not answer a ping through the tailnet");
            list.add("peer_path", CheckState::Warn, message, Some("tailscale status"));
        }
    }
}

fn millis(micros: u64) -> String {
    format!("{}.{} ms", micros / 1000, micros % 1000 / 100)
}

/// Checks that the port accepts connections. Returns the address that does.
pub(super) fn port(
    dialled: Result<SocketAddr, DialError>,
    name: &str,
    pinged: bool,
    list: &mut CheckList,
) -> Option<SocketAddr> {
    let failed = match dialled {
        Ok(address) => {
            list.ok("peer_port", format!("{address} accepts connections"));
            return Some(address);
        }
        Err(error) => error,
    };
    // `known` found at least one address.
    let DialError::Connect { address, source: error } = failed.clone() else { return None };
    let refused = |error: &std::io::Error| error.kind() == ErrorKind::ConnectionRefused;
    let silent = |error: &std::io::Error| error.kind() == ErrorKind::TimedOut;
    let (message, next) = match error {
        Some(error) if refused(&error) => (
            format!(
                "nothing listens at {address}: thrumd is not running on {name}, or it runs without a \
                 listener because sync is off there, as after its state directory was lost"
            ),
            "thrum status   (on that machine; `thrum daemon start` or `thrum peer add` mend it)"
                .to_owned(),
        ),
        Some(error) if !silent(&error) => {
            (format!("can't connect to {address}: {}", chain_of(&error)), "thrum status".to_owned())
        }
        _ if pinged => (
            format!(
                "{address} does not answer although {name} does: the tailnet's policy or a firewall \
                 blocks TCP port {}",
                address.port()
            ),
            "allow the port in the tailnet's policy (docs/tailscale.md)".to_owned(),
        ),
        _ => (
            format!("{address} does not answer, nor does {name}"),
            "check that the machine is on and its tailscaled runs".to_owned(),
        ),
    };
    list.fail("peer_port", &failed.of(name), message, Some(&next));
    None
}
