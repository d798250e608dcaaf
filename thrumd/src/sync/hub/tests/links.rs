use std::collections::BTreeMap;
use std::time::Duration;

use thrum_api::Sequence;
use thrum_api::local::PeerState;

use super::harness::{
    Harness, done, ms, notifications, only, pairing, peer, position, pulls, token_refused,
    unreachable,
};
use crate::sync::hub::{Action, Failure, Input, NotifyResult, PairingState, PullResult};

#[test]
fn every_peer_is_pulled_at_start() {
    let mut harness = Harness::off(&[peer(1), peer(2)]);
    let started = pulls(&harness.give(Input::Enable(true)));
    assert_eq!(started.iter().map(|(peer, _)| *peer).collect::<Vec<_>>(), [peer(1), peer(2)]);
}

#[test]
fn no_action_and_no_wake_up_while_sync_is_off() {
    let mut harness = Harness::off(&[peer(1)]);
    assert_eq!(harness.give(Input::Head(Sequence(3))), []);
    assert_eq!(harness.give(Input::SyncNow(None)), []);
    assert_eq!(harness.hub.next_wake(), None);
    assert_eq!(harness.hub.snapshot(peer(1)).unwrap().state, PeerState::Off);
}

#[test]
fn a_new_peer_is_pulled_at_once() {
    let mut harness = Harness::settled(&[peer(1)]);
    let peers = BTreeMap::from([(peer(1), pairing()), (peer(2), pairing())]);
    assert_eq!(only(pulls(&harness.give(Input::Peers(peers)))).0, peer(2));
}

#[test]
fn one_pull_at_a_time_and_one_more_if_news_came_meanwhile() {
    let mut harness = Harness::off(&[peer(1)]);
    let (_, operation) = only(pulls(&harness.give(Input::Enable(true))));
    for latest in 1..100 {
        let latest = Sequence(latest);
        let lacking = Input::PullNeeded { peer: peer(1), latest, creators: vec![peer(1)] };
        assert_eq!(harness.give(lacking), []);
    }
    let (_, again) = only(pulls(&harness.pulled(peer(1), operation, done(99))));
    assert_eq!(harness.pulled(peer(1), again, done(99)), []);
    assert_eq!(harness.sleeps(), Duration::from_secs(300));
}

#[test]
fn failures_back_off_from_1_second_to_5_minutes() {
    let mut harness = Harness::off(&[peer(1)]);
    let (_, mut operation) = only(pulls(&harness.give(Input::Enable(true))));
    let mut waited = Vec::new();
    for _ in 0..20 {
        assert_eq!(harness.pulled(peer(1), operation, PullResult::Failed(unreachable())), []);
        let until = harness.hub.snapshot(peer(1)).unwrap().next_try.unwrap();
        waited.push(until.since(harness.now));
        operation = only(pulls(&harness.pass(until.since(harness.now)))).1;
    }
    assert!(waited[0] >= ms(1000) && waited[0] <= ms(1250), "{waited:?}");
    assert!(waited[1] >= ms(2000) && waited[1] <= ms(2500), "{waited:?}");
    assert!(waited.iter().all(|delay| *delay <= Duration::from_secs(300)), "{waited:?}");
    assert!(waited[19] >= Duration::from_secs(225), "{waited:?}");
    assert_eq!(harness.hub.snapshot(peer(1)).unwrap().failures, 20);
}

#[test]
fn a_dead_peer_is_not_called_for_news_while_we_back_off() {
    let mut harness = Harness::off(&[peer(1)]);
    let (_, operation) = only(pulls(&harness.give(Input::Enable(true))));
    harness.pulled(peer(1), operation, PullResult::Failed(unreachable()));
    for n in 1..500 {
        assert_eq!(harness.give(Input::Head(Sequence(n))), []);
    }
    assert_eq!(pulls(&harness.pass(Duration::from_secs(2))).len(), 1);
}

fn backing_off() -> Harness {
    let mut harness = Harness::settled(&[peer(1), peer(2)]);
    let mut operation = pulls(&harness.give(Input::SyncNow(Some(peer(1)))))[0].1;
    for _ in 0..6 {
        harness.pulled(peer(1), operation, PullResult::Failed(unreachable()));
        let until = harness.hub.snapshot(peer(1)).unwrap().next_try.unwrap();
        operation = only(pulls(&harness.pass(until.since(harness.now)))).1;
    }
    harness.pulled(peer(1), operation, PullResult::Failed(unreachable()));
    let view = harness.hub.snapshot(peer(1)).unwrap();
    assert_eq!((view.state, view.failures), (PeerState::BackingOff, 7));
    harness
}

#[test]
fn any_request_of_the_peer_ends_its_back_off_at_once() {
    let mut harness = backing_off();
    assert_eq!(only(pulls(&harness.give(Input::RequestReceived(peer(1))))).0, peer(1));
    assert_eq!(harness.hub.snapshot(peer(1)).unwrap().failures, 0);
}

#[test]
fn a_request_of_another_peer_ends_no_back_off() {
    let mut harness = backing_off();
    assert_eq!(harness.give(Input::RequestReceived(peer(2))), []);
}

#[test]
fn a_person_ends_the_back_off_at_once() {
    let mut harness = backing_off();
    assert_eq!(only(pulls(&harness.give(Input::SyncNow(Some(peer(1)))))).0, peer(1));
}

#[test]
fn a_change_of_the_network_ends_the_back_off_at_once() {
    let mut harness = backing_off();
    assert!(pulls(&harness.give(Input::NetworkChanged)).iter().any(|(of, _)| *of == peer(1)));
}

#[test]
fn a_peer_that_answers_badly_backs_off_although_it_calls() {
    let mut harness = Harness::off(&[peer(1)]);
    let (_, operation) = only(pulls(&harness.give(Input::Enable(true))));
    let bad = PullResult::Failed(Failure::bad_answer(
        "its page goes to position 9 of a log that ends at position 7".to_owned(),
    ));
    assert_eq!(harness.pulled(peer(1), operation, bad), []);
    assert_eq!(harness.give(Input::RequestReceived(peer(1))), []);
    let lacking = Input::PullNeeded { peer: peer(1), latest: Sequence(9), creators: vec![] };
    assert_eq!(harness.give(lacking), []);
    assert_eq!(pulls(&harness.pass(ms(1300))).len(), 1);
}

#[test]
fn a_pull_that_failed_is_tried_again_although_a_notification_brought_everything() {
    let mut harness = Harness::settled(&[peer(1)]);
    let lacking =
        || Input::PullNeeded { peer: peer(1), latest: Sequence(9), creators: vec![peer(1)] };
    let (_, operation) = only(pulls(&harness.give(lacking())));
    // The notification wants one more pull, which is the retry of the failed one.
    harness.give(lacking());
    let bad = PullResult::Failed(Failure::bad_answer(
        "its page goes to position 9 of a log that ends at position 7".to_owned(),
    ));
    assert_eq!(harness.pulled(peer(1), operation, bad), []);
    harness.give(Input::Synced { peer: peer(1), latest: Sequence(9) });
    let view = harness.hub.snapshot(peer(1)).unwrap();
    assert_eq!((view.state, view.next_try.is_some()), (PeerState::BackingOff, true));
    let (_, operation) = only(pulls(&harness.pass(ms(1300))));
    harness.pulled(peer(1), operation, done(9));
    assert_eq!(harness.hub.snapshot(peer(1)).unwrap().state, PeerState::InSync);
}

#[test]
fn our_own_failing_log_is_retried_within_30_seconds() {
    let mut harness = Harness::off(&[peer(1)]);
    let (_, mut operation) = only(pulls(&harness.give(Input::Enable(true))));
    for _ in 0..20 {
        let full = Failure::local("the disk is full".to_owned());
        harness.pulled(peer(1), operation, PullResult::Failed(full));
        operation = only(pulls(&harness.pass(Duration::from_secs(30)))).1;
    }
}

#[test]
fn a_peer_that_fails_does_not_hold_up_the_others() {
    let mut harness = backing_off();
    let lacking = Input::PullNeeded { peer: peer(2), latest: Sequence(9), creators: vec![peer(2)] };
    assert_eq!(only(pulls(&harness.give(lacking))).0, peer(2));
}

#[test]
fn a_refused_token_is_tried_every_5_minutes_and_is_no_failure() {
    let mut harness = Harness::off(&[peer(1)]);
    let (_, operation) = only(pulls(&harness.give(Input::Enable(true))));
    let marked = harness.pulled(peer(1), operation, PullResult::Failed(token_refused()));
    assert_eq!(marked, [Action::MarkRemoved { peer: peer(1), removed: true }]);
    let view = harness.hub.snapshot(peer(1)).unwrap();
    assert_eq!((view.state, view.failures), (PeerState::RemovedUs, 0));
    assert_eq!(harness.give(Input::Head(Sequence(5))), []);
    assert_eq!(pulls(&harness.pass(Duration::from_secs(299))), []);
    let (_, operation) = only(pulls(&harness.pass(Duration::from_secs(1))));
    let back = harness.pulled(peer(1), operation, done(0));
    assert_eq!(back[0], Action::MarkRemoved { peer: peer(1), removed: false });
    assert_ne!(harness.hub.snapshot(peer(1)).unwrap().state, PeerState::RemovedUs);
}

#[test]
fn another_request_that_breaks_does_not_shorten_the_wait_after_a_refused_token() {
    let mut harness = Harness::settled(&[peer(1)]);
    let (_, notify, ..) = only(notifications(&harness.give(Input::Head(Sequence(1)))));
    let (_, pull) = only(pulls(&harness.give(Input::SyncNow(None))));
    harness.pulled(peer(1), pull, PullResult::Failed(token_refused()));
    harness.notified(peer(1), notify, NotifyResult::Failed(unreachable()));
    assert_eq!(harness.give(Input::NetworkChanged), []);
    assert_eq!(harness.pass(Duration::from_secs(299)), []);
}

#[test]
fn a_removal_by_the_peer_counts_as_a_refused_token() {
    let mut harness = Harness::settled(&[peer(1)]);
    let actions = harness.give(Input::RemovedByPeer(peer(1)));
    assert_eq!(actions, [Action::MarkRemoved { peer: peer(1), removed: true }]);
    assert_eq!(harness.hub.snapshot(peer(1)).unwrap().state, PeerState::RemovedUs);
}

#[test]
fn a_peer_that_removes_us_and_accepts_us_again_at_will_is_stored_a_few_times_only() {
    let mut harness = Harness::settled(&[peer(1)]);
    let mut marked = 0;
    for _ in 0..600 {
        let mut actions = harness.give(Input::RequestReceived(peer(1)));
        if let Some((_, operation)) = pulls(&actions).pop() {
            actions.extend(harness.pulled(peer(1), operation, done(0)));
        }
        actions.extend(harness.give(Input::RemovedByPeer(peer(1))));
        actions.extend(harness.pass(ms(100)));
        marked += actions.iter().filter(|it| matches!(it, Action::MarkRemoved { .. })).count();
    }
    // Two for every 5 s of this minute.
    assert!((2..=26).contains(&marked), "{marked}");
}

#[test]
fn an_answer_older_than_the_removal_does_not_undo_it() {
    let mut harness = Harness::settled(&[peer(1)]);
    let (_, operation) = only(pulls(&harness.give(Input::SyncNow(None))));
    harness.give(Input::RemovedByPeer(peer(1)));
    assert_eq!(harness.pulled(peer(1), operation, done(0)), []);
    assert_eq!(harness.hub.snapshot(peer(1)).unwrap().state, PeerState::RemovedUs);
}

#[test]
fn pairing_again_clears_the_failures_of_the_old_token() {
    let mut harness = Harness::settled(&[peer(1)]);
    harness.give(Input::RemovedByPeer(peer(1)));
    let again = PairingState { generation: 1, ..pairing() };
    let peers = BTreeMap::from([(peer(1), again)]);
    assert_eq!(pulls(&harness.give(Input::Peers(peers))).len(), 1);
}

#[test]
fn an_unconfirmed_pairing_is_removed_when_its_token_is_refused() {
    let mut harness = Harness::settled(&[]);
    let open = PairingState { unconfirmed: true, ..pairing() };
    let (_, operation) = only(pulls(&harness.give(Input::Peers([(peer(1), open)].into()))));
    let end = PullResult::Failed(token_refused());
    assert_eq!(harness.pulled(peer(1), operation, end), [Action::DropPairing(peer(1))]);
}

#[test]
fn the_first_answer_confirms_a_pairing() {
    let mut harness = Harness::settled(&[]);
    let open = PairingState { unconfirmed: true, ..pairing() };
    let (_, operation) = only(pulls(&harness.give(Input::Peers([(peer(1), open)].into()))));
    assert_eq!(harness.pulled(peer(1), operation, done(0)), [Action::ConfirmPairing(peer(1))]);
}

#[test]
fn an_unspecific_answer_confirms_no_pairing() {
    let mut harness = Harness::settled(&[]);
    let open = PairingState { unconfirmed: true, removed_us: true, ..pairing() };
    let (_, operation) = only(pulls(&harness.give(Input::Peers([(peer(1), open)].into()))));
    let other = Failure::bad_answer("the answer can't be read".to_owned());
    assert_eq!(harness.pulled(peer(1), operation, PullResult::Failed(other)), []);
    let (_, operation) = only(pulls(&harness.pass(ms(1300))));
    let confirmed = harness.pulled(peer(1), operation, done(0));
    let marked = Action::MarkRemoved { peer: peer(1), removed: false };
    assert_eq!(confirmed, [Action::ConfirmPairing(peer(1)), marked]);
}

#[test]
fn a_log_that_changed_is_read_from_its_start() {
    let mut harness = Harness::off(&[peer(1)]);
    let (_, operation) = only(pulls(&harness.give(Input::Enable(true))));
    let forget = harness.pulled(peer(1), operation, PullResult::OtherLog);
    let [Action::ResetCheckpoint { peer: _, operation }] = forget[..] else { panic!("{forget:?}") };
    let state = |harness: &Harness| harness.hub.snapshot(peer(1)).unwrap().state;
    assert_eq!(state(&harness), PeerState::LogChanged);
    let again = harness.give(Input::CheckpointReset { peer: peer(1), operation });
    assert_eq!(state(&harness), PeerState::LogChanged);
    assert_eq!(harness.pulled(peer(1), only(pulls(&again)).1, done(4)), []);
    assert_ne!(state(&harness), PeerState::LogChanged);
}

#[test]
fn a_peer_that_refuses_the_start_of_its_log_is_not_pulled_in_a_loop() {
    let mut harness = Harness::off(&[peer(1)]);
    let (_, mut operation) = only(pulls(&harness.give(Input::Enable(true))));
    let mut asked = 0;
    for _ in 0..1000 {
        let actions = harness.pulled(peer(1), operation, PullResult::OtherLog);
        let [Action::ResetCheckpoint { operation: forget, .. }] = actions[..] else {
            panic!("{actions:?}")
        };
        let mut again = harness.give(Input::CheckpointReset { peer: peer(1), operation: forget });
        again.extend(harness.pass(Duration::from_secs(10)));
        match pulls(&again)[..] {
            [(_, next)] => (asked, operation) = (asked + 1, next),
            _ => break,
        }
    }
    assert!(asked < 8, "asked {asked} times");
}

#[test]
fn only_peers_without_recent_sync_are_pulled_periodically() {
    let mut harness = Harness::settled(&[peer(1), peer(2)]);
    assert_eq!(harness.pass(Duration::from_secs(200)), []);
    harness.give(Input::Synced { peer: peer(2), latest: Sequence(1) });
    assert_eq!(only(pulls(&harness.pass(Duration::from_secs(100)))).0, peer(1));
}

#[test]
fn an_idle_hub_sleeps_between_periodic_pulls() {
    let harness = Harness::settled(&[peer(1), peer(2)]);
    assert_eq!(harness.sleeps(), Duration::from_secs(300));
}

#[test]
fn a_pull_result_of_an_earlier_pairing_is_ignored() {
    let mut harness = Harness::off(&[peer(1)]);
    let (_, old) = only(pulls(&harness.give(Input::Enable(true))));
    harness.give(Input::Peers(BTreeMap::new()));
    let (_, new) = only(pulls(&harness.give(Input::Peers([(peer(1), pairing())].into()))));
    assert_eq!(harness.pulled(peer(1), old, PullResult::Failed(token_refused())), []);
    assert_eq!(harness.pulled(peer(1), new, done(0)), []);
    assert_eq!(harness.hub.snapshot(peer(1)).unwrap().state, PeerState::InSync);
}

#[test]
fn in_sync_means_that_both_logs_hold_everything() {
    let mut harness = Harness::settled(&[peer(1)]);
    let state = |harness: &Harness| harness.hub.snapshot(peer(1)).unwrap().state;
    let (_, operation, ..) = only(notifications(&harness.give(Input::Head(Sequence(3)))));
    assert_eq!(state(&harness), PeerState::CatchingUp);
    harness.notified(
        peer(1),
        operation,
        NotifyResult::Answered { latest: position(3), confirmed: Sequence(2), known: 0 },
    );
    assert_eq!(state(&harness), PeerState::CatchingUp);
    assert_eq!(harness.hub.snapshot(peer(1)).unwrap().they_lack, Some(1));
    harness.give(Input::PageServed {
        peer: peer(1),
        next: position(3),
        more: false,
        relayed: false,
    });
    assert_eq!(state(&harness), PeerState::InSync);
}
