//! What is told, and when.

use super::super::entry::Entry;
use super::super::limits::{SESSIONS_MAX, SESSIONS_OF_AGENT_MAX};
use super::*;
use SessionState::{Idle, Working};

#[test]
fn the_first_change_is_told_at_once_and_the_last_after_five_seconds() {
    let mut desk = Desk::new();
    desk.start("coder", "s", &Change::default());
    assert_eq!(desk.told(), ["s working"]);
    assert!(desk.is_quiet(), "nothing is told while nothing changes");

    desk.pass(SECOND);
    desk.update("coder", &says(Idle)).unwrap();
    desk.pass(SECOND);
    desk.update("coder", &asks("push?")).unwrap();
    assert_eq!(desk.told(), [""; 0]);
    assert_eq!(desk.book.next_due(), Some(desk.now.at + 3 * SECOND));
    desk.pass(3 * SECOND);
    assert_eq!(desk.told(), ["s needs_you"]);
    assert!(desk.is_quiet());

    desk.pass(60 * SECOND);
    desk.update("coder", &says(Working)).unwrap();
    assert_eq!(desk.told(), ["s working"], "the next first change");
}

#[test]
fn what_is_again_as_it_was_told_is_not_told() {
    let mut desk = Desk::new();
    let started = desk.start("coder", "s", &Change::default());
    desk.due();
    desk.pass(SECOND);
    desk.update("coder", &says(Idle)).unwrap();
    desk.pass(SECOND);
    desk.update("coder", &says(Working)).unwrap();
    assert!(desk.is_quiet());
    let shown = desk.book.shown(None).agents.remove(&key("coder")).unwrap().sessions;
    assert_eq!(shown, [started], "since as others know it");
    desk.start("coder", "s", &Change::default());
    assert!(desk.is_quiet(), "a start that changes nothing");
}

#[test]
fn an_agent_is_gone_with_what_kept_its_last_session() {
    let mut desk = Desk::new();
    desk.start("coder", "s", &Change::default());
    desk.due();
    desk.pass(10 * SECOND);
    desk.book.keeper_ended(&key("coder"), "s", 8, desk.now);
    assert!(desk.is_quiet(), "a watch of an earlier process");
    desk.book.keeper_ended(&key("coder"), "s", 7, desk.now);
    let due = desk.due();
    assert_eq!(due, [Due { key: key("coder"), sessions: Vec::new() }]);
    assert!(desk.is_quiet());
    assert_eq!(desk.book.shown(None).agents[&key("coder")].gone_at, Some(desk.now.wall));
    assert_eq!(desk.book.count, 0);
}

#[test]
fn a_live_session_that_starts_again_is_changed_and_kept_by_what_is_new() {
    let mut desk = Desk::new();
    let task = Change { task: Some("fix".to_owned()), ..says(Idle) };
    desk.start("coder", "s", &task);
    let branch = Change { branch: Some("main".to_owned()), ..Change::default() };
    let again = desk.book.start(&key("coder"), "s".to_owned(), &branch, connection(3), desk.now);
    let again = again.unwrap();
    assert_eq!((again.state, again.task.as_deref()), (Idle, Some("fix")));
    assert_eq!(again.branch.as_deref(), Some("main"));
    desk.book.keeper_ended(&key("coder"), "s", 7, desk.now);
    assert_eq!(desk.book.shown(None).agents[&key("coder")].sessions.len(), 1);
    desk.book.keeper_ended(&key("coder"), "s", 1003, desk.now);
    assert!(desk.book.shown(None).agents[&key("coder")].sessions.is_empty());
}

#[test]
fn a_question_goes_with_another_state_and_an_empty_text_removes() {
    let mut desk = Desk::new();
    desk.start("coder", "s", &asks("may I push?"));
    let task = Change { task: Some("fix\n\u{1b}[31m\u{202e}".to_owned()), ..Change::default() };
    let told = desk.update("coder", &task).unwrap();
    assert_eq!(told.question.as_deref(), Some("may I push?"));
    assert_eq!(told.task, task.task, "kept as it is");
    let empty = Change { task: Some(String::new()), ..says(Working) };
    let told = desk.update("coder", &empty).unwrap();
    assert_eq!((told.question, told.task), (None, None));
}

#[test]
fn a_session_is_named_if_there_are_several() {
    let mut desk = Desk::new();
    let error = desk.update("coder", &says(Idle)).unwrap_err();
    assert_eq!(error.to_string(), "coder has no live session");
    desk.start("coder", "a", &Change::default());
    // One that only waits is not meant.
    desk.wait("coder", None, 1);
    desk.update("coder", &says(Idle)).unwrap();
    desk.start("coder", "b", &Change::default());
    let error = desk.update("coder", &says(Idle)).unwrap_err();
    let SessionError::Several { has, .. } = error else { panic!("{error}") };
    assert_eq!(has, ["a", "b"]);
    let error = desk.book.end(&key("coder"), Some("c"), desk.now).unwrap_err();
    assert_eq!(error.to_string(), "coder has no live session \"c\"");
    desk.book.end(&key("coder"), Some("b"), desk.now).unwrap();
    desk.book.end(&key("coder"), None, desk.now).unwrap();
    desk.book.end(&key("coder"), None, desk.now).unwrap_err();
}

#[test]
fn there_are_so_many_sessions_and_no_more() {
    let mut desk = Desk::new();
    for number in 0..SESSIONS_OF_AGENT_MAX {
        desk.start("coder", &number.to_string(), &Change::default());
    }
    let start = |desk: &mut Desk, agent: &str| {
        let change = Change::default();
        desk.book.start(&key(agent), "more".to_owned(), &change, process(1), desk.now)
    };
    let error = start(&mut desk, "coder").unwrap_err();
    assert!(matches!(error, SessionError::TooManyOfAgent { .. }), "{error}");
    assert_eq!(desk.began(&key("coder"), None, 1), None);
    let mut agents = 0;
    let error = loop {
        if let Err(error) = start(&mut desk, &format!("agent{agents}")) {
            break error;
        }
        agents += 1;
    };
    assert!(matches!(error, SessionError::TooMany), "{error}");
    assert_eq!(agents + SESSIONS_OF_AGENT_MAX, SESSIONS_MAX);
    desk.book.end(&key("agent0"), None, desk.now).unwrap();
    start(&mut desk, "agent0").unwrap();
}

#[test]
fn all_sessions_of_an_agent_fit_into_an_event() {
    let mut desk = Desk::new();
    let long = Some("\u{1}".repeat(1000));
    let change = Change { folder: long, ..Change::default() };
    let mut refused = None;
    for number in 0..SESSIONS_OF_AGENT_MAX * 2 {
        let id = "\u{1}".repeat(90) + &number.to_string();
        let full = Change { task: Some("\u{1}".repeat(500)), ..change.clone() };
        if let Err(error) = desk.book.start(&key("coder"), id, &full, process(1), desk.now) {
            refused = Some(error);
            break;
        }
    }
    assert!(matches!(refused, Some(SessionError::TooLarge { .. })), "{refused:?}");
    let json = serde_json::to_vec(&desk.due()[0].sessions).unwrap();
    assert!((150_000..205_000).contains(&json.len()), "{}", json.len());
}

#[test]
fn a_burst_is_told_in_few_batches_and_what_the_log_refuses_later() {
    let mut desk = Desk::new();
    for number in 0..1000 {
        desk.start(&format!("agent{number}"), "s", &Change::default());
    }
    let mut batches = Vec::new();
    loop {
        let due = desk.book.take_due(256, desk.now);
        if due.is_empty() {
            break;
        }
        batches.push(due.len());
        if batches.len() == 1 {
            desk.book.failed(&due, desk.now.at + 60 * SECOND, desk.now);
        } else {
            desk.book.written(&due);
        }
    }
    assert_eq!(batches, [256, 256, 256, 232]);
    assert_eq!(desk.book.next_due(), Some(desk.now.at + 60 * SECOND));
    desk.pass(60 * SECOND);
    assert_eq!(desk.book.take_due(1000, desk.now).len(), 256);
}

#[test]
fn at_a_stop_nothing_is_told() {
    let mut desk = Desk::new();
    desk.start("coder", "s", &Change::default());
    desk.due();
    desk.pass(10 * SECOND);
    desk.book.freeze();
    desk.book.keeper_ended(&key("coder"), "s", 7, desk.now);
    assert!(desk.is_quiet());
}

#[test]
fn what_is_stored_is_what_processes_keep() {
    let mut desk = Desk::new();
    desk.start("coder", "s", &Change::default());
    desk.book.start(&key("coder"), "c".to_owned(), &says(Idle), connection(1), desk.now).unwrap();
    let unsaved = desk.book.take_unsaved();
    let ids: Vec<_> = unsaved[0].sessions.iter().map(|it| it.told.id.as_str()).collect();
    assert_eq!((unsaved.len(), ids), (1, vec!["s"]));
    assert_eq!(desk.book.take_unsaved(), []);
    desk.book.not_saved(unsaved.clone());
    assert_eq!(desk.book.take_unsaved(), unsaved);
    desk.book.end(&key("coder"), Some("s"), desk.now).unwrap();
    assert!(desk.book.take_unsaved()[0].sessions.is_empty());
}

#[test]
fn an_agent_that_is_gone_and_told_so_needs_no_place() {
    let mut desk = Desk::new();
    desk.start("coder", "s", &Change::default());
    desk.due();
    let is_empty = |desk: &Desk| Entry::is_empty(&desk.book.agents[&key("coder")], desk.now.at);
    assert!(!is_empty(&desk));
    desk.pass(10 * SECOND);
    desk.book.end(&key("coder"), None, desk.now).unwrap();
    desk.due();
    assert!(!is_empty(&desk), "its next event has to wait");
    desk.pass(5 * SECOND);
    assert!(is_empty(&desk));
}
