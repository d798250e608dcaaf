//! Which events are of this machine's agents, and ids that two origins have given.

use thrum_api::local::MessageRef;

use super::*;

#[test]
fn readers_from_before_a_reset_stay_and_a_copy_gets_messages_of_its_original() {
    let mut views = Views::new();
    // Written here under the former id.
    let before = [joined(1, there(), "early"), message_to_all(2, there(), "sender")];
    views.write(&before, |_| true);
    // The former id is that of the original machine from here on.
    let after = [
        message_to_all(3, there(), "early"),
        joined(4, here(), "sender"),
        message_to_all(5, there(), "sender"),
        message_to_all(6, daemon(3), "early"),
    ];
    views.digest(&after, start());
    assert_eq!(views.places("early"), (vec![2, 3, 5, 6], vec![2, 3, 5, 6]));
    assert_eq!(views.places("sender").0, [3, 5, 6]);
}

#[test]
fn an_agent_is_of_this_machine_if_its_event_was_written_here_and_not_if_the_event_says_so() {
    let mut views = Views::new();
    // As after the database was lost: a peer brings back what this daemon once wrote.
    let back =
        [joined(1, here(), "waits"), joined(2, here(), "gone"), message_to_all(3, here(), "waits")];
    views.write(&back, |_| false);
    let cursor = views.digest(&[message_to_all(4, there(), "planner")], start());
    assert_eq!(views.last_seen(PROJECT, "waits").unwrap(), None, "so it joins again");
    assert_eq!(views.places("waits").0, Vec::<u64>::new());
    let again = [joined(5, here(), "waits"), message_to_all(6, there(), "planner")];
    let cursor = views.digest(&again, cursor);
    assert!(views.last_seen(PROJECT, "waits").unwrap().is_some());
    // What it wrote is not for itself, also if that comes back later.
    let late = [message_to_all(7, here(), "waits")];
    views.write(&late, |_| false);
    views.digest(&late, cursor);
    assert_eq!(views.places("waits").0, [6]);
    assert_eq!(views.places("gone").0, Vec::<u64>::new());
    assert_eq!(
        views.agents(None, Timestamp::from_millis(0), true).unwrap().len(),
        3,
        "all are listed"
    );
}

/// The same event with another id.
fn with_id(event: SequencedEvent, id: EventId) -> SequencedEvent {
    let mut value: serde_json::Value = serde_json::from_str(event.event.get()).unwrap();
    value["event_id"] = json!(id);
    SequencedEvent { event: serde_json::value::to_raw_value(&value).unwrap(), ..event }
}

/// A message by its id and the daemon that created it.
fn of(origin_daemon: DaemonId, event_id: EventId) -> MessageRef {
    MessageRef { event_id, origin_daemon: Some(origin_daemon) }
}

#[test]
fn messages_of_two_origins_with_one_id_are_two_messages() {
    let mut views = Views::new();
    let (first, second) =
        (message_to(1, there(), "a", &["x", "y"]), message_to(2, daemon(3), "b", &["x"]));
    let second = with_id(second, id(1));
    let to_all = with_id(message_to_all(4, daemon(4), "c"), id(1));
    let cursor = views.digest(&[first.clone(), second.clone()], start());
    assert_eq!(views.places("x"), (vec![1, 2], vec![1, 2]));
    let found = views.log.find([id(1), id(9)]).unwrap();
    let origins: Vec<_> = found[0].iter().map(|event| (event.origin, event.sequence.0)).collect();
    assert_eq!(origins, [(there(), 1), (daemon(3), 2)]);
    assert_eq!(found[1], []);
    views.mark("x", &[of(there(), id(1))]).unwrap();
    assert_eq!(views.places("x"), (vec![1, 2], vec![2]));
    assert_eq!(views.places("y"), (vec![1], vec![1]));
    views.mark("x", &[of(daemon(3), id(1))]).unwrap();
    assert_eq!(views.places("x"), (vec![1, 2], vec![]));
    // Not what comes later under the same id, nor after a rebuild.
    let later = [joined(3, here(), "x"), to_all];
    views.digest(&later, cursor);
    assert_eq!(views.places("x"), (vec![1, 2, 4], vec![4]));
    views.reset().unwrap();
    views.digest(&later, start());
    assert_eq!(views.places("x"), (vec![1, 2, 4], vec![4]));
    views.mark("x", &[of(daemon(4), id(1))]).unwrap();
    assert_eq!(views.places("x"), (vec![1, 2, 4], vec![]));
}

#[test]
fn an_id_alone_marks_one_message_and_never_two() {
    let mut views = Views::new();
    let to_two = message_to(1, there(), "a", &["x", "y"]);
    let to_one = with_id(message_to(2, daemon(3), "b", &["x"]), id(1));
    let to_all = with_id(message_to_all(4, daemon(3), "b"), id(3));
    let events = [
        to_two,
        to_one,
        message_to(3, there(), "a", &["x"]),
        to_all,
        joined(5, here(), "z"),
        message_to(6, there(), "a", &["z"]),
        with_id(message_to_all(7, daemon(3), "b"), id(6)),
    ];
    let cursor = views.digest(&events, start());
    let ambiguous = |outcome: Result<(), AgentsError>| {
        matches!(outcome, Err(AgentsError::AmbiguousId { daemons: 2, .. }))
    };
    // All or none.
    assert!(ambiguous(views.mark("x", &[by_id(id(3)), by_id(id(1))])));
    assert_eq!(views.places("x"), (vec![1, 2, 3], vec![1, 2, 3]));
    // One of them is read: to repeat that marks no other.
    views.mark("x", &[of(there(), id(1))]).unwrap();
    assert!(ambiguous(views.mark("x", &[by_id(id(1))])));
    assert!(ambiguous(views.mark("z", &[by_id(id(6))])), "one of them is to all");
    // What is in no inbox of this name is not meant.
    views.mark("x", &[by_id(id(3))]).unwrap();
    assert_eq!(views.places("x"), (vec![1, 2, 3], vec![2]));
    views.mark("y", &[by_id(id(1))]).unwrap();
    assert_eq!(views.places("y"), (vec![1], vec![]));
    // A daemon may give one id twice; nothing tells such messages apart.
    let again = with_id(message_to(8, daemon(3), "b", &["x"]), id(1));
    views.digest(&[again], cursor);
    views.mark("x", &[of(daemon(3), id(1))]).unwrap();
    assert_eq!(views.places("x"), (vec![1, 2, 3, 8], vec![]));
}

#[test]
fn a_read_mark_is_for_the_message_of_its_origin_alone() {
    let mut views = Views::new();
    // The id was seen elsewhere and used before the message itself arrived.
    let forged = with_id(message_to(1, daemon(3), "b", &["x"]), id(2));
    let cursor = views.digest(&[forged], start());
    views.mark_read("x", &[id(2)]);
    let genuine = [message_to(2, there(), "a", &["x"])];
    views.digest(&genuine, cursor);
    assert_eq!(views.places("x"), (vec![1, 2], vec![2]));
    views.reset().unwrap();
    views.digest(&genuine, start());
    assert_eq!(views.places("x"), (vec![1, 2], vec![2]));
}
