use std::time::Duration;

use thrum_api::local::PeerState;
use thrum_api::{LogPosition, Sequence};

use super::harness::{Harness, ms, notifications, only, peer, position, pulls, timing};
use crate::sync::hub::{Action, Failure, Input, NotifyResult};

fn later(delay: Duration, seen: u64) -> NotifyResult {
    NotifyResult::Deferred { delay, examined: position(seen) }
}

fn answered(latest: u64) -> NotifyResult {
    NotifyResult::Answered { latest: position(latest), confirmed: Sequence(latest), known: 0 }
}

#[test]
fn news_is_examined_at_once_and_every_peer_is_notified() {
    let mut harness = Harness::settled(&[peer(1), peer(2)]);
    let notified: Vec<_> =
        notifications(&harness.give(Input::Head(Sequence(1)))).iter().map(|t| t.0).collect();
    assert_eq!(notified, [peer(1), peer(2)]);
}

#[test]
fn one_notification_at_a_time_and_the_newest_wins() {
    let mut harness = Harness::settled(&[peer(1)]);
    let (_, operation, sent, _) = only(notifications(&harness.give(Input::Head(Sequence(1)))));
    assert_eq!(sent, LogPosition::START);
    for n in 2..300 {
        assert_eq!(harness.give(Input::Head(Sequence(n))), []);
    }
    let (_, operation, sent, _) =
        only(notifications(&harness.notified(peer(1), operation, answered(1))));
    // One notification for 298 events, from the peer's position.
    assert_eq!(sent, position(1));
    assert_eq!(harness.notified(peer(1), operation, answered(299)), []);
    assert_eq!(harness.sleeps(), Duration::from_secs(300));
}

#[test]
fn own_news_goes_at_once_relayed_news_after_50_ms_and_an_echo_after_1_s() {
    let timing = timing();
    assert_eq!(timing.notify_delay(true, true), Duration::ZERO);
    assert_eq!(timing.notify_delay(false, true), ms(50));
    assert_eq!(timing.notify_delay(false, false), ms(1000));
}

#[test]
fn deferred_news_is_sent_after_its_delay() {
    for delay in [ms(50), ms(1000)] {
        let mut harness = Harness::settled(&[peer(1)]);
        let (_, operation, ..) = only(notifications(&harness.give(Input::Head(Sequence(1)))));
        assert_eq!(harness.notified(peer(1), operation, later(delay, 1)), []);
        assert_eq!(harness.sleeps(), delay);
        let (.., due) = only(notifications(&harness.pass(delay)));
        assert!(due);
    }
}

#[test]
fn own_news_does_not_wait_for_deferred_news() {
    let mut harness = Harness::settled(&[peer(1)]);
    let (_, operation, ..) = only(notifications(&harness.give(Input::Head(Sequence(1)))));
    harness.notified(peer(1), operation, later(ms(1000), 1));
    let actions = harness.give(Input::Head(Sequence(2)));
    let [Action::Notify { wanted, .. }] = actions[..] else { panic!("{actions:?}") };
    // Only later news is examined; the window begins at the peer's position.
    assert_eq!(
        (wanted.examined, wanted.sent, wanted.due),
        (position(1), LogPosition::START, false)
    );
}

#[test]
fn deferred_news_that_went_with_other_news_is_not_sent_again() {
    let mut harness = Harness::settled(&[peer(1)]);
    let (_, operation, ..) = only(notifications(&harness.give(Input::Head(Sequence(1)))));
    harness.notified(peer(1), operation, later(ms(1000), 1));
    // Our own news is sent together with the deferred news.
    let (_, operation, ..) = only(notifications(&harness.give(Input::Head(Sequence(2)))));
    assert_eq!(harness.notified(peer(1), operation, answered(2)), []);
    harness.pass(ms(1500));
    let (.., due) = only(notifications(&harness.give(Input::Head(Sequence(3)))));
    assert!(!due, "the next echo may wait for its own second");
}

#[test]
fn more_news_of_the_same_kind_does_not_extend_the_delay() {
    let mut harness = Harness::settled(&[peer(1)]);
    let (_, operation, ..) = only(notifications(&harness.give(Input::Head(Sequence(1)))));
    harness.notified(peer(1), operation, later(ms(1000), 1));
    for n in 2..=9 {
        harness.pass(ms(100));
        let (_, operation, _, due) = only(notifications(&harness.give(Input::Head(Sequence(n)))));
        assert!(!due);
        assert_eq!(harness.notified(peer(1), operation, later(ms(1000), n)), []);
    }
    assert_eq!(harness.sleeps(), ms(200));
}

#[test]
fn a_peer_that_holds_everything_is_not_notified() {
    let mut harness = Harness::settled(&[peer(1)]);
    harness.give(Input::PageServed {
        peer: peer(1),
        next: position(5),
        more: false,
        relayed: false,
    });
    assert_eq!(harness.give(Input::Head(Sequence(5))), []);
}

#[test]
fn a_peer_that_reads_our_log_is_not_notified_before_its_last_page() {
    let mut harness = Harness::settled(&[peer(1)]);
    harness.give(Input::PageServed {
        peer: peer(1),
        next: position(5),
        more: true,
        relayed: false,
    });
    assert_eq!(harness.give(Input::Head(Sequence(9))), []);
    assert_eq!(harness.sleeps(), Duration::from_secs(30));
    let served = harness.give(Input::PageServed {
        peer: peer(1),
        next: position(8),
        more: false,
        relayed: false,
    });
    assert_eq!(only(notifications(&served)).2, position(8));
}

#[test]
fn an_answer_older_than_a_served_page_does_not_move_the_position_back() {
    let mut harness = Harness::settled(&[peer(1)]);
    let (_, operation, ..) = only(notifications(&harness.give(Input::Head(Sequence(2)))));
    // The peer was notified, confirmed nothing, and pulled before we read its answer.
    harness.give(Input::PageServed {
        peer: peer(1),
        next: position(2),
        more: false,
        relayed: false,
    });
    let answer =
        NotifyResult::Answered { latest: position(2), confirmed: Sequence::ZERO, known: 0 };
    assert_eq!(harness.notified(peer(1), operation, answer), []);
    assert_eq!(harness.hub.snapshot(peer(1)).unwrap().they_lack, Some(0));
    // Without a served page in between, a lower confirmation means that the peer lost its log.
    let (_, operation, ..) = only(notifications(&harness.give(Input::Head(Sequence(3)))));
    harness.notified(
        peer(1),
        operation,
        NotifyResult::Answered { latest: position(3), confirmed: Sequence::ZERO, known: 0 },
    );
    assert_eq!(harness.hub.snapshot(peer(1)).unwrap().they_lack, Some(3));
}

#[test]
fn a_failed_notification_backs_off_and_a_pull_is_tried_first() {
    let mut harness = Harness::settled(&[peer(1)]);
    let (_, operation, ..) = only(notifications(&harness.give(Input::Head(Sequence(1)))));
    assert_eq!(
        harness.notified(peer(1), operation, NotifyResult::Failed(super::harness::unreachable())),
        []
    );
    assert_eq!(harness.hub.snapshot(peer(1)).unwrap().failures, 1);
    let tried = harness.pass(ms(1300));
    assert_eq!((pulls(&tried).len(), notifications(&tried).len()), (1, 0));
    let ended = harness.pulled(peer(1), only(pulls(&tried)).1, super::harness::done(0));
    assert_eq!(notifications(&ended).len(), 1);
}

#[test]
fn after_an_unanswered_notification_the_next_carries_no_events() {
    let windows = |actions: &[Action]| -> Vec<bool> {
        let window = |action: &Action| match action {
            Action::Notify { wanted, .. } => Some(wanted.include_events),
            _ => None,
        };
        actions.iter().filter_map(window).collect()
    };
    let mut harness = Harness::settled(&[peer(1)]);
    harness.give(Input::PageServed {
        peer: peer(1),
        next: position(1),
        more: false,
        relayed: false,
    });
    let actions = harness.give(Input::Head(Sequence(2)));
    assert_eq!(windows(&actions), [true]);
    harness.notified(
        peer(1),
        only(notifications(&actions)).1,
        NotifyResult::Failed(super::harness::unreachable()),
    );
    let tried = harness.pass(ms(1300));
    let ended = harness.pulled(peer(1), only(pulls(&tried)).1, super::harness::done(0));
    assert_eq!(windows(&ended), [false]);
    harness.notified(peer(1), only(notifications(&ended)).1, answered(2));
    assert_eq!(windows(&harness.give(Input::Head(Sequence(3)))), [true]);
}

#[test]
fn a_peer_that_pulls_what_we_relay_is_sent_it_until_it_holds_some_already() {
    let relayed = |actions: &[Action]| match actions {
        [Action::Notify { wanted, .. }] => wanted.include_relayed,
        _ => panic!("{actions:?}"),
    };
    let mut harness = Harness::settled(&[peer(1)]);
    let served = |next, relayed| Input::PageServed {
        peer: peer(1),
        next: position(next),
        more: false,
        relayed,
    };
    let mut sequence = 0;
    let mut news = |harness: &mut Harness, known| {
        sequence += 1;
        let actions = harness.give(Input::Head(Sequence(sequence)));
        let result = NotifyResult::Answered {
            latest: position(sequence),
            confirmed: Sequence(sequence),
            known,
        };
        harness.notified(peer(1), only(notifications(&actions)).1, result);
        relayed(&actions)
    };
    harness.give(served(0, false));
    assert!(!news(&mut harness, 0), "nobody knows yet whether others bring it");
    harness.give(served(1, true));
    assert!(news(&mut harness, 0));
    assert!(news(&mut harness, 1));
    assert!(!news(&mut harness, 0), "it had some of the last ones from others");
}

#[test]
fn a_notification_that_was_refused_does_not_stop_pulls() {
    let mut harness = Harness::settled(&[peer(1)]);
    let (_, operation, ..) = only(notifications(&harness.give(Input::Head(Sequence(1)))));
    let failure = Failure::bad_answer("its disk is full".to_owned());
    assert_eq!(harness.notified(peer(1), operation, NotifyResult::Failed(failure)), []);
    let lacking = Input::PullNeeded { peer: peer(1), latest: Sequence(1), creators: vec![] };
    assert_eq!(pulls(&harness.give(lacking)).len(), 1);
    assert_eq!(notifications(&harness.pass(ms(1300))).len(), 1);
}

#[test]
fn a_peer_that_refuses_our_news_is_not_healthy_although_it_can_be_pulled() {
    let mut harness = Harness::settled(&[peer(1)]);
    let (_, operation, ..) = only(notifications(&harness.give(Input::Head(Sequence(1)))));
    let failure = Failure::bad_answer("its disk is full".to_owned());
    harness.notified(peer(1), operation, NotifyResult::Failed(failure.clone()));
    let asked = harness.give(Input::SyncNow(None));
    harness.notified(peer(1), only(notifications(&asked)).1, NotifyResult::Failed(failure.clone()));
    harness.pulled(peer(1), only(pulls(&asked)).1, super::harness::done(7));
    let view = harness.hub.snapshot(peer(1)).unwrap();
    assert_eq!((view.state, view.failures), (PeerState::BackingOff, 1));
    assert_eq!(view.last_failure, Some(failure));
    assert!(view.next_try.is_some_and(|at| at.since(harness.now) >= ms(1000)), "{view:?}");
    // The peer pulled the news itself, so no refused news is left.
    harness.give(Input::PageServed {
        peer: peer(1),
        next: position(1),
        more: false,
        relayed: false,
    });
    let view = harness.hub.snapshot(peer(1)).unwrap();
    assert_eq!((view.state, view.failures, view.next_try), (PeerState::InSync, 0, None));
}

#[test]
fn a_peer_that_lacks_what_came_a_moment_ago_is_not_called_up_to_date() {
    let mut harness = Harness::settled(&[peer(1)]);
    assert_eq!(notifications(&harness.give(Input::Head(Sequence(1)))).len(), 1);
    let (next, more, relayed) = (position(1), false, false);
    harness.give(Input::PageServed { peer: peer(1), next, more, relayed });
    let state = |harness: &Harness| harness.hub.snapshot(peer(1)).map(|it| (it.state, it.since));
    let synced_at = harness.now;
    assert_eq!(state(&harness), Some((PeerState::InSync, synced_at)));
    // The notification is still under way: news don't concern the link.
    harness.now = harness.now + ms(100);
    assert_eq!(harness.give(Input::Head(Sequence(2))), []);
    assert_eq!(state(&harness), Some((PeerState::CatchingUp, harness.now)));
}

#[test]
fn a_peer_without_a_known_event_gets_no_window_from_there() {
    let mut harness = Harness::settled(&[peer(1)]);
    let (_, operation, ..) = only(notifications(&harness.give(Input::Head(Sequence(9)))));
    harness.notified(
        peer(1),
        operation,
        NotifyResult::Answered { latest: position(9), confirmed: Sequence(4), known: 0 },
    );
    let (.., sent, _) = only(notifications(&harness.give(Input::Head(Sequence(10)))));
    assert_eq!(sent, LogPosition { sequence: Sequence(4), ..LogPosition::START });
}

#[test]
fn a_peer_that_claims_more_than_we_have_is_notified_of_later_news() {
    let mut harness = Harness::settled(&[peer(1)]);
    let (_, operation, ..) = only(notifications(&harness.give(Input::Head(Sequence(9)))));
    harness.notified(
        peer(1),
        operation,
        NotifyResult::Answered { latest: position(9), confirmed: Sequence(400), known: 0 },
    );
    assert_eq!(notifications(&harness.give(Input::Head(Sequence(10)))).len(), 1);
}

#[test]
fn a_notification_interrupted_by_a_removal_is_repeated_when_the_peer_calls() {
    let mut harness = Harness::settled(&[peer(1)]);
    assert_eq!(notifications(&harness.give(Input::Head(Sequence(1)))).len(), 1);
    harness.give(Input::RemovedByPeer(peer(1)));
    let heard = harness.give(Input::RequestReceived(peer(1)));
    assert_eq!((pulls(&heard).len(), notifications(&heard).len()), (1, 1));
}

fn lacking(from: &[u128]) -> Input {
    let creators = from.iter().map(|n| peer(*n)).collect();
    Input::PullNeeded { peer: peer(1), latest: Sequence(9), creators }
}

#[test]
fn in_a_triangle_the_creator_gets_250_ms_to_notify_us() {
    let mut harness = Harness::settled(&[peer(1), peer(2)]);
    assert_eq!(harness.give(lacking(&[2])), []);
    assert_eq!(harness.sleeps(), ms(250));
    assert_eq!(only(pulls(&harness.pass(ms(250)))).0, peer(1));
}

#[test]
fn in_a_triangle_nothing_is_pulled_if_the_creator_notified_us() {
    let mut harness = Harness::settled(&[peer(1), peer(2)]);
    harness.give(lacking(&[2]));
    harness.give(Input::Synced { peer: peer(1), latest: Sequence(9) });
    assert_eq!(pulls(&harness.pass(Duration::from_secs(2))), []);
}

#[test]
fn events_of_the_caller_or_of_an_unpaired_daemon_are_pulled_at_once() {
    for from in [&[1][..], &[3], &[2, 3], &[1, 2], &[]] {
        let mut harness = Harness::settled(&[peer(1), peer(2)]);
        assert_eq!(pulls(&harness.give(lacking(from))).len(), 1, "{from:?}");
    }
}

#[test]
fn notifications_cause_a_bounded_number_of_pulls() {
    let mut harness = Harness::settled(&[peer(1)]);
    let mut flood = |span: Duration| {
        let mut count = 0;
        let end = harness.now + span;
        while harness.now < end {
            // Each pull ends at once, and the peer has the next notification ready.
            let mut actions = harness.give(lacking(&[]));
            actions.extend(harness.pass(ms(1)));
            for (peer, operation) in pulls(&actions) {
                count += 1;
                harness.pulled(peer, operation, super::harness::done(0));
            }
        }
        count
    };
    let (burst, interval) = (timing().notified_burst, timing().notified_interval);
    assert_eq!(flood(interval * 10), burst + 10);
    assert_eq!(flood(interval * 10), 10);
    // Whoever was quiet for a while may have as many at once again.
    harness.pass(interval * burst);
    assert_eq!(pulls(&harness.give(lacking(&[]))).len(), 1);
}

#[test]
fn an_unreachable_creator_is_not_waited_for() {
    let mut harness = Harness::settled(&[peer(1), peer(2)]);
    let (_, operation) = only(pulls(&harness.give(Input::SyncNow(Some(peer(2))))));
    let failed = crate::sync::hub::PullResult::Failed(super::harness::unreachable());
    harness.pulled(peer(2), operation, failed);
    assert_eq!(pulls(&harness.give(lacking(&[2]))).len(), 1);
}
