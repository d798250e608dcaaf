use std::time::Duration;

use thrum_api::local::PeerState;
use thrum_api::{Place, Sequence};

use super::bench::{Bench, ms, only, peer, place, pulls, tells};
use crate::sync::hub::{Action, Failure, Input, TellEnd};

fn later(delay: Duration, seen: u64) -> TellEnd {
    TellEnd::Later { delay, seen: place(seen) }
}

fn told(latest: u64) -> TellEnd {
    TellEnd::Told { latest: place(latest), held: Sequence(latest) }
}

#[test]
fn news_is_looked_at_at_once_and_told_to_every_peer() {
    let mut bench = Bench::settled(&[peer(1), peer(2)]);
    let told: Vec<_> = tells(&bench.give(Input::Head(Sequence(1)))).iter().map(|t| t.0).collect();
    assert_eq!(told, [peer(1), peer(2)]);
}

#[test]
fn one_notification_at_a_time_and_the_newest_wins() {
    let mut bench = Bench::settled(&[peer(1)]);
    let (_, ticket, held, _) = only(tells(&bench.give(Input::Head(Sequence(1)))));
    assert_eq!(held, Place::START);
    for n in 2..300 {
        assert_eq!(bench.give(Input::Head(Sequence(n))), []);
    }
    let (_, ticket, held, _) = only(tells(&bench.told(peer(1), ticket, told(1))));
    // From where the peer is now, and once for 298 events.
    assert_eq!(held, place(1));
    assert_eq!(bench.told(peer(1), ticket, told(299)), []);
    assert_eq!(bench.sleeps(), Duration::from_secs(300));
}

#[test]
fn news_that_can_wait_is_told_when_its_time_has_come() {
    for delay in [ms(50), ms(1000)] {
        let mut bench = Bench::settled(&[peer(1)]);
        let (_, ticket, ..) = only(tells(&bench.give(Input::Head(Sequence(1)))));
        assert_eq!(bench.told(peer(1), ticket, later(delay, 1)), []);
        assert_eq!(bench.sleeps(), delay);
        let (.., due) = only(tells(&bench.pass(delay)));
        assert!(due);
    }
}

#[test]
fn own_news_does_not_wait_for_news_that_can() {
    let mut bench = Bench::settled(&[peer(1)]);
    let (_, ticket, ..) = only(tells(&bench.give(Input::Head(Sequence(1)))));
    bench.told(peer(1), ticket, later(ms(1000), 1));
    let actions = bench.give(Input::Head(Sequence(2)));
    let [Action::Tell { unseen, held, due: false, .. }] = actions[..] else {
        panic!("{actions:?}")
    };
    // Only what came since is looked at; the window begins where the peer is.
    assert_eq!((unseen, held), (place(1), Place::START));
}

#[test]
fn what_could_wait_and_went_with_other_news_is_not_told_again() {
    let mut bench = Bench::settled(&[peer(1)]);
    let (_, ticket, ..) = only(tells(&bench.give(Input::Head(Sequence(1)))));
    bench.told(peer(1), ticket, later(ms(1000), 1));
    // Our own news takes it along.
    let (_, ticket, ..) = only(tells(&bench.give(Input::Head(Sequence(2)))));
    assert_eq!(bench.told(peer(1), ticket, told(2)), []);
    bench.pass(ms(1500));
    let (.., due) = only(tells(&bench.give(Input::Head(Sequence(3)))));
    assert!(!due, "the next echo may wait for its own second");
}

#[test]
fn more_news_of_the_same_kind_does_not_put_the_telling_off() {
    let mut bench = Bench::settled(&[peer(1)]);
    let (_, ticket, ..) = only(tells(&bench.give(Input::Head(Sequence(1)))));
    bench.told(peer(1), ticket, later(ms(1000), 1));
    for n in 2..=9 {
        bench.pass(ms(100));
        let (_, ticket, _, due) = only(tells(&bench.give(Input::Head(Sequence(n)))));
        assert!(!due);
        assert_eq!(bench.told(peer(1), ticket, later(ms(1000), n)), []);
    }
    assert_eq!(bench.sleeps(), ms(200));
}

#[test]
fn a_peer_that_holds_everything_is_not_told() {
    let mut bench = Bench::settled(&[peer(1)]);
    bench.give(Input::Served { peer: peer(1), next: place(5), more: false });
    assert_eq!(bench.give(Input::Head(Sequence(5))), []);
}

#[test]
fn a_peer_that_is_reading_our_log_is_not_told_until_it_came_for_the_last_page() {
    let mut bench = Bench::settled(&[peer(1)]);
    bench.give(Input::Served { peer: peer(1), next: place(5), more: true });
    assert_eq!(bench.give(Input::Head(Sequence(9))), []);
    assert_eq!(bench.sleeps(), Duration::from_secs(30));
    let served = bench.give(Input::Served { peer: peer(1), next: place(8), more: false });
    assert_eq!(only(tells(&served)).2, place(8));
}

#[test]
fn an_answer_from_before_a_page_was_served_does_not_undo_what_the_page_showed() {
    let mut bench = Bench::settled(&[peer(1)]);
    let (_, ticket, ..) = only(tells(&bench.give(Input::Head(Sequence(2)))));
    // It heard the news, held nothing of it then, and has pulled it before its answer is read.
    bench.give(Input::Served { peer: peer(1), next: place(2), more: false });
    let answer = TellEnd::Told { latest: place(2), held: Sequence::ZERO };
    assert_eq!(bench.told(peer(1), ticket, answer), []);
    assert_eq!(bench.hub.view(peer(1)).unwrap().they_lack, Some(0));
    // Without a page in between, less is less: it lost its log.
    let (_, ticket, ..) = only(tells(&bench.give(Input::Head(Sequence(3)))));
    bench.told(peer(1), ticket, TellEnd::Told { latest: place(3), held: Sequence::ZERO });
    assert_eq!(bench.hub.view(peer(1)).unwrap().they_lack, Some(3));
}

#[test]
fn a_failed_notification_counts_as_not_reached_and_the_pull_tries_the_line_first() {
    let mut bench = Bench::settled(&[peer(1)]);
    let (_, ticket, ..) = only(tells(&bench.give(Input::Head(Sequence(1)))));
    assert_eq!(bench.told(peer(1), ticket, TellEnd::Failed(super::bench::line())), []);
    assert_eq!(bench.hub.view(peer(1)).unwrap().failures, 1);
    let tried = bench.pass(ms(1300));
    assert_eq!((pulls(&tried).len(), tells(&tried).len()), (1, 0));
    let ended = bench.pulled(peer(1), only(pulls(&tried)).1, super::bench::done(0));
    assert_eq!(tells(&ended).len(), 1);
}

#[test]
fn after_a_notification_without_an_answer_the_next_goes_without_events() {
    let windows = |actions: &[Action]| -> Vec<bool> {
        let window = |action: &Action| match action {
            Action::Tell { window, .. } => Some(*window),
            _ => None,
        };
        actions.iter().filter_map(window).collect()
    };
    let mut bench = Bench::settled(&[peer(1)]);
    bench.give(Input::Served { peer: peer(1), next: place(1), more: false });
    let actions = bench.give(Input::Head(Sequence(2)));
    assert_eq!(windows(&actions), [true]);
    bench.told(peer(1), only(tells(&actions)).1, TellEnd::Failed(super::bench::line()));
    let tried = bench.pass(ms(1300));
    let ended = bench.pulled(peer(1), only(pulls(&tried)).1, super::bench::done(0));
    assert_eq!(windows(&ended), [false]);
    bench.told(peer(1), only(tells(&ended)).1, told(2));
    assert_eq!(windows(&bench.give(Input::Head(Sequence(3)))), [true]);
}

#[test]
fn a_notification_that_was_refused_does_not_stop_pulls() {
    let mut bench = Bench::settled(&[peer(1)]);
    let (_, ticket, ..) = only(tells(&bench.give(Input::Head(Sequence(1)))));
    let failure = Failure::faulty("its disk is full".to_owned());
    assert_eq!(bench.told(peer(1), ticket, TellEnd::Failed(failure)), []);
    let lacking = Input::Lacking { peer: peer(1), latest: Sequence(1), from: vec![] };
    assert_eq!(pulls(&bench.give(lacking)).len(), 1);
    assert_eq!(tells(&bench.pass(ms(1300))).len(), 1);
}

#[test]
fn a_peer_that_refuses_our_news_is_no_healthy_peer_although_it_can_be_pulled() {
    let mut bench = Bench::settled(&[peer(1)]);
    let (_, ticket, ..) = only(tells(&bench.give(Input::Head(Sequence(1)))));
    let failure = Failure::faulty("its disk is full".to_owned());
    bench.told(peer(1), ticket, TellEnd::Failed(failure.clone()));
    let asked = bench.give(Input::SyncNow(None));
    bench.told(peer(1), only(tells(&asked)).1, TellEnd::Failed(failure.clone()));
    bench.pulled(peer(1), only(pulls(&asked)).1, super::bench::done(7));
    let view = bench.hub.view(peer(1)).unwrap();
    assert_eq!((view.state, view.failures), (PeerState::BackingOff, 1));
    assert_eq!(view.last_failure, Some(failure));
    assert!(view.next_try.is_some_and(|at| at.since(bench.now) >= ms(1000)), "{view:?}");
    // It came for them itself: there is nothing that it refuses.
    bench.give(Input::Served { peer: peer(1), next: place(1), more: false });
    let view = bench.hub.view(peer(1)).unwrap();
    assert_eq!((view.state, view.failures, view.next_try), (PeerState::InSync, 0, None));
}

#[test]
fn a_peer_without_a_known_event_gets_no_window_from_there() {
    let mut bench = Bench::settled(&[peer(1)]);
    let (_, ticket, ..) = only(tells(&bench.give(Input::Head(Sequence(9)))));
    bench.told(peer(1), ticket, TellEnd::Told { latest: place(9), held: Sequence(4) });
    let (.., held, _) = only(tells(&bench.give(Input::Head(Sequence(10)))));
    assert_eq!(held, Place { sequence: Sequence(4), event_id: None });
}

#[test]
fn a_peer_that_claims_more_than_we_have_is_told_of_later_news() {
    let mut bench = Bench::settled(&[peer(1)]);
    let (_, ticket, ..) = only(tells(&bench.give(Input::Head(Sequence(9)))));
    bench.told(peer(1), ticket, TellEnd::Told { latest: place(9), held: Sequence(400) });
    assert_eq!(tells(&bench.give(Input::Head(Sequence(10)))).len(), 1);
}

fn lacking(from: &[u128]) -> Input {
    let from = from.iter().map(|n| peer(*n)).collect();
    Input::Lacking { peer: peer(1), latest: Sequence(9), from }
}

#[test]
fn in_a_triangle_the_creator_gets_250_ms_to_tell_us_itself() {
    let mut bench = Bench::settled(&[peer(1), peer(2)]);
    assert_eq!(bench.give(lacking(&[2])), []);
    assert_eq!(bench.sleeps(), ms(250));
    assert_eq!(only(pulls(&bench.pass(ms(250)))).0, peer(1));
}

#[test]
fn in_a_triangle_nothing_is_pulled_if_the_creator_told_us() {
    let mut bench = Bench::settled(&[peer(1), peer(2)]);
    bench.give(lacking(&[2]));
    bench.give(Input::Synced { peer: peer(1), latest: Sequence(9) });
    assert_eq!(pulls(&bench.pass(Duration::from_secs(2))), []);
}

#[test]
fn what_the_caller_itself_or_a_stranger_created_is_pulled_at_once() {
    for from in [&[1][..], &[3], &[2, 3], &[1, 2], &[]] {
        let mut bench = Bench::settled(&[peer(1), peer(2)]);
        assert_eq!(pulls(&bench.give(lacking(from))).len(), 1, "{from:?}");
    }
}

#[test]
fn a_creator_that_we_can_t_reach_is_not_waited_for() {
    let mut bench = Bench::settled(&[peer(1), peer(2)]);
    let (_, ticket) = only(pulls(&bench.give(Input::SyncNow(Some(peer(2))))));
    let failed = crate::sync::hub::PullEnd::Failed(super::bench::line());
    bench.pulled(peer(2), ticket, failed);
    assert_eq!(pulls(&bench.give(lacking(&[2]))).len(), 1);
}
