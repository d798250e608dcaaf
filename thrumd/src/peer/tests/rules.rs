//! The rules of a session, with injected time.

use std::time::Duration;

use thrum_api::local::PairingUpdate;
use thrum_api::{ErrorCode, PairingCode};
use tokio::time::Instant;

use super::super::pending::Machine;
use super::super::session::{Session, UNATTENDED};
use super::super::wrong_codes::WrongCodes;
use super::super::{PendingPairings, Replaces};
use super::{caller, node, peer};
use crate::tailnet::Caller;

const TIMEOUT: Duration = Duration::from_secs(300);

fn code(text: &str) -> PairingCode {
    text.parse().unwrap()
}

/// A session that one client waits for, and when it began.
fn session() -> (Session, Instant) {
    let start = Instant::now();
    let mut session = Session::new(start, TIMEOUT, code("7392"));
    session.add_waiter();
    (session, start)
}

#[test]
fn wrong_codes_of_three_machines_lock_the_session_and_the_last_is_named() {
    let (mut session, start) = session();
    let mut wrong = WrongCodes::default();
    let mut attempt = |text, from: &str| {
        let result =
            session.attempt(start, &code(text), crate::testing::daemon(), &node(from), &mut wrong);
        result.unwrap_err()
    };
    let first = attempt("0000", "n1");
    assert_eq!(first.code, ErrorCode::WRONG_CODE);
    assert_eq!(first.member("attempts_left").unwrap(), 2);
    assert_eq!(first.member("wait_ms").unwrap(), 1000);
    assert_eq!(attempt("0001", "n2").code, ErrorCode::WRONG_CODE);
    assert_eq!(attempt("0002", "n3").code, ErrorCode::PAIRING_LOCKED);
    assert_eq!(attempt("7392", "n4").code, ErrorCode::PAIRING_LOCKED);
    let caller = "n1.ts.net".to_owned();
    let wrong = PairingUpdate::WrongCode { caller, attempts_left: 2, retries_left: 2 };
    assert_eq!(session.news(0), Some(&wrong));
    assert_eq!(session.news(2), Some(&PairingUpdate::Locked { caller: "n3.ts.net".into() }));
    assert_eq!(session.news(3), None);
}

#[test]
fn a_machine_that_was_wrong_twice_gets_in_after_a_wait() {
    let (mut session, start) = session();
    let (mut wrong, from, id) = (WrongCodes::default(), node("n1"), crate::testing::daemon());
    let mut attempt =
        |at: Duration, text| session.attempt(start + at, &code(text), id, &from, &mut wrong);
    let second = Duration::from_secs(1);
    attempt(Duration::ZERO, "0000").unwrap_err();
    // Too early: even the right code is not looked at, and the wait begins anew.
    let early = attempt(second / 2, "7392").unwrap_err();
    assert_eq!(
        (early.code, early.member("wait_ms").unwrap()),
        (ErrorCode::PAIRING_WAIT, &1000.into())
    );
    assert_eq!(attempt(second, "7392").unwrap_err().code, ErrorCode::PAIRING_WAIT);
    let again = attempt(2 * second, "0001").unwrap_err();
    assert_eq!(
        (again.code, again.member("wait_ms").unwrap()),
        (ErrorCode::WRONG_CODE, &10_000.into())
    );
    assert_eq!(attempt(11 * second, "7392").unwrap_err().code, ErrorCode::PAIRING_WAIT);
    attempt(21 * second, "7392").unwrap();
    // It is forgiven.
    let forgiven = attempt(21 * second, "0000").unwrap_err();
    assert_eq!(forgiven.member("wait_ms").unwrap(), 1000);
    assert_eq!(session.attempts_left(), 2);
}

/// Callers that are patient and guess as often as they may.
#[test]
fn a_session_reads_three_wrong_codes_of_one_machine_and_five_of_all() {
    for (machines, guesses, open) in [(1, 3, true), (2, 4, true), (3, 5, false), (100, 5, false)] {
        let (mut session, start) = session();
        let (mut wrong, mut read) = (WrongCodes::default(), 0);
        // The same machine as often as it may, then the next.
        for (step, machine) in (0..machines).flat_map(|it| [it; 9]).enumerate() {
            let at = start + Duration::from_millis(100 * step as u64);
            let from = node(&format!("n{machine}"));
            wrong.forgive_waits();
            let refused =
                session.attempt(at, &code("0000"), crate::testing::daemon(), &from, &mut wrong);
            let refused = refused.unwrap_err();
            // The code of the last one was read, too.
            read += u32::from(
                refused.code == ErrorCode::WRONG_CODE || refused.member("attempts_left").is_some(),
            );
        }
        assert_eq!((read, !session.is_over()), (guesses, open), "{machines} machines");
    }
}

#[test]
fn a_machine_that_goes_on_guessing_uses_up_one_try_of_one_session() {
    let start = Instant::now();
    let (mut wrong, stranger) = (WrongCodes::default(), node("n9"));
    for round in 0..4 {
        let begun = start + round * Duration::from_secs(60);
        let mut session = Session::new(begun, TIMEOUT, code("7392"));
        session.add_waiter();
        // Five times a second, also after the session.
        for step in 0..300 {
            let at = begun + step * Duration::from_millis(200);
            let guess = code("0000");
            session
                .attempt(at, &guess, crate::testing::daemon(), &stranger, &mut wrong)
                .unwrap_err();
        }
        assert_eq!(session.attempts_left(), if round == 0 { 2 } else { 3 });
        let at = begun + Duration::from_secs(59);
        session
            .attempt(at, &code("7392"), crate::testing::daemon(), &node("n1"), &mut wrong)
            .unwrap();
    }
}

#[test]
fn waits_grow_to_an_hour_and_the_caller_heard_of_least_recently_is_forgotten() {
    let (mut wrong, mut now) = (WrongCodes::default(), Instant::now());
    let of = |number: u32| Machine::from(&node(&format!("n{number}")));
    let mut seconds = Vec::new();
    for _ in 0..12 {
        let wait = wrong.count(now, &of(0));
        assert!(wrong.came_too_early(now, &of(0)).is_some());
        seconds.push(wait.as_secs());
        now += wait;
        assert!(wrong.came_too_early(now, &of(0)).is_none());
    }
    assert_eq!(seconds, [1, 10, 60, 120, 240, 480, 960, 1920, 3600, 3600, 3600, 3600]);
    for number in 1..256 {
        wrong.count(now, &of(number));
    }
    assert!(wrong.came_too_early(now, &of(1)).is_some());
    wrong.count(now, &of(256));
    wrong.count(now, &of(257));
    // 0 and 2 are gone: 1 was heard of since.
    let known = |wrong: &mut WrongCodes, number| wrong.came_too_early(now, &of(number)).is_some();
    assert!(known(&mut wrong, 1) && known(&mut wrong, 3) && !known(&mut wrong, 2));
    assert_eq!(wrong.count(now, &of(0)).as_secs(), 1);
}

#[test]
fn a_session_expires_when_its_time_is_over() {
    let (mut session, start) = session();
    assert_eq!(session.next_tick(), Some(start + TIMEOUT));
    let late = start + TIMEOUT;
    session.tick(late - Duration::from_millis(1));
    assert!(!session.is_over());
    let refused = session.attempt(
        late,
        &code("7392"),
        crate::testing::daemon(),
        &caller("127.0.0.1"),
        &mut WrongCodes::default(),
    );
    assert_eq!(refused.unwrap_err().code, ErrorCode::PAIRING_EXPIRED);
    assert_eq!(session.last_news(), Some(&PairingUpdate::Expired));
    // Much later the answer no longer says how the session ended.
    let refused = session.attempt(
        late + 9 * TIMEOUT,
        &code("7392"),
        crate::testing::daemon(),
        &caller("127.0.0.1"),
        &mut WrongCodes::default(),
    );
    assert_eq!(refused.unwrap_err().code, ErrorCode::NO_PAIRING_SESSION);
}

#[test]
fn a_session_ends_when_nobody_waits_for_it() {
    let start = Instant::now();
    let mut session = Session::new(start, TIMEOUT, code("7392"));
    assert_eq!(session.next_tick(), Some(start + UNATTENDED));
    session.add_waiter();
    session.tick(start + 2 * UNATTENDED);
    assert!(!session.is_over());
    session.remove_waiter(start + 2 * UNATTENDED, true);
    session.tick(start + 3 * UNATTENDED - Duration::from_millis(1));
    assert!(!session.is_over());
    session.tick(start + 3 * UNATTENDED);
    assert_eq!(session.last_news(), Some(&PairingUpdate::Cancelled));
}

#[test]
fn a_waiter_that_goes_away_ends_the_session_unless_another_waits() {
    let (mut session, start) = session();
    session.add_waiter();
    session.remove_waiter(start, false);
    assert!(!session.is_over());
    session.remove_waiter(start, false);
    assert!(session.is_over());
}

#[test]
fn the_same_machine_may_repeat_the_right_code_and_no_other_may() {
    let (mut session, start) = session();
    let (peer, from) = (peer("vm"), node("n1"));
    let id = peer.daemon_id;
    session.attempt(start, &code("7392"), id, &from, &mut WrongCodes::default()).unwrap();
    session.set_pending(start, peer, &from, None);
    session.attempt(start, &code("7392"), id, &from, &mut WrongCodes::default()).unwrap();
    for (id, from) in
        [(crate::testing::daemon(), &from), (id, &node("n2")), (id, &caller("100.64.0.7"))]
    {
        let refused = session
            .attempt(start, &code("7392"), id, from, &mut WrongCodes::default())
            .unwrap_err();
        assert_eq!(refused.code, ErrorCode::PAIRING_LOCKED);
    }
    // Late callers use up no tries.
    assert_eq!(session.attempts_left(), 3);
}

#[test]
fn a_pending_token_is_void_when_repeated_ended_or_elsewhere() {
    let (mut session, start) = session();
    let (first, second, from) = (peer("vm"), peer("vm"), node("n1"));
    session.set_pending(start, first.clone(), &from, None);
    session.set_pending(start, second.clone(), &from, None);
    let token = second.token.expose();
    assert!(session.begin_storing(start, first.token.expose(), &from).is_none());
    assert!(session.begin_storing(start, token, &node("n2")).is_none());
    session.cancel(start);
    assert!(session.begin_storing(start, token, &from).is_none());
}

#[test]
fn nothing_ends_a_session_whose_peer_is_being_stored() {
    let (mut session, start) = session();
    let (peer, from) = (peer("vm"), caller("127.0.0.1"));
    session.set_pending(start, peer.clone(), &from, None);
    let pending = session.begin_storing(start, peer.token.expose(), &from).unwrap();
    session.cancel(start);
    session.remove_waiter(start, false);
    session.tick(start + TIMEOUT);
    assert!(!session.is_over() && session.next_tick().is_none());
    session.stored(start, pending.clone(), None);
    assert!(session.begin_storing(start, peer.token.expose(), &from).is_some());
    session.stored(start, pending, Some(Vec::new()));
    assert!(matches!(session.last_news(), Some(PairingUpdate::Paired { .. })));
}

#[test]
fn a_pending_token_is_valid_for_its_machine_until_its_lifetime_is_over() {
    let (start, peer, from) = (Instant::now(), peer("vm"), node("n1"));
    let mut pending = PendingPairings::new(TIMEOUT);
    pending.insert(start, peer.clone(), &from, Replaces::ByCode(None));
    let token = peer.token.expose();
    let found = |at, from: &Caller| pending.get(at, token, from).is_some();
    assert!(found(start, &from) && !found(start, &node("n2")));
    assert!(found(start + TIMEOUT - Duration::from_millis(1), &from));
    assert!(!found(start + TIMEOUT, &from));
}

#[test]
fn pending_pairings_are_limited_and_the_oldest_makes_room() {
    let (start, peers): (_, Vec<_>) = (Instant::now(), (0..257).map(|_| peer("vm")).collect());
    let mut pending = PendingPairings::new(TIMEOUT);
    for (index, peer) in peers.iter().enumerate() {
        pending.insert(start, peer.clone(), &node(&format!("n{index}")), Replaces::ByCode(None));
    }
    let found = |index: usize| {
        let caller = node(&format!("n{index}"));
        pending.get(start, peers[index].token.expose(), &caller).is_some()
    };
    assert!(!found(0) && found(1) && found(256));
}
