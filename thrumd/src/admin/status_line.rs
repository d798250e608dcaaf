//! The state of the daemon in one line, for the service manager: `systemctl status` shows it.

use std::collections::BTreeMap;

use thrum_api::DaemonId;
use thrum_api::local::PeerState;

use super::{AdminContext, Network, PeerNetwork};
use crate::config::SyncMode;
use crate::tailnet::Presence;

/// The state of the daemon. Nothing in it changes without an event, so no ages and no counters.
pub fn status_line(context: &AdminContext) -> String {
    if context.foreign {
        return "not syncing: this state directory came from another machine".to_owned();
    }
    if context.config.sync == SyncMode::Forbidden {
        return "serving this machine, sync is forbidden by sync = false".to_owned();
    }
    match &context.network {
        Network::Unavailable(why) => format!("serving this machine, can't sync: {why}"),
        Network::Available(_) => match context.network.enabled() {
            None => "serving this machine, no peers: pair one with `thrum peer add`".to_owned(),
            Some(network) => peers_line(context, network),
        },
    }
}

fn peers_line(context: &AdminContext, network: &PeerNetwork) -> String {
    if let Presence::Waiting { reason: why, .. } = &*network.tailnet().presence().borrow() {
        return waiting(why);
    }
    if let Some(problem) = &*network.listener_problem().borrow() {
        return format!("peers can't reach this machine: {problem}");
    }
    let peers: Vec<DaemonId> =
        context.registry.all().into_iter().map(|peer| peer.daemon_id).collect();
    let mut line = peer_counts(&peers, &network.sync().peer_states().borrow());
    for (index, address) in context.network.listening().iter().enumerate() {
        line.push_str(if index == 0 { ", listening on " } else { " and " });
        line.push_str(&address.to_string());
    }
    line
}

/// Turns `tailscaled is logged out; run ...` into `waiting for tailscaled: logged out; run ...`.
fn waiting(why: &str) -> String {
    match why.split_once(" is ") {
        Some((who, how)) if who.ends_with("tailscaled") => format!("waiting for {who}: {how}"),
        _ => format!("waiting for the tailnet: {why}"),
    }
}

fn peer_counts(peers: &[DaemonId], states: &BTreeMap<DaemonId, PeerState>) -> String {
    if peers.is_empty() {
        return "no peers: pair one with `thrum peer add`".to_owned();
    }
    let count = |wanted: fn(Option<PeerState>) -> bool| {
        peers.iter().filter(|peer| wanted(states.get(peer).copied())).count()
    };
    let connected = count(|state| {
        use PeerState::{CatchingUp, InSync, LogChanged};
        matches!(state, Some(InSync | CatchingUp | LogChanged))
    });
    let noun = if connected == 1 { "peer" } else { "peers" };
    let mut words = vec![format!("{connected} {noun} connected")];
    let others: [(usize, &str); 3] = [
        (count(|state| state == Some(PeerState::BackingOff)), "backing off"),
        (
            count(|state| matches!(state, None | Some(PeerState::NeverReached | PeerState::Off))),
            "not reached yet",
        ),
        (count(|state| state == Some(PeerState::RemovedUs)), "removed us"),
    ];
    words.extend(others.iter().filter(|(n, _)| *n > 0).map(|(n, what)| format!("{n} {what}")));
    words.join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_line_counts_peers_by_how_it_stands_with_them() {
        let id = |n: u8| -> DaemonId {
            format!("d_01ARZ3NDEKTSV4RRFFQ69G5FA{n}00000000000000000000000000").parse().unwrap()
        };
        let peers = [id(1), id(2), id(3), id(4)];
        let states = BTreeMap::from([
            (id(1), PeerState::InSync),
            (id(2), PeerState::CatchingUp),
            (id(3), PeerState::BackingOff),
        ]);
        let words = "2 peers connected, 1 backing off, 1 not reached yet";
        assert_eq!(peer_counts(&peers, &states), words);
        assert_eq!(peer_counts(&peers[..1], &states), "1 peer connected");
        assert!(peer_counts(&[], &states).starts_with("no peers"));
    }

    #[test]
    fn the_line_names_what_is_waited_for() {
        assert_eq!(
            waiting("tailscaled is logged out; run `sudo tailscale up`"),
            "waiting for tailscaled: logged out; run `sudo tailscale up`"
        );
        assert_eq!(
            waiting("Tailscale is not installed on this machine"),
            "waiting for the tailnet: Tailscale is not installed on this machine"
        );
    }
}
