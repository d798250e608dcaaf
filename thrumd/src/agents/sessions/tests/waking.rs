//! Which session is woken, and when.

use thrum_api::Sequence;
use thrum_api::event::Reach;
use thrum_api::local::HookPoint;

use super::super::hooks::Hook;
use super::super::room::SessionRoom;
use super::super::waking::{Candidate, MayWake};
use super::*;

impl Desk {
    fn hook(&mut self, id: &str, point: HookPoint, pid: u32) {
        self.hook_with(id, point, pid, false);
    }

    fn hook_with(&mut self, id: &str, point: HookPoint, pid: u32, work: bool) {
        let change = Change { reach: Some(Reach::Wake), ..Change::default() };
        let hook = Hook { point, change: &change, work, at: Sequence(1), room: None };
        let needs = self.book.hook_needs_process(&key("coder"), id, pid);
        let keeper = needs.then(|| process(pid));
        self.book.hook(&key("coder"), id, &hook, keeper, self.now);
        if point == HookPoint::Stop {
            self.stopped(id, false, 1);
        }
    }

    /// A stop has answered or not, with the log at this end.
    fn stopped(&mut self, id: &str, answered: bool, at: u64) {
        self.book.stopped(&key("coder"), id, answered, Sequence(at), self.now);
    }

    fn may_wake(&mut self, id: &str) -> MayWake {
        self.book.may_wake(&key("coder"), id, (Sequence(1), self.now)).unwrap()
    }

    /// In how many seconds a session may be woken, as it is.
    fn seconds(&mut self, id: &str) -> Option<u64> {
        let from = self.may_wake(id).from?;
        Some(from.saturating_duration_since(self.now.at).as_secs())
    }

    fn wakes(&mut self, id: &str, sequence: u64) -> bool {
        let may = self.may_wake(id);
        let candidate = Candidate {
            sequence: Sequence(sequence),
            event_id: thrum_api::EventId::from_ulid(ulid::Ulid::from(u128::from(sequence))),
            from: "planner".to_owned(),
            origin: thrum_api::DaemonId::from_bytes([7; 32]),
            urgent: false,
        };
        let at = (Sequence(1), self.now);
        !self.book.wake(&key("coder"), (id, &may), &[candidate], at).is_empty()
    }
}

#[test]
fn one_that_is_idle_at_once_and_one_that_shows_work_when_it_is_quiet() {
    let mut desk = Desk::new();
    desk.hook("s", HookPoint::Stop, 7);
    assert_eq!((desk.seconds("s"), desk.may_wake("s").only_old), (Some(0), false));
    desk.hook("s", HookPoint::Prompt, 7);
    assert_eq!((desk.seconds("s"), desk.may_wake("s").only_old), (Some(60), true));
    desk.pass(59 * SECOND);
    assert!(!desk.wakes("s", 2));
    desk.pass(SECOND);
    assert!(desk.wakes("s", 2) && !desk.wakes("s", 2));
    let mut desk = Desk::new();
    desk.hook("s", HookPoint::Prompt, 7);
    desk.update("coder", &asks("yes?")).unwrap();
    assert_eq!(desk.seconds("s"), None, "a person is to answer");
}

#[test]
fn one_that_shows_work_only_for_what_is_unread_for_a_while() {
    let mut desk = Desk::new();
    desk.hook("s", HookPoint::Prompt, 7);
    desk.pass(100 * SECOND);
    let seconds = |desk: &mut Desk, oldest| {
        let may = desk.may_wake("s");
        let at = desk.book.ready_at(&key("coder"), &may, Sequence(oldest), desk.now);
        at.map(|at| at.saturating_duration_since(desk.now.at).as_secs())
    };
    assert_eq!(seconds(&mut desk, 2), Some(60));
    desk.pass(20 * SECOND);
    assert_eq!(seconds(&mut desk, 2), Some(40));
    assert_eq!(seconds(&mut desk, 3), Some(60), "that of a process that began later");
    desk.pass(20 * SECOND);
    assert_eq!((seconds(&mut desk, 2), seconds(&mut desk, 3)), (Some(20), Some(40)));
    for oldest in 4..200 {
        seconds(&mut desk, oldest);
    }
    assert_eq!(desk.book.agents[&key("coder")].oldest_wait.len(), 64);
    desk.hook("s", HookPoint::Stop, 7);
    assert_eq!(seconds(&mut desk, 3), Some(0));
    desk.update("coder", &asks("yes?")).unwrap();
    assert_eq!(seconds(&mut desk, 3), None);
}

#[test]
fn nobody_while_another_one_works_or_waits_or_wakes_up() {
    let mut desk = Desk::new();
    desk.hook("s", HookPoint::Stop, 7);
    desk.hook("t", HookPoint::Step, 8);
    assert_eq!((desk.seconds("s"), desk.may_wake("s").only_old), (Some(60), true));
    desk.hook("t", HookPoint::Stop, 8);
    assert_eq!(desk.seconds("s"), Some(0));
    let id = desk.wait("coder", Some("t"), 1);
    assert_eq!((desk.seconds("s"), desk.seconds("t")), (None, None));
    desk.wait_ends("coder", &id);
    assert!(desk.wakes("t", 2));
    assert_eq!((desk.seconds("s"), desk.seconds("t")), (Some(30), Some(600)));
    desk.pass(30 * SECOND);
    assert!(!desk.wakes("s", 2), "one of the agent was woken for it");
    assert!(desk.wakes("s", 3));
    desk.hook("s", HookPoint::Stop, 7);
    assert_eq!((desk.seconds("s"), desk.seconds("t")), (Some(0), Some(570)), "it has woken up");
}

#[test]
fn a_tool_that_ends_a_session_to_begin_another_one_wakes_the_new_one() {
    let mut desk = Desk::new();
    desk.hook("before", HookPoint::Stop, 7);
    desk.hook("before", HookPoint::SessionEnd, 7);
    assert_eq!(desk.seconds("before"), None);
    desk.hook("other", HookPoint::Stop, 8);
    assert_eq!(desk.seconds("before"), None, "that is another tool");
    desk.hook("after", HookPoint::SessionStart, 7);
    assert_eq!(desk.may_wake("before").id, "after");
    assert!(desk.wakes("before", 2));
    assert!(desk.book.may_wake(&key("coder"), "never", (Sequence(1), desk.now)).is_err());
}

#[test]
fn a_program_that_woke_a_session_wakes_the_one_that_follows_it() {
    for closes in [false, true] {
        let mut desk = Desk::new();
        let hook = |desk: &mut Desk, id: &str, point| {
            let change = Change::default();
            let hook = Hook { point, change: &change, work: false, at: Sequence(1), room: None };
            let keeper = desk.book.hook_needs_process(&key("coder"), id, 7).then(|| process(7));
            desk.book.hook(&key("coder"), id, &hook, keeper, desk.now);
        };
        hook(&mut desk, "before", HookPoint::SessionStart);
        let at = (Sequence(1), desk.now);
        desk.book.join(&key("coder"), Some("before"), None, Some(Reach::Wake), at).unwrap();
        desk.book.wakes(&key("coder"), "before", 5);
        hook(&mut desk, "before", HookPoint::SessionEnd);
        if closes {
            desk.book.wakes_no_more(&key("coder"), "before", 5, desk.now);
        }
        hook(&mut desk, "after", HookPoint::SessionStart);
        let reach = |desk: &Desk| desk.book.reach(&key("coder")).flatten();
        assert_eq!(reach(&desk), Some(if closes { Reach::Hooks } else { Reach::Wake }));
        let wakers = desk.book.agents[&key("coder")].sessions["after"].turn.wakers.len();
        assert_eq!(wakers, usize::from(!closes));
        desk.book.wakes_no_more(&key("coder"), "before", 5, desk.now);
        assert_eq!(reach(&desk), Some(Reach::Hooks));
    }
}

#[test]
fn one_that_a_connection_of_a_container_keeps_gets_the_id_of_each_session_of_the_tool() {
    let rooms = [(); 2].map(|()| SessionRoom::of_narrow_socket());
    let mut desk = Desk::new();
    let hook = |desk: &mut Desk, id: &str, point, room| {
        let change = Change::default();
        let hook = Hook { point, change: &change, work: false, at: Sequence(1), room: Some(room) };
        desk.book.hook(&key("coder"), id, &hook, None, desk.now);
        states(&desk.book.shown(None).agents[&key("coder")].sessions)
    };
    let [room, other] = &rooms;
    let keeper = Keeper { room: Some(room.clone()), ..connection(1) };
    desk.book
        .start(&key("coder"), "mcp".to_owned(), &says(SessionState::Idle), keeper, desk.now)
        .unwrap();
    desk.book.is_unnamed(&key("coder"), "mcp");
    assert_eq!(hook(&mut desk, "a", HookPoint::Prompt, other), ["mcp idle"]);
    assert_eq!(hook(&mut desk, "a", HookPoint::Prompt, room), ["a working"]);
    assert_eq!(hook(&mut desk, "a", HookPoint::SessionEnd, room), ["a idle"]);
    assert_eq!(desk.seconds("mcp"), None);
    assert_eq!(hook(&mut desk, "a", HookPoint::Prompt, room), ["a working"]);
    hook(&mut desk, "a", HookPoint::SessionEnd, room);
    assert_eq!(hook(&mut desk, "b", HookPoint::SessionStart, room), ["b idle"]);
    assert_eq!((desk.may_wake("mcp").id.as_str(), desk.seconds("mcp")), ("b", Some(0)));
    assert_eq!(
        hook(&mut desk, "c", HookPoint::Prompt, room),
        ["b idle"],
        "that is another session"
    );
    hook(&mut desk, "b", HookPoint::SessionEnd, room);
    let keeper = Keeper { room: Some(room.clone()), ..connection(2) };
    desk.book
        .start(&key("coder"), "two".to_owned(), &says(SessionState::Idle), keeper, desk.now)
        .unwrap();
    desk.book.is_unnamed(&key("coder"), "two");
    assert_eq!(
        hook(&mut desk, "d", HookPoint::Prompt, room),
        ["b idle", "two idle"],
        "which is unclear"
    );
}

#[test]
fn a_question_ends_with_a_prompt_or_work_and_not_with_the_turn() {
    for (point, work, ends) in [
        (HookPoint::Step, false, false),
        (HookPoint::Stop, false, false),
        (HookPoint::Step, true, true),
        (HookPoint::Prompt, false, true),
    ] {
        let mut desk = Desk::new();
        desk.hook("s", HookPoint::Prompt, 7);
        desk.update("coder", &asks("yes?")).unwrap();
        desk.hook_with("s", point, 7, work);
        let told = desk.book.shown(None).agents.remove(&key("coder")).unwrap().sessions.remove(0);
        assert_eq!(told.question.is_none(), ends, "{point:?} {work}");
    }
}

#[test]
fn a_stop_whose_hook_runs_twice_goes_on_and_a_later_one_ends() {
    let mut desk = Desk::new();
    let shown = |desk: &Desk| states(&desk.book.shown(None).agents[&key("coder")].sessions);
    desk.hook("s", HookPoint::Prompt, 7);
    desk.stopped("s", true, 1);
    desk.hook("s", HookPoint::Stop, 7);
    let turn = &desk.book.agents[&key("coder")].sessions["s"].turn;
    assert_eq!((shown(&desk), turn.stops), (vec!["s working".to_owned()], 1));
    // The model has answered without a step.
    desk.pass(2 * SECOND);
    desk.hook("s", HookPoint::Stop, 7);
    assert_eq!(shown(&desk), ["s idle"]);
    desk.stopped("s", true, 1);
    desk.hook("s", HookPoint::Step, 7);
    desk.hook("s", HookPoint::Stop, 7);
    assert_eq!(shown(&desk), ["s idle"]);
}

#[test]
fn one_that_a_person_interrupts_and_one_that_has_gone_on_too_often_only_for_what_is_newer() {
    let mut desk = Desk::new();
    desk.hook("s", HookPoint::Prompt, 7);
    let change = Change::default();
    let hook = Hook {
        point: HookPoint::Interrupt,
        change: &change,
        work: false,
        at: Sequence(5),
        room: None,
    };
    desk.book.hook(&key("coder"), "s", &hook, None, desk.now);
    assert!(!desk.wakes("s", 6), "a person stopped it");
    desk.hook("s", HookPoint::Prompt, 7);
    desk.stopped("s", false, 7);
    assert!(!desk.wakes("s", 5) && desk.wakes("s", 6));
    desk.hook("s", HookPoint::Prompt, 7);
    for _ in 0..3 {
        desk.stopped("s", true, 7);
        desk.hook("s", HookPoint::Step, 7);
    }
    desk.stopped("s", false, 9);
    assert!(!desk.wakes("s", 9) && desk.wakes("s", 10));
    desk.hook_with("s", HookPoint::Prompt, 7, true);
    desk.stopped("s", false, 11);
    assert!(desk.wakes("s", 11), "it came while the hook ran");
}

#[test]
fn one_without_an_id_of_its_tool_not_until_it_has_one() {
    let mut desk = Desk::new();
    let wake = Change { reach: Some(Reach::Wake), ..says(SessionState::Idle) };
    desk.start("coder", "s", &wake);
    desk.book.is_unnamed(&key("coder"), "s");
    let reach = |desk: &Desk| desk.book.reach(&key("coder")).flatten();
    assert_eq!((desk.seconds("s"), reach(&desk)), (None, Some(Reach::Hooks)));
    desk.hook("other", HookPoint::Stop, 8);
    assert_eq!(desk.seconds("other"), Some(0));
    desk.hook("other", HookPoint::SessionEnd, 8);
    let at = (Sequence(1), desk.now);
    desk.book.join(&key("coder"), Some("of the tool"), Some(7), None, at).unwrap();
    assert_eq!((desk.may_wake("s").id.as_str(), desk.seconds("s")), ("of the tool", Some(0)));
    let told = desk.due().remove(0).sessions;
    assert_eq!((told[0].id.as_str(), told[0].reach), ("of the tool", Some(Reach::Wake)));
}

#[test]
fn one_that_does_not_react_not_again_for_a_while() {
    let mut desk = Desk::new();
    desk.hook("s", HookPoint::Stop, 7);
    assert!(desk.wakes("s", 2));
    desk.pass(599 * SECOND);
    assert!(!desk.wakes("s", 3));
    let version = desk.book.version(&key("coder"));
    desk.pass(SECOND);
    assert!(desk.wakes("s", 3) && !desk.wakes("s", 4));
    desk.book.has_woken_up(&key("coder"), "s");
    assert_ne!(desk.book.version(&key("coder")), version, "who waits to wake it looks again");
    assert!(desk.wakes("s", 4));
    desk.hook("s", HookPoint::Stop, 7);
    assert!(desk.wakes("s", 5));
}

#[test]
fn sessions_that_nothing_keeps_and_pending_messages_are_so_many_and_no_more() {
    let mut desk = Desk::new();
    let change = Change::default();
    for number in 0..100 {
        let hook = Hook {
            point: HookPoint::Step,
            change: &change,
            work: false,
            at: Sequence(1),
            room: None,
        };
        desk.book.hook(&key("coder"), &number.to_string(), &hook, None, desk.now);
        desk.pass(SECOND);
    }
    let strangers = &desk.book.agents[&key("coder")].strangers;
    assert_eq!((strangers.len(), strangers.contains_key("35")), (64, false), "the newest");
    for id in ["s", "t"] {
        desk.hook(id, HookPoint::Prompt, 7);
    }
    for sequence in 1..=300 {
        let new = [Sequence(sequence)].into();
        desk.book.was_shown(&key("coder"), "s", &new, &new);
    }
    let pending = desk.book.pending(&key("coder"), "t");
    assert_eq!((pending.len(), pending.first()), (256, Some(&Sequence(45))));
    assert!(desk.book.pending(&key("coder"), "s").is_empty());
}
