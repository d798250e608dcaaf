//! What other machines cause leaves a log file that a person can read.

use serde_json::{Value, json};
use tests::harness::{Answer, Daemon, FakePeer};
use thrum_api::peer::{PairRequest, PairRequestParams};
use thrum_api::{DaemonId, ErrorCode};

use crate::pages::{EPOCH, ORIGIN, event, id};

/// A notification of a peer's n-th event.
fn notification(of: DaemonId, n: u64) -> Value {
    let after = (n > 1).then(|| id(n - 1));
    json!({"jsonrpc": "2.0", "id": "n", "method": "sync.notify", "params": {
        "daemon_id": of, "latest_seq": n, "latest_id": id(n), "after_seq": n - 1, "after_id": after,
        "events": [{"sequence": n, "event": event(n)}],
        "heads": [{"origin_daemon": ORIGIN, "origin_epoch": EPOCH, "origin_sequence": n,
            "event_id": id(n)}],
    }})
}

fn notify(fake: &FakePeer, daemon: &Daemon, n: u64) {
    let body = notification(fake.id(), n).to_string();
    let answer = fake.caller(daemon).post(body.as_bytes()).unwrap().json();
    assert_eq!(answer["result"]["held_seq"], n, "{answer}");
}

/// A peer whose events come by notifications only.
fn writer() -> FakePeer {
    FakePeer::new(|heard| (heard.method == "sync.pull").then_some(Answer::Error(-32603)))
}

#[test]
fn thousands_of_requests_leave_a_few_lines_and_hide_none_of_another_machine() {
    let daemon = Daemon::start("laptop");
    let (mut busy, mut other) = (writer(), writer());
    busy.joins(&daemon);
    other.joins(&daemon);
    let count = |words: &str| {
        let log = daemon.log_text();
        let shown = log.lines().filter(|line| !line.contains(" DEBUG "));
        shown.filter(|line| line.contains(words)).count()
    };
    for n in 1..=1_000 {
        notify(&busy, &daemon, n);
    }
    let synced = |of: &FakePeer| format!("synced from {}", of.id());
    let stranger = daemon.stranger();
    let (name, addr) = ("stranger".to_owned(), "127.0.0.1:9".to_owned());
    let params = PairRequestParams { code: None, id: thrumd::ids::daemon(), name, addr };
    for _ in 0..1_000 {
        let refused = stranger.call::<PairRequest>(&params).unwrap_err();
        assert_eq!(refused.code(), Some(ErrorCode::NO_PAIRING_SESSION), "{refused}");
    }
    // The machine is another one; the events are the same, so the next one is new to the log.
    for n in 1..=1_001 {
        notify(&other, &daemon, n);
    }
    // One more a minute, however long this takes.
    for words in [&*synced(&busy), "without a code refused"] {
        assert!((10..100).contains(&count(words)), "{words}: {} lines", count(words));
    }
    assert_eq!(count(&synced(&other)), 1, "{}", daemon.log_text());
    assert!(count("") < 200, "{} lines", count(""));
}
