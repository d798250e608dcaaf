//! What is told after a restart.

use std::collections::BTreeSet;

use super::super::live::KeptInfo;
use super::super::restart::Told;
use super::*;
use SessionState::{Idle, Waiting, Working};
use thrum_api::Sequence;
use thrum_api::event::Reach;

/// A book of a daemon that starts, after this one was killed.
fn restarted(desk: &mut Desk, dead: &[&str]) -> Desk {
    let agents = std::mem::take(&mut desk.book.agents);
    let mut book = Book::starting(desk.now.at);
    let mut told = Vec::new();
    let mut gone = BTreeSet::new();
    for (key, entry) in agents {
        told.push(Told { key: key.clone(), at: desk.now.wall, sessions: entry.written });
        for live in entry.sessions.into_values() {
            let Some(process) = live.keeper.process else { continue };
            if dead.contains(&live.told.id.as_str()) {
                gone.insert((key.clone(), live.told.id));
            } else {
                let (keeper, unnamed) = (super::process(process.pid), live.turn.unnamed);
                book.restore(&key, KeptInfo { told: live.told, process, unnamed }, keeper);
            }
        }
    }
    assert_eq!(book.next_due(), None, "it is unknown what others know");
    book.told_before(told, &gone, desk.now);
    Desk { book, now: desk.now, waits: Vec::new() }
}

fn mcp(desk: &mut Desk, change: &Change) {
    let started = desk.book.start(&key("coder"), "mcp".to_owned(), change, connection(1), desk.now);
    started.unwrap();
}

#[test]
fn nothing_that_did_not_change_is_told() {
    let mut desk = Desk::new();
    desk.start("coder", "s", &says(Idle));
    mcp(&mut desk, &Change::default());
    desk.wait("coder", None, 2);
    desk.wait("coder", Some("s"), 3);
    assert_eq!(desk.told(), ["mcp working", "s waiting", "wait-1 waiting"]);
    let mut again = restarted(&mut desk, &[]);
    again.pass(5 * SECOND);
    assert_eq!(again.due(), []);
    // The clients come back, in any order.
    assert_eq!(again.wait("coder", Some("s"), 7), "s");
    mcp(&mut again, &Change::default());
    assert_eq!(again.wait("coder", None, 8), "wait-1");
    assert_eq!(again.due(), []);
    again.pass(5 * SECOND);
    assert!(again.is_quiet());
    assert_eq!(again.book.count, 3);
}

#[test]
fn what_does_not_come_back_is_gone_after_a_while() {
    let mut desk = Desk::new();
    desk.start("coder", "s", &Change::default());
    mcp(&mut desk, &Change::default());
    desk.wait("coder", Some("s"), 3);
    desk.due();
    let mut again = restarted(&mut desk, &[]);
    again.pass(9 * SECOND);
    assert_eq!(again.due(), []);
    again.pass(SECOND);
    assert_eq!(again.told(), ["s working"]);
    assert!(again.is_quiet());
}

#[test]
fn a_process_that_ended_meanwhile_is_told_to_be_gone_as_soon_as_it_may() {
    let mut desk = Desk::new();
    desk.start("coder", "s", &Change::default());
    desk.due();
    desk.pass(SECOND);
    let mut again = restarted(&mut desk, &["s"]);
    assert_eq!(again.due(), []);
    again.pass(5 * SECOND);
    assert_eq!(again.due(), [Due { key: key("coder"), sessions: Vec::new() }]);
    assert!(again.is_quiet());
}

#[test]
fn one_that_comes_back_only_to_wait_is_gone_with_that_wait() {
    let mut desk = Desk::new();
    mcp(&mut desk, &says(Working));
    desk.due();
    let mut again = restarted(&mut desk, &[]);
    assert_eq!(again.wait("coder", Some("mcp"), 5), "mcp");
    again.pass(20 * SECOND);
    assert_eq!(again.told(), ["mcp waiting"]);
    again.wait_ends("coder", "mcp");
    again.pass(5 * SECOND);
    assert_eq!(again.due().len(), 1);
    assert!(again.is_quiet() && again.book.count == 0);
}

#[test]
fn without_stored_sessions_agents_go_on_as_new() {
    let mut desk = Desk::new();
    desk.start("coder", "s", &Change::default());
    let told = Told { key: key("coder"), at: desk.now.wall, sessions: Vec::new() };
    let told = Told { sessions: desk.due().remove(0).sessions, ..told };
    let mut book = Book::starting(desk.now.at);
    book.told_before(vec![told], &BTreeSet::new(), desk.now);
    let mut again = Desk { book, now: desk.now, waits: Vec::new() };
    again.start("coder", "s", &Change::default());
    again.pass(10 * SECOND);
    assert!(again.is_quiet(), "it was started again in time");
    again.book.update(&key("coder"), Some("s"), &says(Waiting), again.now).unwrap();
    assert_eq!(again.told(), ["s waiting"]);
}

#[test]
fn a_clock_that_was_set_holds_nothing_up() {
    let now = Now { at: Instant::now(), wall: Timestamp::from_millis(1_000_000) };
    let mut book = Book::starting(now.at);
    let days = 2 * 24 * 3600 * 1000;
    for (agent, at) in [("ahead", 1_000_000 + days), ("behind", 1_000_000 - days)] {
        book.start(&key(agent), "s".to_owned(), &Change::default(), process(1), now).unwrap();
        let at = Timestamp::from_millis(at);
        book.told_before(
            vec![Told { key: key(agent), at, sessions: Vec::new() }],
            &BTreeSet::new(),
            now,
        );
    }
    let mut desk = Desk { book, now, waits: Vec::new() };
    assert_eq!(desk.due().len(), 1);
    desk.pass(5 * SECOND);
    assert_eq!(desk.due().len(), 1);
}

#[test]
fn one_that_a_program_woke_is_shown_so_until_it_does_not_come_back() {
    for comes_back in [true, false] {
        let mut desk = Desk::new();
        desk.start("coder", "s", &Change { reach: Some(Reach::Wake), ..says(Idle) });
        desk.book.take_part(&key("coder"), "s", Sequence(9));
        desk.due();
        let mut again = restarted(&mut desk, &[]);
        let may = again.book.may_wake(&key("coder"), "s", (Sequence(9), again.now)).unwrap();
        assert_eq!(may.after, Sequence(0), "unread is unread");
        again.pass(9 * SECOND);
        if comes_back {
            again.book.wakes(&key("coder"), "s", 5);
        }
        assert_eq!(again.due(), []);
        again.pass(SECOND);
        let told: Vec<_> = again.due().into_iter().map(|due| due.sessions[0].reach).collect();
        assert_eq!(told, if comes_back { vec![] } else { vec![Some(Reach::Hooks)] });
        assert!(again.is_quiet());
    }
}

#[test]
fn one_without_an_id_of_its_tool_gets_it_after_the_restart() {
    let mut desk = Desk::new();
    desk.start("coder", "s", &says(Idle));
    desk.start("coder", "t", &says(Idle));
    desk.book.is_unnamed(&key("coder"), "s");
    let kept = desk.book.take_unsaved().remove(0).sessions;
    assert_eq!(kept.iter().map(|it| it.unnamed).collect::<Vec<_>>(), [true, false]);
    let mut again = restarted(&mut desk, &[]);
    let at = (Sequence(1), again.now);
    let joined = again.book.join(&key("coder"), Some("of the tool"), Some(7), None, at).unwrap();
    assert_eq!((joined.id.as_str(), again.book.count), ("of the tool", 2));
    assert_eq!(again.book.id_of(&key("coder"), "s"), "of the tool");
}
