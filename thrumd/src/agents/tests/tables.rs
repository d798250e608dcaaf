//! The views as tables: events in, answers out, without a log.

use std::collections::BTreeMap;

use arbtest::arbitrary::{Result, Unstructured};
use serde_json::json;
use thrum_api::limits::RECIPIENTS_MAX;
use thrum_api::{EventId, SequencedEvent};

use super::super::{
    bitmaps, broadcasts, conversation, delivery, digest, directory, filter, finding, groups, inbox,
    presence, reading, recipients, seen,
};
use super::*;

#[test]
fn a_message_reaches_each_recipient_once_and_nobody_else() {
    let mut views = Views::new();
    let events = [
        joined(1, there(), "reviewer"),
        message_to(2, there(), "planner", &["coder", "coder", "reviewer"]),
        message_to(3, here(), "coder", &["coder"]),
    ];
    views.digest(&events, start());
    assert_eq!(views.places("coder"), (vec![2, 3], vec![2, 3]));
    assert_eq!(views.places("reviewer"), (vec![2], vec![2]));
    assert_eq!(views.places("planner").0, Vec::<u64>::new());
    let inbox = views.inbox(&query("coder", Some(PROJECT)));
    assert_eq!(inbox.messages[0].to, ["coder", "reviewer"]);
    assert_eq!(inbox.messages[0].origin_daemon, there());
    assert_eq!(inbox.messages[0].text, "number 2");
}

#[test]
fn a_message_to_too_many_is_skipped_and_recipients_count_for_the_size_of_an_answer() {
    let mut views = Views::new();
    let names = |count: usize| -> Vec<String> {
        (0..count).map(|n| format!("{n}{}", "x".repeat(60))).collect()
    };
    let to = |sequence, count| {
        let names = names(count);
        let names: Vec<&str> =
            std::iter::once("coder").chain(names.iter().map(String::as_str)).collect();
        message_to(sequence, there(), "planner", &names)
    };
    views.digest(&[to(1, RECIPIENTS_MAX)], start());
    assert_eq!(undigested(&views), 1);
    let many: Vec<_> = (2..=1201).map(|sequence| to(sequence, RECIPIENTS_MAX - 1)).collect();
    views.digest(&many, start());
    assert_eq!(undigested(&views), 1);
    let all = InboxQuery { limit: usize::MAX, ..query("coder", Some(PROJECT)) };
    let inbox = views.inbox(&all);
    let bytes = serde_json::to_vec(&inbox).unwrap().len();
    assert_eq!(inbox.unread, 1200);
    assert!((3_000_000..6_000_000).contains(&bytes), "{bytes}");
    assert_eq!(inbox.messages[0].sequence.0, 2);
}

#[test]
fn a_reason_is_short_whatever_is_wrong() {
    let mut views = Views::new();
    let body = json!({ "from": "planner", "to": "x".repeat(100_000), "text": "t" });
    let wrong = event(1, there(), Some(PROJECT), "message.sent", &body);
    views.digest(&[wrong], start());
    assert_eq!(undigested(&views), 1);
    let reason: String =
        views.connection.query_row("SELECT reason FROM skipped", [], |row| row.get(0)).unwrap();
    assert!(
        reason.starts_with("it is not as events of its type are") && reason.len() < 300,
        "{reason}"
    );
}

#[test]
fn a_message_to_all_reaches_those_who_joined_here_before_it_but_not_its_sender() {
    let mut views = Views::new();
    let events = [
        joined(1, here(), "early"),
        joined(2, there(), "remote"),
        message_to_all(3, here(), "sender"),
        joined(4, here(), "late"),
        message_to_all(5, there(), "sender"),
    ];
    views.digest(&events, start());
    assert_eq!(views.places("early").0, [3, 5]);
    assert_eq!(views.places("late").0, [5]);
    // The same name on two daemons is two agents.
    assert_eq!(views.places("sender").0, [5]);
    assert_eq!(views.places("remote").0, Vec::<u64>::new());
}

#[test]
fn the_oldest_unread_come_first_and_read_ones_while_they_fit() {
    let mut views = Views::new();
    let events: Vec<_> = (1..=10).map(|n| message_to(n, there(), "planner", &["coder"])).collect();
    views.digest(&events, start());
    views.mark_read("coder", &[1, 2, 3, 4, 5].map(id));
    let limited = |limit, unread_only| {
        let query = InboxQuery { limit, unread_only, ..query("coder", Some(PROJECT)) };
        let inbox = views.inbox(&query);
        inbox.messages.iter().map(|message| message.sequence.0).collect::<Vec<_>>()
    };
    assert_eq!(limited(3, false), [6, 7, 8]);
    assert_eq!(limited(7, false), [4, 5, 6, 7, 8, 9, 10]);
    assert_eq!(limited(7, true), [6, 7, 8, 9, 10]);
    let read = InboxQuery { limit: 2, read_only: true, ..query("coder", Some(PROJECT)) };
    let read = views.inbox(&read).messages;
    assert_eq!(read.iter().map(|message| message.sequence.0).collect::<Vec<_>>(), [4, 5]);
}

#[test]
fn other_projects_are_counted_apart_and_shown_when_all_are_asked_for() {
    let mut views = Views::new();
    let body = json!({ "from": "planner", "to": ["coder"], "text": "hello" });
    let events = [
        event(1, there(), Some("other"), "message.sent", &body),
        event(2, there(), None, "message.sent", &body),
        message_to(3, there(), "planner", &["coder"]),
    ];
    views.digest(&events, start());
    let here = views.inbox(&query("coder", Some(PROJECT)));
    assert_eq!((here.messages.len(), here.unread, here.unread_elsewhere), (1, 1, 2));
    let all = views.inbox(&query("coder", None));
    assert_eq!((all.messages.len(), all.unread, all.unread_elsewhere), (3, 3, 0));
    assert_eq!(all.messages[1].project, None);
    let oldest = InboxQuery { limit: 1, unread_only: true, ..query("coder", None) };
    let oldest = views.oldest_unread(&views.log, &oldest).unwrap().result;
    assert_eq!(oldest.messages[0].project.as_deref(), Some("other"));
    assert_eq!((oldest.messages.len(), oldest.left), (1, 2));
}

#[test]
fn marking_read_touches_only_what_the_reader_has_and_writes_once() {
    let mut views = Views::new();
    let events = [message_to(1, there(), "a", &["x", "y"]), message_to(2, there(), "a", &["x"])];
    views.digest(&events, start());
    views.mark_read("x", &[1, 1, 99].map(id));
    views.mark_read("y", &[2].map(id));
    assert_eq!(views.places("x").1, [2]);
    assert_eq!(views.places("y").1, [1]);
    let before = store_changes(&views);
    views.mark_read("x", &[1, 99].map(id));
    assert_eq!(store_changes(&views), before, "nothing is new, so nothing is written");
}

fn store_changes(store: &Store) -> u64 {
    store.connection.total_changes()
}

#[test]
fn undigestible_events_are_skipped_and_counted() {
    let mut views = Views::new();
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
    let cursor = views.digest(&events, start());
    assert_eq!((undigested(&views), cursor.position.sequence), (6, Sequence(8)));
    assert_eq!(views.places("x").0, [8]);
}

#[test]
fn no_query_of_a_reader_reads_more_when_the_log_is_longer() {
    let views = Views::new();
    let queries = [
        inbox::QUERIES,
        bitmaps::QUERIES,
        broadcasts::QUERIES,
        reading::QUERIES,
        seen::QUERIES,
        conversation::QUERIES,
        directory::QUERIES,
        digest::GROUP_QUERIES,
        digest::DELETION_QUERIES,
        filter::QUERIES,
        finding::QUERIES,
        groups::QUERIES,
        recipients::QUERIES,
        presence::QUERIES,
    ];
    for query in [queries.concat(), delivery::QUERIES.concat()].concat() {
        let mut plan = views.connection.prepare(&format!("EXPLAIN QUERY PLAN {query}")).unwrap();
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
    let mut views = Views::new();
    let text = "x".repeat(120 * 1024);
    let body = json!({ "from": "a", "to": ["x"], "text": text });
    let events: Vec<_> =
        (1..=40).map(|n| event(n, there(), Some(PROJECT), "message.sent", &body)).collect();
    views.digest(&events, start());
    let inbox = views.inbox(&query("x", Some(PROJECT)));
    assert_eq!((inbox.messages.len(), inbox.unread), (34, 40));
    assert_eq!(inbox.messages[0].sequence, Sequence(1));
}

#[test]
fn a_file_of_another_version_keeps_its_read_marks() {
    let mut views = Views::new();
    let events = [message_to(1, there(), "a", &["x"]), message_to(2, there(), "a", &["x"])];
    views.digest(&events, start());
    views.mark_read("x", &[id(1)]);
    views.connection.pragma_update(None, "user_version", 99).unwrap();
    views.connection.execute_batch("DROP TABLE inboxes").unwrap();
    views.store = store(views.directory.path());
    assert_eq!(views.cursor().unwrap(), None);
    views.digest(&events, start());
    assert_eq!(views.places("x"), (vec![1, 2], vec![2]));
}

#[test]
fn messages_that_the_log_has_lost_leave_their_inboxes() {
    let mut views = Views::new();
    let events = [
        joined(1, here(), "coder"),
        message_to(2, there(), "planner", &["coder"]),
        message_to_all(3, there(), "planner"),
        message_to(4, there(), "planner", &["coder"]),
        message_to_all(5, there(), "planner"),
        message_to_all(6, there(), "planner"),
        message_to(7, there(), "planner", &["coder"]),
    ];
    views.digest(&events, start());
    views.mark_read("coder", &[id(4), id(5)]);
    views.rows.execute("DELETE FROM events WHERE sequence BETWEEN 2 AND 5", []).unwrap();
    views.rows.execute("UPDATE events SET body = x'00' WHERE sequence = 6", []).unwrap();
    let answer = views.store.inbox(&views.log, &query("coder", Some(PROJECT))).unwrap();
    let shown: Vec<_> = answer.result.messages.iter().map(|message| message.sequence.0).collect();
    assert_eq!((shown, answer.damaged), (vec![7], vec![Sequence(6)]));
    assert_eq!(answer.lost.len(), 5);
    assert!(views.remove_lost(&answer.lost).unwrap());
    assert_eq!(views.places("coder"), (vec![7], vec![7]));
    assert!(!views.remove_lost(&answer.lost).unwrap(), "that is done");
}

#[test]
fn damaged_rows_are_passed_over_and_named() {
    let mut views = Views::new();
    let events = [1, 2, 3].map(|n| message_to(n, there(), "planner", &["coder"]));
    let end = views.digest(&events, start()).position;
    views.rows.execute("UPDATE events SET body = x'7b00' WHERE sequence = 2", []).unwrap();
    views.rows.execute("UPDATE events SET project = x'ff' WHERE sequence = 3", []).unwrap_err();
    views.reset().unwrap();
    let digested = views.store.digest(&views.log, start(), end).unwrap();
    assert_eq!((digested.damaged, digested.cursor.position), (vec![Sequence(2)], end));
    assert_eq!(views.places("coder").0, [1, 3]);
}

/// The answers to all queries of a reader, for each name.
fn answers(views: &Views) -> BTreeMap<String, String> {
    let names = ["a", "b", "c"];
    let mut answers = BTreeMap::new();
    for name in names {
        for project in [Some(PROJECT), None] {
            let inbox = views.inbox(&query(name, project));
            let unread = inbox.messages.iter().filter(|message| !message.read).count();
            assert_eq!(inbox.unread, unread as u64);
            answers.insert(format!("{name} {project:?}"), format!("{inbox:?}"));
        }
    }
    answers.insert(
        "agents".to_owned(),
        format!("{:?}", views.agents(None, Timestamp::from_millis(0), true).unwrap()),
    );
    answers.insert("skipped".to_owned(), undigested(views).to_string());
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
        let mut grown = Views::new();
        let count = u.int_in_range(1..=24)?;
        let events = (1..=count).map(|n| drawn(u, n)).collect::<Result<Vec<_>>>()?;
        let mut cursor = start();
        let mut rest = events.as_slice();
        while !rest.is_empty() {
            let (page, later) = rest.split_at(u.int_in_range(1..=rest.len())?);
            cursor = grown.digest(page, cursor);
            rest = later;
            let read: Vec<EventId> = (0..u.int_in_range(0..=2)?)
                .map(|_| Ok(id(u.int_in_range(1..=count)?)))
                .collect::<Result<_>>()?;
            grown.mark_read(u.choose(&["a", "b"])?, &read);
        }
        let before = answers(&grown);
        grown.reset().unwrap();
        grown.digest(&events, start());
        assert_eq!(answers(&grown), before);
        Ok(())
    })
    .budget_ms(2_000);
}

#[test]
fn read_marks_of_an_earlier_form_are_dropped() {
    let mut views = Views::new();
    let events = [message_to(1, there(), "a", &["x", "y"]), message_to(2, there(), "a", &["x"])];
    views.digest(&events, start());
    let former = "DROP TABLE read_marks;
         CREATE TABLE read_marks (
             agent TEXT NOT NULL,
             event_id BLOB NOT NULL,
             PRIMARY KEY (event_id, agent)
         ) STRICT, WITHOUT ROWID;
         INSERT INTO read_marks VALUES ('x', x'00000000000000000000000000000001');
         PRAGMA user_version = 3;";
    views.connection.execute_batch(former).unwrap();
    views.store = store(views.directory.path());
    views.digest(&events, start());
    assert_eq!(views.places("x"), (vec![1, 2], vec![1, 2]));
    views.mark_read("x", &[id(1)]);
    assert_eq!(views.places("x"), (vec![1, 2], vec![2]));
    assert_eq!(views.places("y"), (vec![1], vec![1]));
    let plan =
        "EXPLAIN QUERY PLAN SELECT agent FROM read_marks WHERE event_id = x'00' AND origin = x'00'";
    let step: String = views.connection.query_row(plan, [], |row| row.get(3)).unwrap();
    assert_eq!(step, "SEARCH read_marks USING PRIMARY KEY (event_id=? AND origin=?)");
}
