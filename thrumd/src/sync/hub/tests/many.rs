//! An input costs what it changes, however many peers there are.

use std::time::Duration;

use thrum_api::{DaemonId, Sequence};

use super::harness::{Harness, done, ms, notifications, peer, position, pulls};
use crate::sync::hub::{Action, Input, NotifyResult};

const PEERS: u128 = 300;

fn all() -> Vec<DaemonId> {
    (1..=PEERS).map(peer).collect()
}

/// How many links an input stepped, and what came of it.
fn steps(harness: &mut Harness, input: Input) -> (usize, Vec<Action>) {
    let before = harness.hub.steps;
    let actions = harness.give(input);
    (harness.hub.steps - before, actions)
}

#[test]
fn an_input_about_one_peer_steps_its_link_alone() {
    let mut harness = Harness::settled(&all());
    assert_eq!(steps(&mut harness, Input::RequestReceived(peer(7))).0, 1);
    let (stepped, actions) = steps(&mut harness, Input::ConnectionClosed(peer(7)));
    assert_eq!((stepped, pulls(&actions).len()), (1, 1));
    let operation = pulls(&actions)[0].1;
    let pulled = Input::PullFinished { peer: peer(7), operation, result: done(0) };
    assert_eq!(steps(&mut harness, pulled).0, 1);
    assert_eq!(steps(&mut harness, Input::Tick).0, 0);
}

#[test]
fn news_while_all_are_being_notified_steps_no_link() {
    let mut harness = Harness::settled(&all());
    let (stepped, actions) = steps(&mut harness, Input::Head(Sequence(1)));
    assert_eq!((stepped, notifications(&actions).len()), (300, 300));
    for n in 2..=300 {
        assert_eq!(steps(&mut harness, Input::Head(Sequence(n))).0, 0);
    }
    // Each learns of the rest when its notification was answered.
    for (peer, operation, ..) in notifications(&actions) {
        let result =
            NotifyResult::Answered { latest: position(1), confirmed: Sequence(1), known: 0 };
        let (stepped, actions) =
            steps(&mut harness, Input::NotifyFinished { peer, operation, result });
        assert_eq!((stepped, notifications(&actions).len()), (1, 1));
    }
}

#[test]
fn a_wait_that_is_over_steps_its_link_alone_whatever_the_input_is_about() {
    let mut harness = Harness::settled(&all());
    let (_, actions) = steps(&mut harness, Input::Head(Sequence(1)));
    for (number, (peer, operation, ..)) in notifications(&actions).into_iter().enumerate() {
        let delay = if number == 41 { ms(50) } else { ms(1000) };
        let result = NotifyResult::Deferred { delay, examined: position(1) };
        harness.notified(peer, operation, result);
    }
    assert_eq!(harness.sleeps(), ms(50));
    harness.now = harness.now + ms(50);
    let (stepped, actions) = steps(&mut harness, Input::RequestReceived(peer(9)));
    assert_eq!(stepped, 2);
    assert_eq!(notifications(&actions).iter().map(|it| it.0).collect::<Vec<_>>(), [peer(42)]);
    assert_eq!(harness.sleeps(), ms(950));
    // The others are due in one go, in the order of their ids.
    harness.now = harness.now + ms(950);
    let (stepped, actions) = steps(&mut harness, Input::Tick);
    assert_eq!(stepped, 299);
    assert!(notifications(&actions).is_sorted_by_key(|it| it.0));
}

#[test]
fn a_peer_that_was_removed_is_not_waited_for() {
    let mut harness = Harness::settled(&all());
    harness.give(Input::PullNeeded { peer: peer(1), latest: Sequence(1), creators: vec![peer(2)] });
    assert_eq!(harness.sleeps(), ms(250));
    let rest = all()[1..].iter().map(|peer| (*peer, super::harness::pairing())).collect();
    harness.give(Input::Peers(rest));
    assert_eq!(harness.sleeps(), Duration::from_secs(300));
    // Nor does it count as one that can be reached.
    let lacking = Input::PullNeeded { peer: peer(2), latest: Sequence(1), creators: vec![peer(1)] };
    assert_eq!(pulls(&harness.give(lacking)).len(), 1);
}
