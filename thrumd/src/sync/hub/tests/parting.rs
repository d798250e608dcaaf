use std::time::Duration;

use thrum_api::Sequence;

use super::bench::{Bench, done, line, ms, only, peer, place, pulls, tells};
use crate::sync::hub::{Failure, Input, Parting, PullEnd, TellEnd};

fn parting(bench: &Bench) -> Parting {
    bench.hub.view(peer(1)).unwrap().parting
}

fn told(latest: u64, held: u64) -> TellEnd {
    TellEnd::Told { latest: place(latest), held: Sequence(held) }
}

#[test]
fn a_page_that_was_given_is_not_taken_for_one_that_is_held() {
    let mut bench = Bench::settled(&[peer(1)]);
    bench.give(Input::Served { peer: peer(1), next: place(9), more: false });
    assert_eq!(bench.give(Input::Head(Sequence(9))), []);
    assert_eq!(bench.hub.view(peer(1)).unwrap().they_lack, Some(0));
    let (_, ticket, _, due) = only(tells(&bench.give(Input::Part)));
    assert!(due);
    assert_eq!(parting(&bench), Parting::Asked);
    // Its pull is not on its disk yet.
    assert_eq!(bench.told(peer(1), ticket, told(9, 0)), []);
    assert_eq!(parting(&bench), Parting::Reading);
    let (_, ticket, ..) = only(tells(&bench.pass(ms(50))));
    bench.told(peer(1), ticket, told(9, 9));
    assert_eq!(parting(&bench), Parting::Done);
    assert_eq!(tells(&bench.pass(Duration::from_secs(9))), []);
}

#[test]
fn at_the_end_who_reads_page_by_page_is_asked_all_the_same() {
    let mut bench = Bench::settled(&[peer(1)]);
    bench.give(Input::Served { peer: peer(1), next: place(5), more: true });
    assert_eq!(bench.give(Input::Head(Sequence(9))), []);
    assert_eq!(tells(&bench.give(Input::Part)).len(), 1);
}

#[test]
fn who_said_that_it_holds_everything_is_not_asked_at_the_end() {
    let mut bench = Bench::settled(&[peer(1)]);
    let (_, ticket, ..) = only(tells(&bench.give(Input::Head(Sequence(2)))));
    bench.told(peer(1), ticket, told(2, 2));
    assert_eq!(bench.give(Input::Part), []);
    assert_eq!(parting(&bench), Parting::Done);
}

#[test]
fn who_was_not_reached_gets_one_last_try() {
    let mut bench = Bench::settled(&[peer(1)]);
    let (_, ticket) = only(pulls(&bench.give(Input::SyncNow(None))));
    bench.pulled(peer(1), ticket, PullEnd::Failed(line()));
    assert_eq!(tells(&bench.give(Input::Head(Sequence(2)))), []);
    let (_, ticket, ..) = only(tells(&bench.give(Input::Part)));
    assert_eq!(parting(&bench), Parting::Asked);
    bench.told(peer(1), ticket, TellEnd::Failed(line()));
    assert_eq!(parting(&bench), Parting::Away);
}

#[test]
fn who_answered_badly_before_the_end_gets_one_last_try() {
    let mut bench = Bench::settled(&[peer(1)]);
    let (_, ticket, ..) = only(tells(&bench.give(Input::Head(Sequence(2)))));
    let failure = Failure::faulty("its disk is full".to_owned());
    bench.told(peer(1), ticket, TellEnd::Failed(failure));
    let (_, ticket, ..) = only(tells(&bench.give(Input::Part)));
    assert_eq!(parting(&bench), Parting::Asked);
    // And who reads on meanwhile is asked again all the same.
    bench.told(peer(1), ticket, told(2, 0));
    bench.give(Input::Served { peer: peer(1), next: place(1), more: true });
    assert_eq!(tells(&bench.pass(ms(50))).len(), 1);
}

#[test]
fn who_refuses_the_last_news_is_not_waited_for() {
    let mut bench = Bench::settled(&[peer(1)]);
    let (_, ticket, ..) = only(tells(&bench.give(Input::Head(Sequence(2)))));
    assert_eq!(bench.give(Input::Part), []);
    let failure = Failure::faulty("its disk is full".to_owned());
    bench.told(peer(1), ticket, TellEnd::Failed(failure));
    assert_eq!(parting(&bench), Parting::Away);
}

#[test]
fn a_place_beyond_our_end_is_no_proof_that_a_peer_holds_our_log() {
    let mut bench = Bench::settled(&[peer(1)]);
    let (_, ticket, ..) = only(tells(&bench.give(Input::Head(Sequence(2)))));
    bench.told(peer(1), ticket, told(2, 400));
    assert_ne!(parting(&bench), Parting::Done);
    let (_, ticket) = only(pulls(&bench.give(Input::SyncNow(None))));
    bench.pulled(peer(1), ticket, done(0));
    assert_ne!(parting(&bench), Parting::Done);
}
