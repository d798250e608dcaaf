//! The output of `thrum status`.

use thrum_api::Timestamp;
use thrum_api::duration::{ago_or_never, rounded};
use thrum_api::local::{Problem, StatusResult, TailnetKind, TailnetStatus};

use super::peers;
use crate::format::{count, counted, short_id, size, until_readable, views_behind};
use crate::printer::{BOLD, GREEN, YELLOW, styled};
use crate::terminal::sanitize;

/// The lines of the output.
pub fn lines(status: &StatusResult, now: Timestamp, verbose: bool) -> Vec<String> {
    let mut lines = head(status);
    lines.push(String::new());
    lines.extend(sync_block(status, now));
    if !status.peers.is_empty() {
        lines.push(String::new());
        lines.extend(peers::table(&status.peers, now));
    }
    if !status.problems.is_empty() {
        lines.push(String::new());
        lines.extend(problems(&status.problems, now));
    }
    if verbose {
        lines.push(String::new());
        lines.extend(more(status));
    }
    lines
}

fn head(status: &StatusResult) -> Vec<String> {
    let log = &status.log;
    let mut log_line = format!(
        "log      {}, {}, epoch {}",
        counted(log.events, "event"),
        size(log.size_bytes),
        short_id(&log.epoch.to_string())
    );
    if log.quarantined > 0 {
        log_line.push_str(&format!(", {} quarantined", count(log.quarantined)));
    }
    let running = styled(GREEN, "running");
    let mut lines = vec![
        format!(
            "thrumd {} {running} for {} as {} ({}), pid {}",
            sanitize(&status.version),
            rounded(status.uptime_ms),
            styled(BOLD, &sanitize(&status.name)),
            short_id(&status.daemon_id.to_string()),
            status.pid
        ),
        log_line,
    ];
    if let Some(behind) = views_behind(status) {
        lines.push(styled(YELLOW, &until_readable(&behind)));
    }
    lines.push(format!("tailnet  {}", tailnet(&status.tailnet)));
    if let Some(warning) = &status.tailnet.warning {
        lines.push(styled(YELLOW, &format!("         {}", sanitize(warning))));
    }
    if status.sync.enabled {
        let paired = status.peers.len();
        lines.push(match paired {
            0 => "sync     no peers yet: thrum peer add".to_owned(),
            _ => format!("sync     {} of {} in sync", status.sync.in_sync, counted(paired, "peer")),
        });
    }
    lines
}

fn tailnet(tailnet: &TailnetStatus) -> String {
    let mut text = match tailnet.kind {
        TailnetKind::Loopback => "loopback, ".to_owned(),
        TailnetKind::Private => "private, ".to_owned(),
        TailnetKind::Tailscaled => String::new(),
    };
    text.push_str(&sanitize(&tailnet.state));
    if let Some(hostname) = &tailnet.hostname {
        text.push_str(&format!(", {}", sanitize(hostname)));
    }
    if !tailnet.listening.is_empty() {
        text.push_str(&format!(", listening on {}", sanitize(&tailnet.listening.join(", "))));
    }
    text
}

/// The sync block, whose exact text users know from the earlier program.
fn sync_block(status: &StatusResult, now: Timestamp) -> Vec<String> {
    let hostname = status.tailnet.hostname.as_deref().unwrap_or(&status.name);
    if !status.sync.enabled {
        return vec![
            "Tailscale Sync: disabled".to_owned(),
            format!("  Hostname: {}", sanitize(hostname)),
        ];
    }
    vec![
        "Tailscale Sync: enabled".to_owned(),
        format!("  Peers: {} connected", status.sync.connected),
        format!("  Last sync: {}", ago_or_never(status.sync.last_sync, now)),
        format!("  Hostname: {}", sanitize(hostname)),
    ]
}

/// The problems, each with its age and the command that helps.
pub fn problems(problems: &[Problem], now: Timestamp) -> Vec<String> {
    let mut lines = vec![styled(YELLOW, "Problems")];
    for problem in problems {
        let since = problem.since.map_or_else(String::new, |since| {
            format!(" (for {})", rounded(now.millis_since(since)))
        });
        lines.push(format!("  {}{since}", sanitize(&problem.message)));
        if let Some(next) = &problem.next {
            lines.push(format!("    {}", sanitize(next)));
        }
    }
    lines
}

fn more(status: &StatusResult) -> Vec<String> {
    let sync = &status.sync;
    vec![
        format!("state directory  {}", status.state_dir),
        format!("daemon           {}", status.daemon_id),
        format!("epoch            {}", status.log.epoch),
        format!("head             {}", count(status.log.head_seq.0)),
        format!(
            "since start      {} and {} sent, {} received ({} known already)",
            counted(sync.pulls_sent, "pull"),
            counted(sync.notifies_sent, "notification"),
            counted(sync.events_received, "event"),
            count(sync.events_duplicate)
        ),
    ]
}

/// A status, for tests.
#[cfg(test)]
pub fn example() -> StatusResult {
    tests::status(serde_json::json!([]))
}

#[cfg(test)]
mod tests {
    use anstream::adapter::strip_str;
    use serde_json::json;

    use super::*;

    pub(super) fn status(peers: serde_json::Value) -> StatusResult {
        serde_json::from_value(json!({
            "daemon_id": "d_01K000000000000000000000000000000000000000000000007G",
            "name": "my-laptop",
            "version": "0.3.1",
            "pid": 4711,
            "uptime_ms": 259_200_000u64,
            "state_dir": "/s",
            "log": {
                "epoch": "01K00000000000000000000002",
                "head_seq": 48_201, "events": 48_201, "size_bytes": 74_448_896, "quarantined": 0,
            },
            "views": { "read_seq": 38_201 },
            "tailnet": {
                "kind": "loopback", "state": "up", "hostname": "my-laptop",
                "listening": ["127.0.0.1:9100"],
            },
            "sync": {
                "enabled": true, "connected": 2, "in_sync": 1,
                "last_sync": "1970-01-01T02:00:00Z",
                "pulls_sent": 1, "notifies_sent": 2, "events_received": 3, "events_duplicate": 0,
            },
            "peers": peers,
            "problems": [{
                "id": "peer.unreachable",
                "message": "old-mac does not answer: connection timed out",
                "since": "1970-01-01T00:00:30Z",
                "next": "thrum peer sync old-mac",
            }],
        }))
        .unwrap()
    }

    fn peer(name: &str, state: &str, lack: Option<u64>) -> serde_json::Value {
        let mut peer = json!({
            "daemon_id": "d_01K0000000000000000000000000000000000000000000000000",
            "name": name, "address": "127.0.0.1:9101", "state": state,
            "since": "1970-01-01T00:00:30Z", "last_sync": "1970-01-01T02:00:00Z",
            "they_lack": 0, "checkpoint": 1, "failures": 0, "events_received": 0,
        });
        if let Some(lack) = lack {
            peer["we_lack"] = json!(lack);
        }
        peer
    }

    #[test]
    fn the_output_shows_state_and_problems() {
        let peers = json!([
            peer("vm-1", "in_sync", Some(0)),
            peer("ci-runner", "catching_up", Some(1204)),
            peer("old-mac", "backing_off", None),
        ]);
        let now = Timestamp::from_millis(7_230_000);
        let lines = lines(&status(peers), now, false);
        let lines: Vec<String> = lines.iter().map(|line| strip_str(line).to_string()).collect();
        insta::assert_snapshot!("status", lines.join("\n"));
        assert!(lines.iter().all(|line| line.chars().count() <= 80), "wider than 80 columns");
    }

    #[test]
    fn views_that_are_far_behind_are_shown() {
        let shown = |read: u64| {
            let mut status = status(json!([]));
            status.views.read_seq = Some(thrum_api::Sequence(read));
            let lines = lines(&status, Timestamp::from_millis(7_230_000), false);
            let line = lines.iter().map(|line| strip_str(line).to_string());
            line.into_iter().find(|line| line.starts_with("messages"))
        };
        let line = "messages can be read when all events are indexed: 12,000 of 48,201 so far";
        assert_eq!(shown(12_000).as_deref(), Some(line));
        assert_eq!(shown(38_201), None, "they have them in a moment");
        assert_eq!(shown(48_205), None, "read after the log was looked at");
    }

    #[test]
    fn the_sync_block_has_its_exact_text() {
        let lines = sync_block(&status(json!([])), Timestamp::from_millis(7_230_000));
        assert_eq!(
            lines,
            [
                "Tailscale Sync: enabled",
                "  Peers: 2 connected",
                "  Last sync: 30s ago",
                "  Hostname: my-laptop",
            ]
        );
    }
}
