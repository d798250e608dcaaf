//! The rules of a session, with injected time.

use std::time::Duration;

use thrum_api::local::PairingUpdate;
use thrum_api::{ErrorCode, PairingCode};
use tokio::time::Instant;

use super::super::session::{Session, UNATTENDED};
use super::super::{PendingPairings, Replaces};
use super::{caller, node, peer};
use crate::ids;
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
fn the_third_wrong_code_locks_the_session_and_says_who_it_was() {
    let (mut session, start) = session();
    let (id, from) = (ids::daemon(), caller("127.0.0.1"));
    let mut attempt = |text| session.attempt(start, &code(text), id, &from).unwrap_err();
    let first = attempt("0000");
    assert_eq!(first.code, ErrorCode::WRONG_CODE);
    assert_eq!(first.member("attempts_left").unwrap(), 2);
    assert_eq!(attempt("0001").member("attempts_left").unwrap(), 1);
    assert_eq!(attempt("0002").code, ErrorCode::PAIRING_LOCKED);
    assert_eq!(attempt("7392").code, ErrorCode::PAIRING_LOCKED);
    let wrong = PairingUpdate::WrongCode { caller: "127.0.0.1".into(), attempts_left: 2 };
    assert_eq!(session.news(0), Some(&wrong));
    assert_eq!(session.news(2), Some(&PairingUpdate::Locked { caller: "127.0.0.1".into() }));
    assert_eq!(session.news(3), None);
}

#[test]
fn a_session_expires_when_its_time_is_over() {
    let (mut session, start) = session();
    assert_eq!(session.next_tick(), Some(start + TIMEOUT));
    let late = start + TIMEOUT;
    session.tick(late - Duration::from_millis(1));
    assert!(!session.is_over());
    let refused = session.attempt(late, &code("7392"), ids::daemon(), &caller("127.0.0.1"));
    assert_eq!(refused.unwrap_err().code, ErrorCode::PAIRING_EXPIRED);
    assert_eq!(session.last_news(), Some(&PairingUpdate::Expired));
    // Much later the answer no longer says how the session ended.
    let refused =
        session.attempt(late + 9 * TIMEOUT, &code("7392"), ids::daemon(), &caller("127.0.0.1"));
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
    session.attempt(start, &code("7392"), id, &from).unwrap();
    session.set_pending(start, peer, &from);
    session.attempt(start, &code("7392"), id, &from).unwrap();
    for (id, from) in [(ids::daemon(), &from), (id, &node("n2")), (id, &caller("100.64.0.7"))] {
        let refused = session.attempt(start, &code("7392"), id, from).unwrap_err();
        assert_eq!(refused.code, ErrorCode::PAIRING_LOCKED);
    }
    // Late callers use up no tries.
    assert_eq!(session.attempts_left(), 3);
}

#[test]
fn a_pending_token_is_void_when_repeated_ended_or_elsewhere() {
    let (mut session, start) = session();
    let (first, second, from) = (peer("vm"), peer("vm"), node("n1"));
    session.set_pending(start, first.clone(), &from);
    session.set_pending(start, second.clone(), &from);
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
    session.set_pending(start, peer.clone(), &from);
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
    pending.insert(start, peer.clone(), &from, Replaces::Any);
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
        pending.insert(start, peer.clone(), &node(&format!("n{index}")), Replaces::Any);
    }
    let found = |index: usize| {
        let caller = node(&format!("n{index}"));
        pending.get(start, peers[index].token.expose(), &caller).is_some()
    };
    assert!(!found(0) && found(1) && found(256));
}
