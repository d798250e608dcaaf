use std::time::Duration;

use super::harness::{event, head, ms, origin, peer, position};
use crate::config::Cadence;
use crate::sync::hub::{Decision, Notification, Timing, decide};

#[test]
fn a_window_from_our_checkpoint_with_nothing_else_missing_is_all_in_one_transaction() {
    let heads = [head(1, 6, 6), head(2, 3, 30)];
    let window = [event(5), event(6)];
    let notification = Notification {
        latest: position(6),
        after: Some(position(4)),
        window: &window,
        heads: Some(&heads),
    };
    let decision = decide(position(4), &notification, Some(&[origin(1)]));
    assert_eq!(decision, Decision::Apply { checkpoint: Some(position(6)) });
}

#[test]
fn a_window_is_applied_without_moving_the_checkpoint_if_relayed_news_is_missing() {
    let heads = [head(1, 6, 6), head(2, 3, 30)];
    let window = [event(5), event(6)];
    let notification = Notification {
        latest: position(9),
        after: Some(position(4)),
        window: &window,
        heads: Some(&heads),
    };
    let decision = decide(position(4), &notification, Some(&[origin(1), origin(2)]));
    assert_eq!(decision, Decision::Apply { checkpoint: None });
}

#[test]
fn a_window_without_heads_says_nothing_of_the_rest() {
    let window = [event(5)];
    let notification = Notification {
        latest: position(5),
        after: Some(position(4)),
        window: &window,
        heads: None,
    };
    assert_eq!(decide(position(4), &notification, None), Decision::Apply { checkpoint: None });
    let rest = Notification { window: &[], ..notification };
    assert_eq!(decide(position(4), &rest, None), Decision::Pull { creators: vec![] });
}

#[test]
fn a_window_from_another_place_is_not_applied() {
    let heads = [head(1, 6, 6)];
    let window = [event(6)];
    let notification = Notification {
        latest: position(6),
        after: Some(position(5)),
        window: &window,
        heads: Some(&heads),
    };
    let decision = decide(position(4), &notification, Some(&[origin(1)]));
    assert_eq!(decision, Decision::Pull { creators: vec![peer(1)] });
}

#[test]
fn with_every_head_held_only_the_checkpoint_moves() {
    let heads = [head(2, 3, 30)];
    let notification =
        Notification { latest: position(6), after: None, window: &[], heads: Some(&heads) };
    assert_eq!(
        decide(position(4), &notification, Some(&[])),
        Decision::AdvanceCheckpoint(position(6))
    );
    assert_eq!(decide(position(6), &notification, Some(&[])), Decision::UpToDate);
}

#[test]
fn a_log_that_ends_before_our_checkpoint_or_otherwise_is_pulled() {
    let notification =
        Notification { latest: position(6), after: None, window: &[], heads: Some(&[]) };
    assert_eq!(decide(position(8), &notification, Some(&[])), Decision::Pull { creators: vec![] });
    let other = thrum_api::LogPosition { event_id: Some(event(77)), ..position(6) };
    assert_eq!(decide(other, &notification, Some(&[])), Decision::Pull { creators: vec![] });
}

#[test]
fn own_news_goes_at_once_relayed_news_after_50_ms_and_an_echo_after_1_s() {
    let cadence = Cadence { interval: Duration::from_secs(300), recent: Duration::from_secs(120) };
    let timing = Timing::new(cadence);
    assert_eq!(timing.notify_delay(true, true), Duration::ZERO);
    assert_eq!(timing.notify_delay(false, true), ms(50));
    assert_eq!(timing.notify_delay(false, false), ms(1000));
}
