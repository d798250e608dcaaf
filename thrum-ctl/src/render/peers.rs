//! The state of peers: a table of all, and the details of one.

use thrum_api::Timestamp;
use thrum_api::duration::{ago, ago_or_never, rounded};
use thrum_api::local::{PathToPeer, PeerState, PeerStatus};

use super::table::Table;
use crate::format::{count, count_or_unknown, counted, micros, peer_state};
use crate::printer::{BOLD, YELLOW, styled};
use crate::terminal::sanitize;

const fn needs_attention(state: PeerState) -> bool {
    matches!(state, PeerState::BackingOff | PeerState::NeverReached | PeerState::RemovedUs)
}

/// The table of all peers.
pub fn table(peers: &[PeerStatus], now: Timestamp) -> Vec<String> {
    let headings = ["PEER", "STATE", "THEY LACK", "WE LACK", "LAST NEWS", "ADDRESS"];
    let mut table = Table::new(&headings).right(&[2, 3]);
    for peer in peers {
        let cells = vec![
            peer.name.clone(),
            peer_state(peer.state).to_owned(),
            count_or_unknown(peer.they_lack),
            count_or_unknown(peer.we_lack),
            ago_or_never(peer.last_sync, now),
            peer.address.clone(),
        ];
        if needs_attention(peer.state) {
            table.styled_row(cells, YELLOW);
        } else {
            table.row(cells);
        }
    }
    table.lines()
}

/// The details of one peer.
pub fn details(peer: &PeerStatus, path: Option<&PathToPeer>, now: Timestamp) -> Vec<String> {
    let mut lines = vec![styled(BOLD, &sanitize(&peer.name))];
    let mut line = |name: &str, value: String| lines.push(format!("  {name:<12} {value}"));
    let backing_off = match (peer.state, peer.next_try_at) {
        (PeerState::BackingOff, Some(next)) => format!(" until {next}"),
        _ => String::new(),
    };
    line(
        "state",
        format!("{}{backing_off}, since {}", peer_state(peer.state), ago(peer.since, now)),
    );
    line("address", sanitize(&peer.address).into_owned());
    if let Some(path) = path {
        let how = if path.direct { "direct to" } else { "relayed via" };
        let time = micros(path.round_trip_us);
        line("path", format!("{how} {}, {time} below the tunnel", sanitize(&path.via)));
    }
    if let Some(capability) = &peer.by_policy {
        line("paired", format!("by the tailnet's policy, {}", sanitize(capability)));
    }
    line("daemon", peer.daemon_id.to_string());
    for former in &peer.former {
        line("before", format!("{former}, until it was set up anew and paired again"));
    }
    if let Some(version) = &peer.version {
        line("version", sanitize(version).into_owned());
    }
    line("last sync", ago_or_never(peer.last_sync, now));
    line("we lack", count_or_unknown(peer.we_lack));
    line("they lack", count_or_unknown(peer.they_lack));
    line("checkpoint", count(peer.checkpoint.0));
    line("received", format!("{} since start", count(peer.events_received)));
    if let Some(round_trip) = peer.round_trip_us {
        line("round trip", micros(round_trip));
    }
    if peer.failures > 0 {
        line("failures", count(u64::from(peer.failures)));
    }
    if peer.refused_elsewhere > 0 {
        let caller = peer.refused_caller.as_deref().unwrap_or("another machine");
        let times = counted(peer.refused_elsewhere, "time");
        line("its token", format!("refused {times}, last from {}", sanitize(caller)));
    }
    if let Some(error) = &peer.last_error {
        line("last error", sanitize(error).into_owned());
    }
    if let Some(next) = peer.next_try_at {
        line("next try", format!("in {}", rounded(next.millis_since(now))));
    }
    lines
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn refusals_of_a_token_are_counted() {
        let of = |times: u64| {
            let peer: PeerStatus = serde_json::from_value(json!({
                "daemon_id": "d_01K0000000000000000000000000000000000000000000000000",
                "name": "server", "address": "127.0.0.1:9101", "state": "in_sync",
                "since": "1970-01-01T00:00:30Z", "they_lack": 0, "checkpoint": 1,
                "failures": 0, "events_received": 0, "refused_elsewhere": times,
            }))
            .unwrap();
            let lines = details(&peer, None, Timestamp::from_millis(0));
            lines.into_iter().find(|line| line.contains("refused")).unwrap()
        };
        assert!(of(1).contains("refused 1 time, last"), "{}", of(1));
        assert!(of(1204).contains("refused 1,204 times, last"), "{}", of(1204));
    }
}
