use std::time::Duration;

use super::bench::{event, head, ms, origin, peer, place};
use crate::config::Cadence;
use crate::sync::hub::{Ladder, LadderError, Rules, Told, Verdict, judge, patience};

#[test]
fn a_window_from_our_checkpoint_with_nothing_else_missing_is_all_in_one_transaction() {
    let heads = [head(1, 6, 6), head(2, 3, 30)];
    let window = [event(5), event(6)];
    let told =
        Told { latest: place(6), after: Some(place(4)), window: &window, heads: Some(&heads) };
    let verdict = judge(place(4), &told, Some(&[origin(1)]));
    assert_eq!(verdict, Verdict::Apply { checkpoint: Some(place(6)) });
}

#[test]
fn a_window_is_applied_without_moving_the_checkpoint_if_relayed_news_is_missing() {
    let heads = [head(1, 6, 6), head(2, 3, 30)];
    let window = [event(5), event(6)];
    let told =
        Told { latest: place(9), after: Some(place(4)), window: &window, heads: Some(&heads) };
    let verdict = judge(place(4), &told, Some(&[origin(1), origin(2)]));
    assert_eq!(verdict, Verdict::Apply { checkpoint: None });
}

#[test]
fn a_window_without_heads_says_nothing_of_the_rest() {
    let window = [event(5)];
    let told = Told { latest: place(5), after: Some(place(4)), window: &window, heads: None };
    assert_eq!(judge(place(4), &told, None), Verdict::Apply { checkpoint: None });
    let rest = Told { window: &[], ..told };
    assert_eq!(judge(place(4), &rest, None), Verdict::Lacking { from: vec![] });
}

#[test]
fn a_window_from_another_place_is_not_applied() {
    let heads = [head(1, 6, 6)];
    let window = [event(6)];
    let told =
        Told { latest: place(6), after: Some(place(5)), window: &window, heads: Some(&heads) };
    let verdict = judge(place(4), &told, Some(&[origin(1)]));
    assert_eq!(verdict, Verdict::Lacking { from: vec![peer(1)] });
}

#[test]
fn with_every_head_held_only_the_checkpoint_moves() {
    let heads = [head(2, 3, 30)];
    let told = Told { latest: place(6), after: None, window: &[], heads: Some(&heads) };
    assert_eq!(judge(place(4), &told, Some(&[])), Verdict::Move(place(6)));
    assert_eq!(judge(place(6), &told, Some(&[])), Verdict::Held);
}

#[test]
fn a_log_that_ends_before_our_checkpoint_or_otherwise_is_pulled() {
    let told = Told { latest: place(6), after: None, window: &[], heads: Some(&[]) };
    assert_eq!(judge(place(8), &told, Some(&[])), Verdict::Lacking { from: vec![] });
    let other = thrum_api::Place { event_id: Some(event(77)), ..place(6) };
    assert_eq!(judge(other, &told, Some(&[])), Verdict::Lacking { from: vec![] });
}

#[test]
fn own_news_goes_at_once_relayed_news_after_50_ms_and_an_echo_after_1_s() {
    let cadence = Cadence { interval: Duration::from_secs(300), recent: Duration::from_secs(120) };
    let rules = Rules::new(cadence);
    assert_eq!(patience(true, true, &rules), Duration::ZERO);
    assert_eq!(patience(false, true, &rules), ms(50));
    assert_eq!(patience(false, false, &rules), ms(1000));
}

#[test]
fn a_ladder_that_makes_no_sense_is_refused() {
    let (second, minute) = (Duration::from_secs(1), Duration::from_secs(60));
    assert_eq!(Ladder::new(Duration::ZERO, minute, 0), Err(LadderError::Zero));
    assert_eq!(
        Ladder::new(minute, second, 0),
        Err(LadderError::Order { first: minute, max: second })
    );
    assert_eq!(Ladder::new(second, minute, 101), Err(LadderError::Jitter { percent: 101 }));
}

#[test]
fn a_ladder_stays_between_its_ends_however_often_it_fails() {
    let ladder = Ladder::new(Duration::from_secs(1), Duration::from_secs(300), 25).unwrap();
    for failures in [1, 2, 3, 9, 10, 33, u32::MAX] {
        for draw in [0, 1, 500, 999, u64::MAX] {
            let delay = ladder.delay(failures, draw);
            assert!(delay >= Duration::from_secs(1), "{failures} {draw}: {delay:?}");
            assert!(delay <= Duration::from_secs(300), "{failures} {draw}: {delay:?}");
        }
    }
    assert_ne!(ladder.delay(3, 1), ladder.delay(3, 900));
}
