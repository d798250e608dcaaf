//! Whether a peer still answers: after a connection ended, after a check, after a change of the network.

use std::time::Duration;

use thrum_api::Sequence;
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

/// Closes a connection to the peer every `pause`, whenever it was asked, `times` times. Returns how often it was asked.
fn closing(harness: &mut Harness, pause: Duration, times: u32) -> usize {
    let mut asked = 0;
    for _ in 0..times {
        let mut actions = harness.give(Input::ConnectionClosed(peer(1)));
        actions.extend(harness.pass(pause));
        for (_, operation) in pulls(&actions) {
            asked += 1;
            harness.pulled(peer(1), operation, done(0));
        }
    }
    asked
}

#[test]
fn a_peer_that_closes_each_connection_after_its_answer_is_not_asked_in_a_loop() {
    let mut harness = Harness::settled(&[peer(1)]);
    assert_eq!(closing(&mut harness, ms(100), 550), 3, "in less than a minute");
    // After 1, 2 and 4 minutes, then every five; and the periodic pulls.
    let asked = closing(&mut harness, ms(100), 10 * 60 * 60);
    assert!((12 + 3 + 8..=12 + 3 + 11).contains(&asked), "asked {asked} times in an hour");
}

#[test]
fn something_that_closes_idle_connections_costs_little() {
    let mut harness = Harness::settled(&[peer(1)]);
    let asked = closing(&mut harness, Duration::from_secs(60), 24 * 60);
    let periodic = 24 * 12;
    assert!((periodic..=2 * periodic + 6).contains(&asked), "asked {asked} times in a day");
}

#[test]
fn a_peer_that_dies_soon_after_a_restart_is_asked_at_once() {
    let mut harness = Harness::settled(&[peer(1)]);
    for _ in 0..2 {
        let (_, operation) = only(pulls(&harness.give(Input::ConnectionClosed(peer(1)))));
        harness.pulled(peer(1), operation, done(0));
        assert_eq!(harness.pass(Duration::from_secs(5)), []);
    }
    let (_, operation) = only(pulls(&harness.give(Input::ConnectionClosed(peer(1)))));
    harness.pulled(peer(1), operation, PullResult::Failed(unreachable()));
    assert_eq!(harness.hub.snapshot(peer(1)).unwrap().state, PeerState::BackingOff);
}

#[test]
fn a_peer_that_dies_again_and_again_is_asked_at_once_each_time() {
    let mut harness = Harness::settled(&[peer(1)]);
    for _ in 0..10 {
        let (_, operation) = only(pulls(&harness.give(Input::ConnectionClosed(peer(1)))));
        harness.pulled(peer(1), operation, PullResult::Failed(unreachable()));
        let (_, operation) = only(pulls(&harness.pass(ms(1300))));
        harness.pulled(peer(1), operation, done(0));
    }
}

#[test]
fn a_probe_that_another_pull_came_before_is_planned_anew() {
    let mut harness = Harness::settled(&[peer(1)]);
    assert_eq!(closing(&mut harness, ms(100), 10), 3);
    let (_, operation) = only(pulls(&harness.give(Input::SyncNow(None))));
    harness.pulled(peer(1), operation, done(0));
    assert_eq!(harness.give(Input::ConnectionClosed(peer(1))), []);
    assert_eq!(pulls(&harness.pass(Duration::from_secs(60))).len(), 1);
}

#[test]
fn news_makes_probes_come_at_once_again_but_only_so_often() {
    let mut harness = Harness::settled(&[peer(1)]);
    closing(&mut harness, Duration::from_secs(60), 60);
    harness.pass(Duration::from_secs(60));
    harness.give(Input::Synced { peer: peer(1), latest: Sequence(1) });
    assert_eq!(closing(&mut harness, ms(100), 10), 3);
    // A peer that closes the connection of each notification, too.
    let mut asked = 0;
    for latest in 2..602 {
        harness.give(Input::Synced { peer: peer(1), latest: Sequence(latest) });
        asked += closing(&mut harness, ms(1000), 1);
    }
    assert!((10..=40).contains(&asked), "asked {asked} times in ten minutes");
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
fn a_change_of_one_node_concerns_its_peer_alone() {
    let mut harness = Harness::settled(&[peer(1), peer(2)]);
    let (of, operation) = only(pulls(&harness.give(Input::NodeChanged(peer(1)))));
    assert_eq!(of, peer(1));
    harness.pulled(peer(1), operation, PullResult::Failed(unreachable()));
    // It is back.
    assert_eq!(only(pulls(&harness.give(Input::NodeChanged(peer(1))))).0, peer(1));
}

#[test]
fn a_node_that_comes_and_goes_all_the_time_is_not_asked_in_a_loop() {
    for result in [done(0), PullResult::Failed(unreachable())] {
        let mut harness = Harness::settled(&[peer(1)]);
        let mut asked = 0;
        for _ in 0..550 {
            let mut actions = harness.give(Input::NodeChanged(peer(1)));
            actions.extend(harness.pass(ms(100)));
            for (_, operation) in pulls(&actions) {
                asked += 1;
                harness.pulled(peer(1), operation, result.clone());
            }
        }
        assert!((3..=36).contains(&asked), "asked {asked} times in a minute: {result:?}");
    }
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
