//! The session's rules with time handed in.

use std::time::Duration;

use thrum_api::local::PairingNews;
use thrum_api::{ErrorCode, PairingCode};

use super::super::session::{Session, UNATTENDED};
use super::{caller, node, peer};
use crate::ids;

const T0: Duration = Duration::from_secs(1000);
const TIMEOUT: Duration = Duration::from_secs(300);

fn code(text: &str) -> PairingCode {
    text.parse().unwrap()
}

fn session() -> Session {
    let mut session = Session::new(T0, TIMEOUT, code("7392"));
    session.attend();
    session
}

#[test]
fn the_third_wrong_code_locks_the_session_and_says_who_it_was() {
    let (mut session, id, from) = (session(), ids::daemon(), caller("127.0.0.1"));
    let mut attempt = |text| session.attempt(T0, &code(text), id, &from).unwrap_err();
    let first = attempt("0000");
    assert_eq!(first.code, ErrorCode::WRONG_CODE);
    assert_eq!(first.member("attempts_left").unwrap(), 2);
    assert_eq!(attempt("0001").member("attempts_left").unwrap(), 1);
    assert_eq!(attempt("0002").code, ErrorCode::PAIRING_LOCKED);
    assert_eq!(attempt("7392").code, ErrorCode::PAIRING_LOCKED);
    let wrong = PairingNews::WrongCode { caller: "127.0.0.1".into(), attempts_left: 2 };
    assert_eq!(session.news(0), Some(&wrong));
    assert_eq!(session.news(2), Some(&PairingNews::Locked { caller: "127.0.0.1".into() }));
    assert_eq!(session.news(3), None);
}

#[test]
fn a_session_expires_when_its_time_is_over() {
    let mut session = session();
    assert_eq!(session.next_tick(), Some(T0 + TIMEOUT));
    let late = T0 + TIMEOUT;
    session.tick(late - Duration::from_millis(1));
    assert!(!session.is_over());
    let refused = session.attempt(late, &code("7392"), ids::daemon(), &caller("127.0.0.1"));
    assert_eq!(refused.unwrap_err().code, ErrorCode::PAIRING_EXPIRED);
    assert_eq!(session.last_news(), Some(&PairingNews::Expired));
    // Much later nobody needs to know how it ended.
    let refused = session.attempt(late * 9, &code("7392"), ids::daemon(), &caller("127.0.0.1"));
    assert_eq!(refused.unwrap_err().code, ErrorCode::NO_PAIRING_SESSION);
}

#[test]
fn a_session_ends_when_nobody_waits_for_it() {
    let mut session = Session::new(T0, TIMEOUT, code("7392"));
    assert_eq!(session.next_tick(), Some(T0 + UNATTENDED));
    session.attend();
    session.tick(T0 + 2 * UNATTENDED);
    assert!(!session.is_over());
    session.leave(T0 + 2 * UNATTENDED, true);
    session.tick(T0 + 3 * UNATTENDED - Duration::from_millis(1));
    assert!(!session.is_over());
    session.tick(T0 + 3 * UNATTENDED);
    assert_eq!(session.last_news(), Some(&PairingNews::Cancelled));
}

#[test]
fn a_waiter_that_goes_away_ends_the_session_unless_another_waits() {
    let mut session = session();
    session.attend();
    session.leave(T0, false);
    assert!(!session.is_over());
    session.leave(T0, false);
    assert!(session.is_over());
}

#[test]
fn the_same_machine_may_repeat_the_right_code_and_no_other_may() {
    let (mut session, peer, from) = (session(), peer("vm"), node("n1"));
    let id = peer.daemon_id;
    session.attempt(T0, &code("7392"), id, &from).unwrap();
    session.set_pending(peer, &from);
    session.attempt(T0, &code("7392"), id, &from).unwrap();
    for (id, from) in [(ids::daemon(), &from), (id, &node("n2")), (id, &caller("100.64.0.7"))] {
        let refused = session.attempt(T0, &code("7392"), id, from).unwrap_err();
        assert_eq!(refused.code, ErrorCode::PAIRING_LOCKED);
    }
    // Strangers who come too late use up no tries.
    assert_eq!(session.attempts_left(), 3);
}

#[test]
fn a_pending_token_is_void_when_repeated_ended_or_elsewhere() {
    let (mut session, first, second, from) = (session(), peer("vm"), peer("vm"), node("n1"));
    session.set_pending(first.clone(), &from);
    session.set_pending(second.clone(), &from);
    let token = second.token.expose();
    assert!(session.begin_storing(T0, first.token.expose(), &from).is_none());
    assert!(session.begin_storing(T0, token, &node("n2")).is_none());
    session.cancel(T0);
    assert!(session.begin_storing(T0, token, &from).is_none());
}

#[test]
fn nothing_ends_a_session_whose_peer_is_being_stored() {
    let (mut session, peer, from) = (session(), peer("vm"), caller("127.0.0.1"));
    session.set_pending(peer.clone(), &from);
    assert!(session.begin_storing(T0, peer.token.expose(), &from).is_some());
    session.cancel(T0);
    session.leave(T0, false);
    session.tick(T0 + TIMEOUT);
    assert!(!session.is_over() && session.next_tick().is_none());
    session.stored(T0, false);
    assert!(session.begin_storing(T0, peer.token.expose(), &from).is_some());
    session.stored(T0, true);
    assert!(matches!(session.last_news(), Some(PairingNews::Paired { .. })));
}
