//! The views as tables: events in, answers out, without a log.

use std::collections::BTreeMap;

use arbtest::arbitrary::{Result, Unstructured};
use serde_json::json;
use thrum_api::limits::RECIPIENTS_MAX;
use thrum_api::{EventId, SequencedEvent};

use super::super::inbox::QUERIES;
use super::super::store::Store;
use super::*;

#[test]
fn a_message_reaches_each_recipient_once_and_nobody_else() {
    let (_directory, mut store) = new_store();
    let events = [
        joined(1, there(), "reviewer"),
        message_to(2, there(), "planner", &["coder", "coder", "reviewer"]),
        message_to(3, here(), "coder", &["coder"]),
    ];
    store.digest(&events, start()).unwrap();
    assert_eq!(places(&store, "coder"), (vec![2, 3], vec![2, 3]));
    assert_eq!(places(&store, "reviewer"), (vec![2], vec![2]));
    assert_eq!(places(&store, "planner").0, Vec::<u64>::new());
    let inbox = store.inbox(&query("coder", Some(PROJECT))).unwrap();
    assert_eq!(inbox.messages[0].to, ["coder", "reviewer"]);
    assert_eq!(inbox.messages[0].origin_daemon, there());
    assert_eq!(inbox.messages[0].text, "number 2");
}

#[test]
fn a_message_to_too_many_is_skipped_and_recipients_count_for_the_size_of_an_answer() {
    let (_directory, mut store) = new_store();
    let names = |count: usize| -> Vec<String> {
        (0..count).map(|n| format!("{n}{}", "x".repeat(60))).collect()
    };
    let to = |sequence, count| {
        let names = names(count);
        let names: Vec<&str> =
            std::iter::once("coder").chain(names.iter().map(String::as_str)).collect();
        message_to(sequence, there(), "planner", &names)
    };
    store.digest(&[to(1, RECIPIENTS_MAX)], start()).unwrap();
    assert_eq!(undigested(&store), 1);
    let many: Vec<_> = (2..=1201).map(|sequence| to(sequence, RECIPIENTS_MAX - 1)).collect();
    store.digest(&many, start()).unwrap();
    assert_eq!(undigested(&store), 1);
    let all = InboxQuery { limit: usize::MAX, ..query("coder", Some(PROJECT)) };
    let inbox = store.inbox(&all).unwrap();
    let bytes = serde_json::to_vec(&inbox).unwrap().len();
    assert_eq!(inbox.unread, 1200);
    assert!((3_000_000..6_000_000).contains(&bytes), "{bytes}");
    assert_eq!(inbox.messages[0].sequence.0, 2);
}

#[test]
fn a_reason_is_short_whatever_is_wrong() {
    let (_directory, mut store) = new_store();
    let body = json!({ "from": "planner", "to": "x".repeat(100_000), "text": "t" });
    let wrong = event(1, there(), Some(PROJECT), "message.sent", &body);
    store.digest(&[wrong], start()).unwrap();
    assert_eq!(undigested(&store), 1);
    let reason: String =
        store.connection.query_row("SELECT reason FROM skipped", [], |row| row.get(0)).unwrap();
    assert!(reason.starts_with("its body is not of its type") && reason.len() < 300, "{reason}");
}

#[test]
fn a_message_to_all_reaches_those_who_joined_here_before_it_but_not_its_sender() {
    let (_directory, mut store) = new_store();
    let events = [
        joined(1, here(), "early"),
        joined(2, there(), "remote"),
        message_to_all(3, here(), "sender"),
        joined(4, here(), "late"),
        message_to_all(5, there(), "sender"),
    ];
    store.digest(&events, start()).unwrap();
    assert_eq!(places(&store, "early").0, [3, 5]);
    assert_eq!(places(&store, "late").0, [5]);
    // The same name on two daemons is two agents.
    assert_eq!(places(&store, "sender").0, [5]);
    assert_eq!(places(&store, "remote").0, Vec::<u64>::new());
}

#[test]
fn readers_from_before_a_reset_stay_and_a_copy_gets_messages_of_its_original() {
    let (_directory, mut store) = new_store();
    store.former = vec![there()];
    let events = [
        joined(1, there(), "early"),
        message_to_all(2, there(), "sender"),
        message_to_all(3, there(), "early"),
        joined(4, here(), "sender"),
        message_to_all(5, there(), "sender"),
        message_to_all(6, daemon(3), "early"),
    ];
    store.digest(&events, start()).unwrap();
    assert_eq!(places(&store, "early"), (vec![2, 5, 6], vec![2, 5, 6]));
    // Here it has the new id; the writer under the former id is on the other machine.
    assert_eq!(places(&store, "sender").0, [3, 5, 6]);
}

#[test]
fn the_oldest_unread_come_first_and_read_ones_while_they_fit() {
    let (_directory, mut store) = new_store();
    let events: Vec<_> = (1..=10).map(|n| message_to(n, there(), "planner", &["coder"])).collect();
    store.digest(&events, start()).unwrap();
    store.mark_read("coder", &[1, 2, 3, 4, 5].map(id)).unwrap();
    let limited = |limit, unread_only| {
        let query = InboxQuery { limit, unread_only, ..query("coder", Some(PROJECT)) };
        let inbox = store.inbox(&query).unwrap();
        inbox.messages.iter().map(|message| message.sequence.0).collect::<Vec<_>>()
    };
    assert_eq!(limited(3, false), [6, 7, 8]);
    assert_eq!(limited(7, false), [4, 5, 6, 7, 8, 9, 10]);
    assert_eq!(limited(7, true), [6, 7, 8, 9, 10]);
    let read = InboxQuery { limit: 2, read_only: true, ..query("coder", Some(PROJECT)) };
    let read = store.inbox(&read).unwrap().messages;
    assert_eq!(read.iter().map(|message| message.sequence.0).collect::<Vec<_>>(), [4, 5]);
}

#[test]
fn other_projects_are_counted_apart_and_shown_when_all_are_asked_for() {
    let (_directory, mut store) = new_store();
    let body = json!({ "from": "planner", "to": ["coder"], "text": "hello" });
    let events = [
        event(1, there(), Some("other"), "message.sent", &body),
        event(2, there(), None, "message.sent", &body),
        message_to(3, there(), "planner", &["coder"]),
    ];
    store.digest(&events, start()).unwrap();
    let here = store.inbox(&query("coder", Some(PROJECT))).unwrap();
    assert_eq!((here.messages.len(), here.unread, here.unread_elsewhere), (1, 1, 2));
    let all = store.inbox(&query("coder", None)).unwrap();
    assert_eq!((all.messages.len(), all.unread, all.unread_elsewhere), (3, 3, 0));
    assert_eq!(all.messages[1].project, None);
    let oldest = InboxQuery { limit: 1, unread_only: true, ..query("coder", None) };
    let oldest = store.oldest_unread(&oldest).unwrap();
    assert_eq!(oldest.messages[0].project.as_deref(), Some("other"));
    assert_eq!((oldest.messages.len(), oldest.left), (1, 2));
}

#[test]
fn marking_read_touches_only_what_the_reader_has_and_writes_once() {
    let (_directory, mut store) = new_store();
    let events = [message_to(1, there(), "a", &["x", "y"]), message_to(2, there(), "a", &["x"])];
    store.digest(&events, start()).unwrap();
    store.mark_read("x", &[1, 1, 99].map(id)).unwrap();
    store.mark_read("y", &[2].map(id)).unwrap();
    assert_eq!(places(&store, "x").1, [2]);
    assert_eq!(places(&store, "y").1, [1]);
    let before = store_changes(&store);
    store.mark_read("x", &[1, 99].map(id)).unwrap();
    assert_eq!(store_changes(&store), before, "nothing is new, so nothing is written");
}

fn store_changes(store: &Store) -> u64 {
    store.connection.total_changes()
}

#[test]
fn undigestible_events_are_skipped_and_counted() {
    let (_directory, mut store) = new_store();
    let message = |n, body| event(n, there(), Some(PROJECT), "message.sent", &body);
    let events = [
        message(1, json!("text")),
        message(2, json!({ "from": "a b", "to": ["x"], "text": "" })),
        message(3, json!({ "from": "a", "text": "for nobody" })),
        message(4, json!({ "from": "a", "to": [7], "text": "" })),
        event(5, there(), Some(PROJECT), "agent.joined", &json!(null)),
        event(6, there(), Some("a\nb"), "agent.joined", &json!({ "agent": "a" })),
        event(7, there(), Some(PROJECT), "lease.taken", &json!("a later version knows")),
        message_to(8, there(), "a", &["x"]),
    ];
    let (cursor, _) = store.digest(&events, start()).unwrap();
    assert_eq!((undigested(&store), cursor.position.sequence), (6, Sequence(8)));
    assert_eq!(places(&store, "x").0, [8]);
}

#[test]
fn no_query_of_a_reader_reads_more_when_the_log_is_longer() {
    let (_directory, store) = new_store();
    for query in QUERIES {
        let mut plan = store.connection.prepare(&format!("EXPLAIN QUERY PLAN {query}")).unwrap();
        let holes = vec![rusqlite::types::Null; plan.parameter_count()];
        let steps: Vec<String> = plan
            .query_map(rusqlite::params_from_iter(holes), |row| row.get(3))
            .unwrap()
            .collect::<rusqlite::Result<_>>()
            .unwrap();
        for step in &steps {
            let constant = step == "SCAN CONSTANT ROW";
            assert!(constant || !step.contains("SCAN"), "{query}: {steps:?}");
            assert!(!step.contains("TEMP B-TREE"), "{query}: {steps:?}");
        }
    }
}

#[test]
fn an_answer_ends_before_it_is_too_large() {
    let (_directory, mut store) = new_store();
    let text = "x".repeat(200 * 1024);
    let body = json!({ "from": "a", "to": ["x"], "text": text });
    let events: Vec<_> =
        (1..=30).map(|n| event(n, there(), Some(PROJECT), "message.sent", &body)).collect();
    store.digest(&events, start()).unwrap();
    let inbox = store.inbox(&query("x", Some(PROJECT))).unwrap();
    assert_eq!((inbox.messages.len(), inbox.unread), (20, 30));
    assert_eq!(inbox.messages[0].sequence, Sequence(1));
}

#[test]
fn a_file_of_another_version_keeps_its_read_marks() {
    let directory = tempfile::tempdir().unwrap();
    let events = [message_to(1, there(), "a", &["x"]), message_to(2, there(), "a", &["x"])];
    let mut first = store(directory.path());
    first.digest(&events, start()).unwrap();
    first.mark_read("x", &[id(1)]).unwrap();
    first.connection.pragma_update(None, "user_version", 99).unwrap();
    first.connection.execute_batch("DROP TABLE inbox").unwrap();
    drop(first);
    let mut second = store(directory.path());
    assert_eq!(second.cursor().unwrap(), None);
    second.digest(&events, start()).unwrap();
    assert_eq!(places(&second, "x"), (vec![1, 2], vec![2]));
}

/// The answers to all queries of a reader, for each name.
fn answers(store: &Store) -> BTreeMap<String, String> {
    let names = ["a", "b", "c"];
    let mut answers = BTreeMap::new();
    for name in names {
        for project in [Some(PROJECT), None] {
            let inbox = store.inbox(&query(name, project)).unwrap();
            let unread = inbox.messages.iter().filter(|message| !message.read).count();
            assert_eq!(inbox.unread, unread as u64);
            answers.insert(format!("{name} {project:?}"), format!("{inbox:?}"));
        }
    }
    answers.insert("agents".to_owned(), format!("{:?}", store.agents(None).unwrap()));
    answers.insert("skipped".to_owned(), undigested(store).to_string());
    answers
}

fn drawn(u: &mut Unstructured<'_>, sequence: u64) -> Result<SequencedEvent> {
    let names = ["a", "b", "c", "not a name"];
    let origin = *u.choose(&[here(), there()])?;
    let project = *u.choose(&[Some(PROJECT), Some("other"), None])?;
    let (event_type, body) = match u.int_in_range(0..=3)? {
        0 => ("agent.joined", json!({ "agent": u.choose(&names)? })),
        1 => ("message.sent", json!({ "from": u.choose(&names)?, "all": true, "text": "t" })),
        2 => (
            "message.sent",
            json!({
            "from": u.choose(&names)?, "to": [u.choose(&names)?, u.choose(&names)?], "text": "t" }),
        ),
        _ => ("unknown", json!(sequence)),
    };
    Ok(event(sequence, origin, project, event_type, &body))
}

#[test]
fn rebuilt_views_equal_those_that_grew() {
    arbtest::arbtest(|u| {
        let directory = tempfile::tempdir().unwrap();
        let mut grown = store(directory.path());
        let count = u.int_in_range(1..=24)?;
        let events = (1..=count).map(|n| drawn(u, n)).collect::<Result<Vec<_>>>()?;
        let mut cursor = start();
        let mut rest = events.as_slice();
        while !rest.is_empty() {
            let (page, later) = rest.split_at(u.int_in_range(1..=rest.len())?);
            cursor = grown.digest(page, cursor).unwrap().0;
            rest = later;
            let read: Vec<EventId> = (0..u.int_in_range(0..=2)?)
                .map(|_| Ok(id(u.int_in_range(1..=count)?)))
                .collect::<Result<_>>()?;
            grown.mark_read(u.choose(&["a", "b"])?, &read).unwrap();
        }
        let before = answers(&grown);
        grown.reset().unwrap();
        grown.digest(&events, start()).unwrap();
        assert_eq!(answers(&grown), before);
        Ok(())
    })
    .budget_ms(2_000);
}
