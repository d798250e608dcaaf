//! A peer whose log has events that nobody signed is left alone, whatever it sends meanwhile.

use std::time::Duration;

use thrum_api::Sequence;
use thrum_api::local::PeerState;

use super::harness::{Harness, done, ms, only, peer, pulls, token_refused};
use crate::sync::hub::{Failure, Input, PullResult};

fn unsigned() -> Failure {
    Failure::bad_answer("it brings events that nobody signed".to_owned())
}

fn refused() -> Input {
    Input::NotificationRefused { peer: peer(1), failure: unsigned() }
}

/// All that a peer can do to be pulled from.
fn calls() -> [Input; 6] {
    let (peer, latest) = (peer(1), Sequence(9));
    [
        Input::RequestReceived(peer),
        Input::PullNeeded { peer, latest, creators: vec![peer] },
        Input::Synced { peer, latest },
        refused(),
        Input::ConnectionClosed(peer),
        Input::NodeChanged(peer),
    ]
}

/// How often the peer is pulled from in this time, with such a result each time, while it calls without a pause.
fn pulls_in(harness: &mut Harness, span: Duration, result: impl Fn() -> PullResult) -> usize {
    let (end, mut count) = (harness.now + span, 0);
    while harness.now < end {
        let mut actions = harness.pass(ms(10));
        for call in calls() {
            actions.extend(harness.give(call));
        }
        for (of, operation) in pulls(&actions) {
            count += 1;
            actions = harness.pulled(of, operation, result());
            assert_eq!(pulls(&actions), [], "again at once");
        }
    }
    count
}

#[test]
fn a_peer_that_serves_unsigned_events_is_pulled_from_at_the_pace_of_its_back_off() {
    let mut harness = Harness::settled(&[peer(1)]);
    let (_, operation) = only(pulls(&harness.give(calls()[1].clone())));
    harness.pulled(peer(1), operation, PullResult::Failed(unsigned()));
    // After 1, 3, 7, 15, 31 and 63 s, or somewhat later.
    let minute = Duration::from_secs(60);
    let count = pulls_in(&mut harness, minute, || PullResult::Failed(unsigned()));
    assert!((4..=5).contains(&count), "{count} pulls in a minute");
    let view = harness.hub.snapshot(peer(1)).unwrap();
    assert_eq!((view.state, view.failures as usize), (PeerState::BackingOff, count + 1));
    assert_eq!(view.last_failure, Some(unsigned()));
}

#[test]
fn a_notification_with_unsigned_events_causes_a_pull_when_the_back_off_is_over() {
    let mut harness = Harness::settled(&[peer(1)]);
    assert_eq!(pulls(&harness.give(refused())), []);
    for call in calls() {
        assert_eq!(pulls(&harness.give(call)), []);
    }
    let view = harness.hub.snapshot(peer(1)).unwrap();
    assert_eq!((view.state, view.failures), (PeerState::BackingOff, 1));
    assert_eq!(pulls(&harness.pass(ms(900))), []);
    let (_, operation) = only(pulls(&harness.pass(ms(400))));
    harness.pulled(peer(1), operation, done(9));
    assert_eq!(harness.hub.snapshot(peer(1)).unwrap().state, PeerState::InSync);
}

#[test]
fn unsigned_events_do_not_end_the_wait_after_a_refused_token() {
    let mut harness = Harness::off(&[peer(1)]);
    let (_, operation) = only(pulls(&harness.give(Input::Enable(true))));
    harness.pulled(peer(1), operation, PullResult::Failed(token_refused()));
    harness.give(refused());
    assert_eq!(pulls(&harness.pass(Duration::from_secs(200))), []);
}
