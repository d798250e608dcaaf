//! Whether a peer still answers: after a connection ended, after a check, after a change of the network.

use thrum_api::local::PeerState;

use super::harness::{Harness, done, ms, only, peer, pulls, unreachable};
use crate::sync::hub::{Input, PullResult};

#[test]
fn a_closed_connection_is_a_reason_to_ask_at_once() {
    let mut harness = Harness::settled(&[peer(1), peer(2)]);
    let closed = || Input::ConnectionClosed(peer(1));
    let (of, operation) = only(pulls(&harness.give(closed())));
    assert_eq!(of, peer(1));
    harness.pulled(peer(1), operation, PullResult::Failed(unreachable()));
    assert_eq!(harness.hub.snapshot(peer(1)).unwrap().state, PeerState::BackingOff);
    // Its other connection ended as well, which tells nothing more.
    assert_eq!(harness.give(closed()), []);
    // It is back, and dies again.
    let (_, operation) = only(pulls(&harness.give(Input::RequestReceived(peer(1)))));
    harness.pulled(peer(1), operation, done(0));
    assert_eq!(pulls(&harness.give(closed())).len(), 1);
}

#[test]
fn a_peer_that_closes_each_connection_after_its_answer_is_not_asked_in_a_loop() {
    let mut harness = Harness::settled(&[peer(1)]);
    let mut asked = 0;
    for _ in 0..600 {
        let mut actions = harness.give(Input::ConnectionClosed(peer(1)));
        actions.extend(harness.pass(ms(100)));
        for (_, operation) in pulls(&actions) {
            asked += 1;
            harness.pulled(peer(1), operation, done(0));
        }
    }
    assert!((1..=2).contains(&asked), "asked {asked} times in a minute");
}

#[test]
fn what_a_check_finds_is_the_state_from_then_on() {
    let mut harness = Harness::settled(&[peer(1)]);
    let state = |harness: &Harness| harness.hub.snapshot(peer(1)).unwrap().state;
    harness.give(Input::Checked { peer: peer(1), result: Err(unreachable()) });
    assert_eq!(state(&harness), PeerState::BackingOff);
    let answers = Input::Checked { peer: peer(1), result: Ok(()) };
    assert_eq!(only(pulls(&harness.give(answers))).0, peer(1));
    assert_eq!(state(&harness), PeerState::InSync);
}

#[test]
fn after_a_change_of_the_network_every_peer_is_asked() {
    let mut harness = Harness::settled(&[peer(1), peer(2)]);
    assert_eq!(pulls(&harness.give(Input::NetworkChanged)).len(), 2);
}

#[test]
fn a_peer_that_calls_and_can_t_be_reached_is_tried_only_every_few_seconds() {
    let mut harness = Harness::settled(&[peer(1)]);
    let mut asked = 0;
    // A request every millisecond, for 10 s. Connections to it are refused.
    for _ in 0..10_000 {
        let mut actions = harness.give(Input::RequestReceived(peer(1)));
        if asked == 0 {
            actions.extend(harness.give(Input::ConnectionClosed(peer(1))));
        }
        actions.extend(harness.pass(ms(1)));
        for (_, operation) in pulls(&actions) {
            asked += 1;
            harness.pulled(peer(1), operation, PullResult::Failed(unreachable()));
        }
    }
    assert!((2..=8).contains(&asked), "asked {asked} times");
}
