//! Which events are of this machine's agents, and ids that two origins have given.

use thrum_api::Timestamp;

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
    assert_eq!(views.agents(None, Timestamp::from_millis(0)).unwrap().len(), 3, "all are listed");
}

/// The same event with another id.
fn with_id(event: SequencedEvent, id: EventId) -> SequencedEvent {
    let mut value: serde_json::Value = serde_json::from_str(event.event.get()).unwrap();
    value["event_id"] = json!(id);
    SequencedEvent { event: serde_json::value::to_raw_value(&value).unwrap(), ..event }
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
    // Whoever marks the id read means all that have it.
    let found = views.log.find(&[id(1)]).unwrap();
    let origins: Vec<_> = found.iter().map(|event| (event.origin, event.sequence.0)).collect();
    assert_eq!(origins, [(there(), 1), (daemon(3), 2)]);
    views.mark_read("x", &[id(1)]);
    assert_eq!(views.places("x"), (vec![1, 2], vec![]));
    assert_eq!(views.places("y"), (vec![1], vec![1]));
    // Not what comes later under the same id, nor after a rebuild.
    let later = [joined(3, here(), "x"), to_all];
    views.digest(&later, cursor);
    assert_eq!(views.places("x"), (vec![1, 2, 4], vec![4]));
    views.reset().unwrap();
    views.digest(&later, start());
    assert_eq!(views.places("x"), (vec![1, 2, 4], vec![4]));
    views.mark_read("x", &[id(1)]);
    assert_eq!(views.places("x"), (vec![1, 2, 4], vec![]));
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
