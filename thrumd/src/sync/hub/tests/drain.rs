use std::time::Duration;

use thrum_api::Sequence;

use super::harness::{Harness, done, ms, notifications, only, peer, place, pulls, unreachable};
use crate::sync::hub::{DrainState, Failure, Input, NotifyResult, PullResult};

fn drain_state(harness: &Harness) -> DrainState {
    harness.hub.snapshot(peer(1)).unwrap().drain
}

fn answered(latest: u64, held: u64) -> NotifyResult {
    NotifyResult::Answered { latest: place(latest), confirmed: Sequence(held) }
}

#[test]
fn a_page_that_was_given_is_not_taken_for_one_that_is_held() {
    let mut harness = Harness::settled(&[peer(1)]);
    harness.give(Input::PageServed { peer: peer(1), next: place(9), more: false });
    assert_eq!(harness.give(Input::Head(Sequence(9))), []);
    assert_eq!(harness.hub.snapshot(peer(1)).unwrap().they_lack, Some(0));
    let (_, operation, _, due) = only(notifications(&harness.give(Input::Drain)));
    assert!(due);
    assert_eq!(drain_state(&harness), DrainState::Waiting);
    // Its pull is not on its disk yet.
    assert_eq!(harness.notified(peer(1), operation, answered(9, 0)), []);
    assert_eq!(drain_state(&harness), DrainState::Reading);
    let (_, operation, ..) = only(notifications(&harness.pass(ms(50))));
    harness.notified(peer(1), operation, answered(9, 9));
    assert_eq!(drain_state(&harness), DrainState::Confirmed);
    assert_eq!(notifications(&harness.pass(Duration::from_secs(9))), []);
}

#[test]
fn at_the_end_who_reads_page_by_page_is_asked_all_the_same() {
    let mut harness = Harness::settled(&[peer(1)]);
    harness.give(Input::PageServed { peer: peer(1), next: place(5), more: true });
    assert_eq!(harness.give(Input::Head(Sequence(9))), []);
    assert_eq!(notifications(&harness.give(Input::Drain)).len(), 1);
}

#[test]
fn who_said_that_it_holds_everything_is_not_asked_at_the_end() {
    let mut harness = Harness::settled(&[peer(1)]);
    let (_, operation, ..) = only(notifications(&harness.give(Input::Head(Sequence(2)))));
    harness.notified(peer(1), operation, answered(2, 2));
    assert_eq!(harness.give(Input::Drain), []);
    assert_eq!(drain_state(&harness), DrainState::Confirmed);
}

#[test]
fn who_was_not_reached_gets_one_last_try() {
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
fn who_answered_badly_before_the_end_gets_one_last_try() {
    let mut harness = Harness::settled(&[peer(1)]);
    let (_, operation, ..) = only(notifications(&harness.give(Input::Head(Sequence(2)))));
    let failure = Failure::bad_answer("its disk is full".to_owned());
    harness.notified(peer(1), operation, NotifyResult::Failed(failure));
    let (_, operation, ..) = only(notifications(&harness.give(Input::Drain)));
    assert_eq!(drain_state(&harness), DrainState::Waiting);
    // And who reads on meanwhile is asked again all the same.
    harness.notified(peer(1), operation, answered(2, 0));
    harness.give(Input::PageServed { peer: peer(1), next: place(1), more: true });
    assert_eq!(notifications(&harness.pass(ms(50))).len(), 1);
}

#[test]
fn who_refuses_the_last_news_is_not_waited_for() {
    let mut harness = Harness::settled(&[peer(1)]);
    let (_, operation, ..) = only(notifications(&harness.give(Input::Head(Sequence(2)))));
    assert_eq!(harness.give(Input::Drain), []);
    let failure = Failure::bad_answer("its disk is full".to_owned());
    harness.notified(peer(1), operation, NotifyResult::Failed(failure));
    assert_eq!(drain_state(&harness), DrainState::Unreachable);
}

#[test]
fn a_place_beyond_our_end_is_no_proof_that_a_peer_holds_our_log() {
    let mut harness = Harness::settled(&[peer(1)]);
    let (_, operation, ..) = only(notifications(&harness.give(Input::Head(Sequence(2)))));
    harness.notified(peer(1), operation, answered(2, 400));
    assert_ne!(drain_state(&harness), DrainState::Confirmed);
    let (_, operation) = only(pulls(&harness.give(Input::SyncNow(None))));
    harness.pulled(peer(1), operation, done(0));
    assert_ne!(drain_state(&harness), DrainState::Confirmed);
}

#[test]
fn a_peer_that_reads_again_from_an_earlier_place_no_longer_holds_what_it_confirmed() {
    let mut harness = Harness::settled(&[peer(1)]);
    let (_, operation, ..) = only(notifications(&harness.give(Input::Head(Sequence(2)))));
    harness.notified(peer(1), operation, answered(2, 2));
    assert_eq!(drain_state(&harness), DrainState::Confirmed);
    harness.give(Input::PageServed { peer: peer(1), next: place(1), more: true });
    assert_eq!(notifications(&harness.give(Input::Drain)).len(), 1);
    assert_eq!(drain_state(&harness), DrainState::Waiting);
}
