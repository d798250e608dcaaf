//! Asking a peer how far it holds our log, because somebody waits for that.

use std::time::Duration;

use thrum_api::Sequence;

use super::harness::{Harness, notifications, only, peer, position};
use crate::sync::hub::{Input, NotifyResult};

fn answered(latest: u64, confirmed: u64) -> NotifyResult {
    NotifyResult::Answered { latest: position(latest), confirmed: Sequence(confirmed), known: 0 }
}

fn confirmed(harness: &Harness) -> u64 {
    harness.hub.snapshot(peer(1)).unwrap().confirmed.0
}

/// The peer has pulled our log to its end, and has not said that it is on its disk.
fn pulled_to_the_end() -> Harness {
    let mut harness = Harness::settled(&[peer(1)]);
    let (peer, next) = (peer(1), position(9));
    harness.give(Input::PageServed { peer, next, more: false, relayed: false });
    assert_eq!(harness.give(Input::Head(Sequence(9))), []);
    harness
}

#[test]
fn a_peer_that_pulled_everything_is_asked_once_when_somebody_waits() {
    let mut harness = pulled_to_the_end();
    let (_, operation, from, due) = only(notifications(&harness.give(Input::Confirm(peer(1)))));
    assert_eq!((from, due), (position(9), true), "it carries nothing");
    assert_eq!(harness.give(Input::Confirm(peer(1))), [], "it is asked");
    assert_eq!(harness.notified(peer(1), operation, answered(9, 9)), []);
    assert_eq!(confirmed(&harness), 9);
    assert_eq!(harness.give(Input::Confirm(peer(1))), [], "it has said so");
}

#[test]
fn a_peer_that_is_still_storing_is_not_asked_again_by_itself() {
    let mut harness = pulled_to_the_end();
    let (_, operation, ..) = only(notifications(&harness.give(Input::Confirm(peer(1)))));
    assert_eq!(harness.notified(peer(1), operation, answered(9, 4)), []);
    assert_eq!(confirmed(&harness), 4);
    assert_eq!(notifications(&harness.pass(Duration::from_secs(200))), []);
}

#[test]
fn what_a_peer_was_not_sent_is_not_asked_for() {
    let mut harness = Harness::settled(&[peer(1)]);
    assert_eq!(harness.give(Input::Confirm(peer(1))), [], "an empty log");
    let (_, operation, ..) = only(notifications(&harness.give(Input::Head(Sequence(2)))));
    // The answer to that one tells.
    assert_eq!(harness.give(Input::Confirm(peer(1))), []);
    assert_eq!(harness.notified(peer(1), operation, answered(2, 2)), []);
    assert_eq!(confirmed(&harness), 2);
    // News that waits for more is not hurried.
    let (_, operation, ..) = only(notifications(&harness.give(Input::Head(Sequence(3)))));
    let (delay, examined) = (Duration::from_millis(500), position(3));
    harness.notified(peer(1), operation, NotifyResult::Deferred { delay, examined });
    assert_eq!(harness.give(Input::Confirm(peer(1))), []);
}
