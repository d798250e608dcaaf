use std::time::Duration;

use thrum_api::Sequence;

use super::harness::{Harness, done, ms, notifications, only, peer, position, pulls, unreachable};
use crate::sync::hub::{DrainState, Failure, Input, NotifyResult, PullResult};

fn drain_state(harness: &Harness) -> DrainState {
    harness.hub.snapshot(peer(1)).unwrap().drain
}

fn answered(latest: u64, confirmed: u64) -> NotifyResult {
    NotifyResult::Answered { latest: position(latest), confirmed: Sequence(confirmed), known: 0 }
}

#[test]
fn a_served_page_does_not_count_as_confirmed() {
    let mut harness = Harness::settled(&[peer(1)]);
    harness.give(Input::PageServed {
        peer: peer(1),
        next: position(9),
        more: false,
        relayed: false,
    });
    assert_eq!(harness.give(Input::Head(Sequence(9))), []);
    assert_eq!(harness.hub.snapshot(peer(1)).unwrap().they_lack, Some(0));
    let (_, operation, _, due) = only(notifications(&harness.give(Input::Drain)));
    assert!(due);
    assert_eq!(drain_state(&harness), DrainState::Waiting);
    // The peer's pull is not on its disk yet.
    assert_eq!(harness.notified(peer(1), operation, answered(9, 0)), []);
    assert_eq!(drain_state(&harness), DrainState::Reading);
    let (_, operation, ..) = only(notifications(&harness.pass(ms(50))));
    harness.notified(peer(1), operation, answered(9, 9));
    assert_eq!(drain_state(&harness), DrainState::Confirmed);
    assert_eq!(notifications(&harness.pass(Duration::from_secs(9))), []);
}

#[test]
fn a_drain_notifies_a_peer_that_reads_page_by_page() {
    let mut harness = Harness::settled(&[peer(1)]);
    harness.give(Input::PageServed {
        peer: peer(1),
        next: position(5),
        more: true,
        relayed: false,
    });
    assert_eq!(harness.give(Input::Head(Sequence(9))), []);
    assert_eq!(notifications(&harness.give(Input::Drain)).len(), 1);
}

#[test]
fn a_drain_skips_a_peer_that_has_confirmed_everything() {
    let mut harness = Harness::settled(&[peer(1)]);
    let (_, operation, ..) = only(notifications(&harness.give(Input::Head(Sequence(2)))));
    harness.notified(peer(1), operation, answered(2, 2));
    assert_eq!(harness.give(Input::Drain), []);
    assert_eq!(drain_state(&harness), DrainState::Confirmed);
}

#[test]
fn a_drain_tries_an_unreachable_peer_once() {
    let mut harness = Harness::settled(&[peer(1)]);
    let (_, operation) = only(pulls(&harness.give(Input::SyncNow(None))));
    harness.pulled(peer(1), operation, PullResult::Failed(unreachable()));
    assert_eq!(notifications(&harness.give(Input::Head(Sequence(2)))), []);
    let (_, operation, ..) = only(notifications(&harness.give(Input::Drain)));
    assert_eq!(drain_state(&harness), DrainState::Waiting);
    harness.notified(peer(1), operation, NotifyResult::Failed(unreachable()));
    assert_eq!(drain_state(&harness), DrainState::Unreachable);
}

#[test]
fn a_drain_tries_a_peer_that_answered_badly_once() {
    let mut harness = Harness::settled(&[peer(1)]);
    let (_, operation, ..) = only(notifications(&harness.give(Input::Head(Sequence(2)))));
    let failure = Failure::bad_answer("its disk is full".to_owned());
    harness.notified(peer(1), operation, NotifyResult::Failed(failure));
    let (_, operation, ..) = only(notifications(&harness.give(Input::Drain)));
    assert_eq!(drain_state(&harness), DrainState::Waiting);
    // A peer that reads on meanwhile is notified again.
    harness.notified(peer(1), operation, answered(2, 0));
    harness.give(Input::PageServed {
        peer: peer(1),
        next: position(1),
        more: true,
        relayed: false,
    });
    assert_eq!(notifications(&harness.pass(ms(50))).len(), 1);
}

#[test]
fn a_drain_does_not_wait_for_a_peer_that_refuses_the_news() {
    let mut harness = Harness::settled(&[peer(1)]);
    let (_, operation, ..) = only(notifications(&harness.give(Input::Head(Sequence(2)))));
    assert_eq!(harness.give(Input::Drain), []);
    let failure = Failure::bad_answer("its disk is full".to_owned());
    harness.notified(peer(1), operation, NotifyResult::Failed(failure));
    assert_eq!(drain_state(&harness), DrainState::Unreachable);
}

#[test]
fn a_position_beyond_our_end_confirms_nothing() {
    let mut harness = Harness::settled(&[peer(1)]);
    let (_, operation, ..) = only(notifications(&harness.give(Input::Head(Sequence(2)))));
    harness.notified(peer(1), operation, answered(2, 400));
    assert_ne!(drain_state(&harness), DrainState::Confirmed);
    let (_, operation) = only(pulls(&harness.give(Input::SyncNow(None))));
    harness.pulled(peer(1), operation, done(0));
    assert_ne!(drain_state(&harness), DrainState::Confirmed);
}

#[test]
fn reading_from_an_earlier_position_revokes_a_confirmation() {
    let mut harness = Harness::settled(&[peer(1)]);
    let (_, operation, ..) = only(notifications(&harness.give(Input::Head(Sequence(2)))));
    harness.notified(peer(1), operation, answered(2, 2));
    assert_eq!(drain_state(&harness), DrainState::Confirmed);
    harness.give(Input::PageServed {
        peer: peer(1),
        next: position(1),
        more: true,
        relayed: false,
    });
    assert_eq!(notifications(&harness.give(Input::Drain)).len(), 1);
    assert_eq!(drain_state(&harness), DrainState::Waiting);
}
