//! Who a message was for, told when groups and agents have changed since.

use thrum_api::event::EventRef;
use thrum_api::local::DeliveryState;

use super::super::reach::Machines;
use super::delivered::{reply, status};
use super::*;

type Told = (String, Option<DaemonId>, DeliveryState);

/// Whom a message was for, and how far it got.
fn told(views: &Views, sequence: u64) -> Vec<Told> {
    let recipients = status(views, sequence, &Machines::default()).recipients;
    let mut told: Vec<Told> =
        recipients.into_iter().map(|it| (it.agent, it.daemon_id, it.state)).collect();
    told.sort_unstable();
    told
}

fn of(agent: &str, daemon: impl Into<Option<DaemonId>>, state: DeliveryState) -> Told {
    (agent.to_owned(), daemon.into(), state)
}

fn removed(sequence: u64, origin: DaemonId, agent: &str) -> SequencedEvent {
    event(sequence, origin, Some(PROJECT), "agent.removed", &json!({ "agent": agent }))
}

/// As if the clock of who wrote it had shown this.
fn at(clock: &str, event: SequencedEvent) -> SequencedEvent {
    let text = event.event.get().replace("0192f3a1b2c3-0004", clock);
    SequencedEvent { event: serde_json::value::RawValue::from_string(text).unwrap(), ..event }
}

fn group(sequence: u64, add: &[&str], remove: &[&str]) -> SequencedEvent {
    let body = json!({ "group": "g", "add": add, "remove": remove });
    event(sequence, there(), Some(PROJECT), "group.changed", &body)
}

#[test]
fn a_message_to_a_group_stays_one_to_those_whom_it_reached() {
    use DeliveryState::{Answered, Read, Stored, There};
    let mut views = Views::new();
    let message = EventRef { event_id: id(9), origin_daemon: here() };
    let events = [
        joined(1, here(), "planner"),
        joined(2, here(), "local"),
        joined(3, there(), "remote"),
        joined(4, there(), "reader"),
        joined(5, daemon(3), "leaver"),
        joined(6, here(), "newcomer"),
        joined(7, there(), "newcomer"),
        group(8, &["planner", "local", "remote", "reader", "leaver", "late", "nobody"], &[]),
        message_to(9, here(), "planner", &["@g"]),
        // Agents that come later, and agents that come to the group later.
        joined(10, here(), "late"),
        joined(11, there(), "late"),
        at("0192f3a1b2c4-0000", group(12, &["newcomer"], &["local", "reader", "leaver"])),
        read_receipt(13, there(), "reader", (here(), &[9])),
        reply(14, daemon(3), "leaver", ("planner", message)),
    ];
    views.digest(&events, start());
    let expected = [
        of("leaver", daemon(3), Answered),
        of("local", here(), There),
        of("nobody", None, Stored),
        of("reader", there(), Read),
        of("remote", there(), Stored),
    ];
    assert_eq!(told(&views, 9), expected);
}

#[test]
fn removing_an_agent_takes_back_nothing_that_it_has_read_or_got() {
    use DeliveryState::{Answered, Read, Stored, There};
    let mut views = Views::new();
    let events = [
        joined(1, here(), "planner"),
        joined(2, there(), "reader"),
        joined(3, there(), "other"),
        joined(4, here(), "local"),
        joined(5, here(), "unread"),
        message_to(6, here(), "planner", &["reader", "other", "local"]),
        message_to_all(7, here(), "planner"),
    ];
    let cursor = views.digest(&events, start());
    views.mark_read("local", &[id(6)]);
    let answered = EventRef { event_id: id(6), origin_daemon: here() };
    let later = [
        read_receipt(8, there(), "reader", (here(), &[6, 7])),
        reply(9, there(), "other", ("planner", answered)),
        removed(10, there(), "reader"),
        removed(11, there(), "other"),
        removed(12, here(), "local"),
        removed(13, here(), "unread"),
        message_to(14, here(), "planner", &["reader"]),
    ];
    let cursor = views.digest(&later, cursor);
    let direct =
        [of("local", here(), Read), of("other", there(), Answered), of("reader", there(), Read)];
    assert_eq!(told(&views, 6), direct);
    let to_all =
        [of("local", here(), There), of("reader", there(), Read), of("unread", here(), There)];
    assert_eq!(told(&views, 7), to_all);
    assert_eq!(told(&views, 14), [of("reader", None, Stored)], "nobody is there who could read it");
    views.digest(&[joined(15, there(), "reader")], cursor);
    assert_eq!(told(&views, 6), direct);
}

#[test]
fn what_was_sent_to_all_while_an_agent_was_removed_is_not_told_to_be_there_for_it() {
    use DeliveryState::There;
    // Whether one page holds it or many.
    for one_by_one in [true, false] {
        let mut views = Views::new();
        let events = [
            joined(1, here(), "planner"),
            joined(2, here(), "coder"),
            joined(3, there(), "remote"),
            message_to_all(4, here(), "planner"),
            removed(5, here(), "coder"),
            removed(6, there(), "remote"),
            message_to_all(7, here(), "planner"),
            joined(8, here(), "coder"),
            joined(9, there(), "remote"),
            message_to_all(10, here(), "planner"),
        ];
        let mut cursor = start();
        for page in events.chunks(if one_by_one { 1 } else { events.len() }) {
            cursor = views.digest(page, cursor);
        }
        assert_eq!(views.places("coder").0, [4, 10]);
        assert_eq!(told(&views, 4), [of("coder", here(), There)]);
        assert_eq!(told(&views, 7), []);
        assert_eq!(told(&views, 10).len(), 2);
    }
}

#[test]
fn what_a_lost_database_held_is_not_told_to_be_there_for_who_is_not_here() {
    let mut views = Views::new();
    // A peer brings back what an agent of this daemon wrote before its database was lost.
    let brought = [joined(1, here(), "lost"), joined(2, here(), "back")];
    views.write(&brought, |_| false);
    let cursor = views.digest(&[message_to_all(3, here(), "planner")], start());
    views.digest(&[joined(4, here(), "back"), message_to_all(5, here(), "planner")], cursor);
    assert_eq!(views.places("back").0, [5]);
    assert_eq!(told(&views, 3), []);
    assert_eq!(told(&views, 5), [of("back", here(), DeliveryState::There)]);
}

#[test]
fn the_answers_of_one_hide_those_of_no_other() {
    let mut views = Views::new();
    let of_it = EventRef { event_id: id(3), origin_daemon: here() };
    let mut events = vec![
        joined(1, there(), "chatty"),
        joined(2, there(), "quiet"),
        message_to(3, here(), "planner", &["chatty", "quiet"]),
    ];
    events.extend((4..=1003).map(|n| reply(n, there(), "chatty", ("planner", of_it))));
    events.push(reply(1004, there(), "quiet", ("planner", of_it)));
    views.rows.execute_batch("BEGIN").unwrap();
    views.write(&events, |origin| origin == here());
    views.rows.execute_batch("COMMIT").unwrap();
    views.digest(&events[1003..], start());
    let status = status(&views, 3, &Machines::default());
    assert_eq!((status.answered, status.total), (2, 2));
    let mut answers: Vec<_> =
        status.recipients.iter().map(|it| it.answer.unwrap().event_id).collect();
    answers.sort_unstable();
    assert_eq!(answers, [id(4), id(1004)]);
}
