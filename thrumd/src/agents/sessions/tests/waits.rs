//! Callers that wait.

use super::super::limits::SESSIONS_MAX;
use super::*;
use SessionState::{Idle, Working};

#[test]
fn waits_in_a_loop_are_told_once() {
    let mut desk = Desk::new();
    let id = desk.wait("coder", None, 1);
    assert_eq!(desk.told(), ["wait-1 waiting"]);
    let since = desk.now.wall;
    for connection in 2..50 {
        desk.pass(60 * SECOND);
        desk.wait_ends("coder", &id);
        assert_eq!(desk.told(), [""; 0]);
        desk.pass(4 * SECOND);
        assert_eq!(desk.wait("coder", None, connection), id);
        assert!(desk.is_quiet(), "others know that it waits");
    }
    let shown = desk.book.shown(None).agents.remove(&key("coder")).unwrap().sessions;
    assert_eq!(shown[0].since, since);
    desk.wait_ends("coder", &id);
    desk.pass(5 * SECOND);
    assert_eq!(desk.due(), [Due { key: key("coder"), sessions: Vec::new() }]);
    assert!(desk.is_quiet());
}

#[test]
fn a_session_waits_and_is_then_what_it_was() {
    let mut desk = Desk::new();
    desk.start("coder", "s", &Change::default());
    desk.due();
    desk.pass(10 * SECOND);
    assert_eq!(desk.wait("coder", Some("s"), 1), "s");
    assert_eq!(desk.told(), ["s waiting"]);
    desk.pass(10 * SECOND);
    desk.wait_ends("coder", "s");
    let back = desk.now.wall;
    desk.pass(5 * SECOND);
    let due = desk.due();
    assert_eq!(states(&due[0].sessions), ["s working"]);
    assert_eq!(due[0].sessions[0].since, back);
    assert!(desk.is_quiet());
}

#[test]
fn what_is_said_during_a_wait_counts_and_a_question_comes_first() {
    let mut desk = Desk::new();
    desk.start("coder", "s", &Change::default());
    desk.wait("coder", Some("s"), 1);
    assert_eq!(desk.told(), ["s waiting"]);
    for (change, told) in
        [(says(Working), "s working"), (says(Idle), "s waiting"), (asks("push?"), "s needs_you")]
    {
        desk.pass(10 * SECOND);
        desk.update("coder", &change).unwrap();
        assert_eq!(desk.told(), [told]);
    }
    desk.wait("coder", Some("s"), 2);
    assert!(desk.is_quiet(), "a question stays");
}

#[test]
fn a_caller_without_a_session_is_the_one_of_its_connection_or_one_of_its_own() {
    let mut desk = Desk::new();
    let started =
        desk.book.start(&key("coder"), "mcp".to_owned(), &says(Idle), connection(1), desk.now);
    started.unwrap();
    assert_eq!(desk.wait("coder", None, 1), "mcp");
    assert_eq!(desk.wait("coder", None, 2), "wait-1");
    assert_eq!(desk.wait("coder", None, 3), "wait-2");
    desk.wait_ends("coder", "wait-1");
    assert_eq!(desk.wait("coder", None, 4), "wait-1");
    // A name that nobody started exists while somebody waits.
    assert_eq!(desk.wait("coder", Some("lost"), 5), "lost");
    assert_eq!(desk.wait("coder", Some("lost"), 6), "lost");
    desk.wait_ends("coder", "lost");
    assert_eq!(desk.book.count, 4);
    desk.wait_ends("coder", "lost");
    assert_eq!(desk.book.count, 3);
}

#[test]
fn one_that_waits_can_become_a_session() {
    let mut desk = Desk::new();
    desk.wait("coder", Some("s"), 1);
    let told = desk.start("coder", "s", &Change::default());
    assert_eq!(told.state, Working);
    desk.wait_ends("coder", "s");
    assert_eq!(desk.book.shown(None).agents[&key("coder")].sessions, [told]);
}

#[test]
fn a_session_that_ends_while_a_caller_waits_is_gone_with_that_caller() {
    let mut desk = Desk::new();
    desk.start("coder", "s", &says(Idle));
    desk.wait("coder", Some("s"), 1);
    assert_eq!(desk.told(), ["s waiting"]);
    desk.book.take_unsaved();
    desk.pass(10 * SECOND);
    desk.book.end(&key("coder"), Some("s"), desk.now).unwrap();
    assert!(desk.is_quiet(), "a caller waits still");
    let kept = desk.book.take_unsaved();
    assert_eq!(kept[0].sessions, [], "nobody watches its process any more");
    desk.book.end(&key("coder"), None, desk.now).unwrap_err();
    desk.wait_ends("coder", "s");
    desk.pass(5 * SECOND);
    assert_eq!(desk.due(), [Due { key: key("coder"), sessions: Vec::new() }]);
    assert_eq!(desk.book.count, 0);
}

#[test]
fn the_end_of_a_wait_ends_no_later_wait_with_the_same_id() {
    let mut desk = Desk::new();
    desk.start("coder", "s", &Change::default());
    desk.wait("coder", Some("s"), 1);
    // Its process ends: the session is gone, and the caller doesn't know it yet.
    desk.book.keeper_ended(&key("coder"), "s", 7, desk.now);
    assert_eq!(desk.book.count, 0);
    desk.wait("coder", Some("s"), 2);
    desk.wait_ends("coder", "s");
    let shown = desk.book.shown(None).agents.remove(&key("coder")).unwrap().sessions;
    assert_eq!(states(&shown), ["s waiting"]);
    desk.wait_ends("coder", "s");
    assert_eq!(desk.book.count, 0);
}

#[test]
fn names_that_only_wait_are_forgotten_when_they_are_gone() {
    let mut desk = Desk::new();
    for number in 0..=2 * SESSIONS_MAX {
        let name = format!("agent{number}");
        let id = desk.wait(&name, None, 1);
        desk.due();
        desk.wait_ends(&name, &id);
        desk.pass(5 * SECOND);
        desk.due();
    }
    assert_eq!(desk.book.agents.len(), 2 * SESSIONS_MAX + 1);
    desk.pass(5 * SECOND);
    desk.wait("late", None, 1);
    assert_eq!(desk.book.agents.len(), 1);
}
