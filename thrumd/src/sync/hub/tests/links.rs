use std::collections::BTreeMap;
use std::time::Duration;

use thrum_api::Sequence;
use thrum_api::local::PeerState;

use super::bench::{Bench, done, facts, line, ms, only, peer, place, pulls, refused, tells};
use crate::sync::hub::{Action, Facts, Failure, Input, PullEnd, TellEnd};

#[test]
fn every_peer_is_pulled_at_start() {
    let mut bench = Bench::off(&[peer(1), peer(2)]);
    let started = pulls(&bench.give(Input::Enable(true)));
    assert_eq!(started.iter().map(|(peer, _)| *peer).collect::<Vec<_>>(), [peer(1), peer(2)]);
}

#[test]
fn nothing_is_called_and_nobody_woken_while_sync_is_off() {
    let mut bench = Bench::off(&[peer(1)]);
    assert_eq!(bench.give(Input::Head(Sequence(3))), []);
    assert_eq!(bench.give(Input::SyncNow(None)), []);
    assert_eq!(bench.hub.next_wake(), None);
    assert_eq!(bench.hub.view(peer(1)).unwrap().state, PeerState::Off);
}

#[test]
fn a_new_peer_is_pulled_at_once() {
    let mut bench = Bench::settled(&[peer(1)]);
    let peers = BTreeMap::from([(peer(1), facts()), (peer(2), facts())]);
    assert_eq!(only(pulls(&bench.give(Input::Peers(peers)))).0, peer(2));
}

#[test]
fn one_pull_at_a_time_and_one_more_if_news_came_meanwhile() {
    let mut bench = Bench::off(&[peer(1)]);
    let (_, ticket) = only(pulls(&bench.give(Input::Enable(true))));
    for latest in 1..100 {
        let latest = Sequence(latest);
        let lacking = Input::Lacking { peer: peer(1), latest, from: vec![peer(1)] };
        assert_eq!(bench.give(lacking), []);
    }
    let (_, again) = only(pulls(&bench.pulled(peer(1), ticket, done(99))));
    assert_eq!(bench.pulled(peer(1), again, done(99)), []);
    assert_eq!(bench.sleeps(), Duration::from_secs(300));
}

#[test]
fn failures_back_off_from_1_second_to_5_minutes() {
    let mut bench = Bench::off(&[peer(1)]);
    let (_, mut ticket) = only(pulls(&bench.give(Input::Enable(true))));
    let mut waited = Vec::new();
    for _ in 0..20 {
        assert_eq!(bench.pulled(peer(1), ticket, PullEnd::Failed(line())), []);
        let until = bench.hub.view(peer(1)).unwrap().next_try.unwrap();
        waited.push(until.since(bench.now));
        ticket = only(pulls(&bench.pass(until.since(bench.now)))).1;
    }
    assert!(waited[0] >= ms(1000) && waited[0] <= ms(1250), "{waited:?}");
    assert!(waited[1] >= ms(2000) && waited[1] <= ms(2500), "{waited:?}");
    assert!(waited.iter().all(|delay| *delay <= Duration::from_secs(300)), "{waited:?}");
    assert!(waited[19] >= Duration::from_secs(225), "{waited:?}");
    assert_eq!(bench.hub.view(peer(1)).unwrap().failures, 20);
}

#[test]
fn a_dead_peer_is_not_called_for_news_while_we_back_off() {
    let mut bench = Bench::off(&[peer(1)]);
    let (_, ticket) = only(pulls(&bench.give(Input::Enable(true))));
    bench.pulled(peer(1), ticket, PullEnd::Failed(line()));
    for n in 1..500 {
        assert_eq!(bench.give(Input::Head(Sequence(n))), []);
    }
    assert_eq!(pulls(&bench.pass(Duration::from_secs(2))).len(), 1);
}

fn backing_off() -> Bench {
    let mut bench = Bench::settled(&[peer(1), peer(2)]);
    let mut ticket = pulls(&bench.give(Input::SyncNow(Some(peer(1)))))[0].1;
    for _ in 0..6 {
        bench.pulled(peer(1), ticket, PullEnd::Failed(line()));
        let until = bench.hub.view(peer(1)).unwrap().next_try.unwrap();
        ticket = only(pulls(&bench.pass(until.since(bench.now)))).1;
    }
    bench.pulled(peer(1), ticket, PullEnd::Failed(line()));
    let view = bench.hub.view(peer(1)).unwrap();
    assert_eq!((view.state, view.failures), (PeerState::BackingOff, 7));
    bench
}

#[test]
fn anything_heard_from_the_peer_ends_its_back_off_at_once() {
    let mut bench = backing_off();
    assert_eq!(only(pulls(&bench.give(Input::Heard(peer(1))))).0, peer(1));
    assert_eq!(bench.hub.view(peer(1)).unwrap().failures, 0);
}

#[test]
fn what_is_heard_from_another_peer_ends_nothing() {
    let mut bench = backing_off();
    assert_eq!(bench.give(Input::Heard(peer(2))), []);
}

#[test]
fn a_person_ends_the_back_off_at_once() {
    let mut bench = backing_off();
    assert_eq!(only(pulls(&bench.give(Input::SyncNow(Some(peer(1)))))).0, peer(1));
}

#[test]
fn a_change_of_the_network_ends_the_back_off_at_once() {
    let mut bench = backing_off();
    assert_eq!(only(pulls(&bench.give(Input::Hint))).0, peer(1));
}

#[test]
fn a_peer_that_answers_badly_backs_off_although_it_is_heard() {
    let mut bench = Bench::off(&[peer(1)]);
    let (_, ticket) = only(pulls(&bench.give(Input::Enable(true))));
    let bad = PullEnd::Failed(Failure::faulty("place 3 comes after place 3".to_owned()));
    assert_eq!(bench.pulled(peer(1), ticket, bad), []);
    assert_eq!(bench.give(Input::Heard(peer(1))), []);
    let lacking = Input::Lacking { peer: peer(1), latest: Sequence(9), from: vec![] };
    assert_eq!(bench.give(lacking), []);
    assert_eq!(pulls(&bench.pass(ms(1300))).len(), 1);
}

#[test]
fn a_pull_that_failed_is_tried_again_although_a_notification_brought_everything() {
    let mut bench = Bench::settled(&[peer(1)]);
    let lacking = || Input::Lacking { peer: peer(1), latest: Sequence(9), from: vec![peer(1)] };
    let (_, ticket) = only(pulls(&bench.give(lacking())));
    // It asks for one more afterwards, and that is what the failed one's retry is.
    bench.give(lacking());
    let bad = PullEnd::Failed(Failure::faulty("place 3 comes after place 3".to_owned()));
    assert_eq!(bench.pulled(peer(1), ticket, bad), []);
    bench.give(Input::Synced { peer: peer(1), latest: Sequence(9) });
    let view = bench.hub.view(peer(1)).unwrap();
    assert_eq!((view.state, view.next_try.is_some()), (PeerState::BackingOff, true));
    let (_, ticket) = only(pulls(&bench.pass(ms(1300))));
    bench.pulled(peer(1), ticket, done(9));
    assert_eq!(bench.hub.view(peer(1)).unwrap().state, PeerState::InSync);
}

#[test]
fn a_log_of_our_own_that_fails_is_tried_every_30_seconds_at_most() {
    let mut bench = Bench::off(&[peer(1)]);
    let (_, mut ticket) = only(pulls(&bench.give(Input::Enable(true))));
    for _ in 0..20 {
        let full = Failure::ours("the disk is full".to_owned());
        bench.pulled(peer(1), ticket, PullEnd::Failed(full));
        ticket = only(pulls(&bench.pass(Duration::from_secs(30)))).1;
    }
}

#[test]
fn a_peer_that_fails_does_not_hold_up_the_others() {
    let mut bench = backing_off();
    let lacking = Input::Lacking { peer: peer(2), latest: Sequence(9), from: vec![peer(2)] };
    assert_eq!(only(pulls(&bench.give(lacking))).0, peer(2));
}

#[test]
fn a_refused_token_is_tried_every_5_minutes_and_is_no_failure() {
    let mut bench = Bench::off(&[peer(1)]);
    let (_, ticket) = only(pulls(&bench.give(Input::Enable(true))));
    let marked = bench.pulled(peer(1), ticket, PullEnd::Failed(refused()));
    assert_eq!(marked, [Action::MarkRemoved { peer: peer(1), removed: true }]);
    let view = bench.hub.view(peer(1)).unwrap();
    assert_eq!((view.state, view.failures), (PeerState::RemovedUs, 0));
    assert_eq!(bench.give(Input::Head(Sequence(5))), []);
    assert_eq!(pulls(&bench.pass(Duration::from_secs(299))), []);
    let (_, ticket) = only(pulls(&bench.pass(Duration::from_secs(1))));
    let back = bench.pulled(peer(1), ticket, done(0));
    assert_eq!(back[0], Action::MarkRemoved { peer: peer(1), removed: false });
    assert_ne!(bench.hub.view(peer(1)).unwrap().state, PeerState::RemovedUs);
}

#[test]
fn a_goodbye_is_a_refused_token() {
    let mut bench = Bench::settled(&[peer(1)]);
    let said = bench.give(Input::Goodbye(peer(1)));
    assert_eq!(said, [Action::MarkRemoved { peer: peer(1), removed: true }]);
    assert_eq!(bench.hub.view(peer(1)).unwrap().state, PeerState::RemovedUs);
}

#[test]
fn an_answer_from_before_the_goodbye_does_not_undo_it() {
    let mut bench = Bench::settled(&[peer(1)]);
    let (_, ticket) = only(pulls(&bench.give(Input::SyncNow(None))));
    bench.give(Input::Goodbye(peer(1)));
    assert_eq!(bench.pulled(peer(1), ticket, done(0)), []);
    assert_eq!(bench.hub.view(peer(1)).unwrap().state, PeerState::RemovedUs);
}

#[test]
fn pairing_again_ends_what_stood_against_the_old_token() {
    let mut bench = Bench::settled(&[peer(1)]);
    bench.give(Input::Goodbye(peer(1)));
    let again = Facts { pairing: 1, ..facts() };
    let peers = BTreeMap::from([(peer(1), again)]);
    assert_eq!(pulls(&bench.give(Input::Peers(peers))).len(), 1);
}

#[test]
fn a_pairing_that_was_never_confirmed_goes_when_its_token_is_refused() {
    let mut bench = Bench::settled(&[]);
    let open = Facts { unconfirmed: true, ..facts() };
    let (_, ticket) = only(pulls(&bench.give(Input::Peers([(peer(1), open)].into()))));
    let end = PullEnd::Failed(refused());
    assert_eq!(bench.pulled(peer(1), ticket, end), [Action::Drop(peer(1))]);
}

#[test]
fn the_first_answer_confirms_a_pairing() {
    let mut bench = Bench::settled(&[]);
    let open = Facts { unconfirmed: true, ..facts() };
    let (_, ticket) = only(pulls(&bench.give(Input::Peers([(peer(1), open)].into()))));
    assert_eq!(bench.pulled(peer(1), ticket, done(0)), [Action::Confirm(peer(1))]);
}

#[test]
fn an_answer_that_anything_could_give_confirms_no_pairing() {
    let mut bench = Bench::settled(&[]);
    let open = Facts { unconfirmed: true, removed_us: true, ..facts() };
    let (_, ticket) = only(pulls(&bench.give(Input::Peers([(peer(1), open)].into()))));
    let other = Failure::faulty("the answer can't be read".to_owned());
    assert_eq!(bench.pulled(peer(1), ticket, PullEnd::Failed(other)), []);
    let (_, ticket) = only(pulls(&bench.pass(ms(1300))));
    let confirmed = bench.pulled(peer(1), ticket, done(0));
    let marked = Action::MarkRemoved { peer: peer(1), removed: false };
    assert_eq!(confirmed, [Action::Confirm(peer(1)), marked]);
}

#[test]
fn a_log_that_changed_is_read_from_its_start() {
    let mut bench = Bench::off(&[peer(1)]);
    let (_, ticket) = only(pulls(&bench.give(Input::Enable(true))));
    let forget = bench.pulled(peer(1), ticket, PullEnd::OtherLog);
    let [Action::ForgetCheckpoint { peer: _, ticket }] = forget[..] else { panic!("{forget:?}") };
    let state = |bench: &Bench| bench.hub.view(peer(1)).unwrap().state;
    assert_eq!(state(&bench), PeerState::LogChanged);
    let again = bench.give(Input::Forgotten { peer: peer(1), ticket });
    assert_eq!(state(&bench), PeerState::LogChanged);
    assert_eq!(bench.pulled(peer(1), only(pulls(&again)).1, done(4)), []);
    assert_ne!(state(&bench), PeerState::LogChanged);
}

#[test]
fn a_peer_that_refuses_even_the_start_of_its_log_is_not_asked_in_a_circle() {
    let mut bench = Bench::off(&[peer(1)]);
    let (_, mut ticket) = only(pulls(&bench.give(Input::Enable(true))));
    let mut asked = 0;
    for _ in 0..1000 {
        let actions = bench.pulled(peer(1), ticket, PullEnd::OtherLog);
        let [Action::ForgetCheckpoint { ticket: forget, .. }] = actions[..] else {
            panic!("{actions:?}")
        };
        let mut again = bench.give(Input::Forgotten { peer: peer(1), ticket: forget });
        again.extend(bench.pass(Duration::from_secs(10)));
        match pulls(&again)[..] {
            [(_, next)] => (asked, ticket) = (asked + 1, next),
            _ => break,
        }
    }
    assert!(asked < 8, "asked {asked} times");
}

#[test]
fn only_peers_without_recent_sync_are_pulled_periodically() {
    let mut bench = Bench::settled(&[peer(1), peer(2)]);
    assert_eq!(bench.pass(Duration::from_secs(200)), []);
    bench.give(Input::Synced { peer: peer(2), latest: Sequence(1) });
    assert_eq!(only(pulls(&bench.pass(Duration::from_secs(100)))).0, peer(1));
}

#[test]
fn between_two_looks_an_idle_hub_sleeps() {
    let bench = Bench::settled(&[peer(1), peer(2)]);
    assert_eq!(bench.sleeps(), Duration::from_secs(300));
}

#[test]
fn the_end_of_a_pull_for_an_earlier_pairing_changes_nothing() {
    let mut bench = Bench::off(&[peer(1)]);
    let (_, old) = only(pulls(&bench.give(Input::Enable(true))));
    bench.give(Input::Peers(BTreeMap::new()));
    let (_, new) = only(pulls(&bench.give(Input::Peers([(peer(1), facts())].into()))));
    assert_eq!(bench.pulled(peer(1), old, PullEnd::Failed(refused())), []);
    assert_eq!(bench.pulled(peer(1), new, done(0)), []);
    assert_eq!(bench.hub.view(peer(1)).unwrap().state, PeerState::InSync);
}

#[test]
fn in_sync_is_said_only_when_both_hold_everything() {
    let mut bench = Bench::settled(&[peer(1)]);
    let state = |bench: &Bench| bench.hub.view(peer(1)).unwrap().state;
    let (_, ticket, ..) = only(tells(&bench.give(Input::Head(Sequence(3)))));
    assert_eq!(state(&bench), PeerState::CatchingUp);
    bench.told(peer(1), ticket, TellEnd::Told { latest: place(3), held: Sequence(2) });
    assert_eq!(state(&bench), PeerState::CatchingUp);
    assert_eq!(bench.hub.view(peer(1)).unwrap().they_lack, Some(1));
    bench.give(Input::Served { peer: peer(1), next: place(3), more: false });
    assert_eq!(state(&bench), PeerState::InSync);
}
