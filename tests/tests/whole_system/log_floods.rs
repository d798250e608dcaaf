//! What other machines cause leaves a log file that a person can read.

use tests::harness::pair_request;
use tests::harness::{Answer, Daemon, FakePeer, Origin, Written};
use thrum_api::peer::{NotifyParams, PairRequest, SyncNotify};
use thrum_api::{ErrorCode, LogHash, LogPosition, Sequence};
use thrumd::keys::SecretKey;

use crate::pages::fakes;

fn notify(fake: &FakePeer, daemon: &Daemon, origin: &Origin, event: &Written) {
    let at = |sequence: u64| LogPosition {
        sequence: Sequence(sequence),
        hash: (sequence > 0).then_some(LogHash(sequence)),
    };
    let after = at(event.sequence - 1);
    let params = NotifyParams {
        after_seq: Some(after.sequence),
        after_hash: after.hash,
        heads: Some(vec![event.head]),
        runs: Some(vec![origin.run(std::slice::from_ref(event))]),
        ..NotifyParams::of(fake.id(), at(event.sequence))
    };
    let notified = fake.caller(daemon).call::<SyncNotify>(&params).unwrap();
    assert_eq!(notified.held_seq.0, event.sequence, "{notified:?}");
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
    let (origin, events) = fakes(1_001);
    for event in &events[..1_000] {
        notify(&busy, &daemon, &origin, event);
    }
    let synced = |of: &FakePeer| format!("synced from {}", of.id());
    let stranger = daemon.stranger();
    let key = SecretKey::generate().unwrap();
    let params = pair_request(&daemon, &key, None, "stranger", "127.0.0.1:9");
    for _ in 0..1_000 {
        let refused = stranger.call::<PairRequest>(&params).unwrap_err();
        assert_eq!(refused.code(), Some(ErrorCode::NO_PAIRING_SESSION), "{refused}");
    }
    // The machine is another one; the events are the same, so the next one is new to the log.
    for event in &events {
        notify(&other, &daemon, &origin, event);
    }
    // One more a minute, however long this takes.
    for words in [&*synced(&busy), "without a code refused"] {
        assert!((10..100).contains(&count(words)), "{words}: {} lines", count(words));
    }
    assert_eq!(count(&synced(&other)), 1, "{}", daemon.log_text());
    assert!(count("") < 200, "{} lines", count(""));
}
