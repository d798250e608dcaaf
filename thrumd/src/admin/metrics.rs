//! `GET /metrics`, in Prometheus's text format.

use thrum_api::RpcError;
use thrum_api::local::{PeerState, PeerStatus};

use super::{AdminContext, errors, status};

const STATES: [(PeerState, &str); 7] = [
    (PeerState::InSync, "in_sync"),
    (PeerState::CatchingUp, "catching_up"),
    (PeerState::BackingOff, "backing_off"),
    (PeerState::NeverReached, "never_reached"),
    (PeerState::RemovedUs, "removed_us"),
    (PeerState::LogChanged, "log_changed"),
    (PeerState::Off, "off"),
];

/// All metrics.
pub async fn text(context: &AdminContext) -> Result<String, RpcError> {
    let stats = context.log.stats().await.map_err(errors::log)?;
    let head = context.log.head();
    let peers = status::peers(context).await;
    let counters = status::counters(context);
    let mut page = Exposition(String::new());
    let version = env!("CARGO_PKG_VERSION");
    page.family("thrumd_build_info", "gauge", "The version of the program.");
    page.sample("thrumd_build_info", &[("version", version)], 1);
    page.one("thrumd_uptime_seconds", "gauge", "Time since the start.", context.uptime_ms() / 1000);
    page.one("thrumd_log_head", "gauge", "Last sequence of the log.", head.position.sequence.0);
    if let Some(read) = context.agents.digested_up_to() {
        page.one("thrumd_views_read", "gauge", "Last sequence that the views have read.", read.0);
    }
    page.one("thrumd_log_events", "gauge", "Events in the log.", stats.events);
    page.one("thrumd_log_size_bytes", "gauge", "Size of the log's files.", stats.size_bytes);
    page.one("thrumd_log_quarantined", "gauge", "Events in quarantine.", stats.quarantined);
    let on = u64::from(context.network.enabled().is_some());
    page.one("thrumd_sync_enabled", "gauge", "1 if this machine syncs.", on);
    page.one("thrumd_pulls_total", "counter", "sync.pull requests sent.", counters.pulls_sent);
    page.one(
        "thrumd_notifies_total",
        "counter",
        "sync.notify requests sent.",
        counters.notifies_sent,
    );
    let received = counters.events_received;
    page.one("thrumd_events_received_total", "counter", "Events from peers.", received);
    let duplicate = counters.events_duplicate;
    page.one(
        "thrumd_events_duplicate_total",
        "counter",
        "Of those, events that were known already.",
        duplicate,
    );
    page.family("thrumd_peers", "gauge", "Peers by state.");
    for (state, word) in STATES {
        let count = peers.iter().filter(|peer| peer.state == state).count();
        page.sample("thrumd_peers", &[("state", word)], count as u64);
    }
    page.of_peers(
        "thrumd_peer_we_lack",
        "Sequences of its log that are missing here.",
        &peers,
        |p| p.we_lack,
    );
    page.of_peers(
        "thrumd_peer_they_lack",
        "Sequences of our log that are missing there.",
        &peers,
        |p| p.they_lack,
    );
    page.of_peers("thrumd_peer_failures", "Failures since the last success.", &peers, |p| {
        Some(u64::from(p.failures))
    });
    Ok(page.0)
}

/// The text of the metrics.
struct Exposition(String);

impl Exposition {
    fn family(&mut self, name: &str, kind: &str, help: &str) {
        self.0.push_str(&format!("# HELP {name} {help}\n# TYPE {name} {kind}\n"));
    }

    fn sample(&mut self, name: &str, labels: &[(&str, &str)], value: u64) {
        self.0.push_str(name);
        for (index, (label, text)) in labels.iter().enumerate() {
            let open = if index == 0 { '{' } else { ',' };
            self.0.push_str(&format!("{open}{label}=\"{}\"", escaped(text)));
        }
        let close = if labels.is_empty() { "" } else { "}" };
        self.0.push_str(&format!("{close} {value}\n"));
    }

    fn one(&mut self, name: &str, kind: &str, help: &str, value: u64) {
        self.family(name, kind, help);
        self.sample(name, &[], value);
    }

    fn of_peers(
        &mut self,
        name: &str,
        help: &str,
        peers: &[PeerStatus],
        value: impl Fn(&PeerStatus) -> Option<u64>,
    ) {
        self.family(name, "gauge", help);
        for peer in peers {
            if let Some(value) = value(peer) {
                let id = peer.daemon_id.to_string();
                self.sample(name, &[("peer", &peer.name), ("daemon_id", &id)], value);
            }
        }
    }
}

fn escaped(text: &str) -> String {
    text.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
}
