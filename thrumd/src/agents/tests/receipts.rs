//! What receipts say, and whom they may speak for.

use super::*;
use crate::log::column::uint;

/// Message, reader's name, reader's daemon and session of each receipt.
fn receipts(views: &Views) -> Vec<(u64, String, DaemonId, String)> {
    let mut query = views
        .connection
        .prepare(
            "SELECT r.event_id, i.agent, r.origin, s.session
             FROM receipts r JOIN inboxes i ON i.id = r.inbox
             JOIN receipt_sessions s ON s.id = r.session ORDER BY 1, 2, 3",
        )
        .unwrap();
    let rows = query.query_map([], |row| {
        let number = u64::try_from(u128::from_be_bytes(row.get(0)?)).unwrap();
        Ok((number, row.get(1)?, DaemonId::from_bytes(row.get(2)?), row.get(3)?))
    });
    rows.unwrap().collect::<rusqlite::Result<_>>().unwrap()
}

/// Teller, origin and position of each row.
fn received(views: &Views) -> Vec<(DaemonId, DaemonId, u64)> {
    let mut query = views
        .connection
        .prepare("SELECT teller, origin, up_to FROM received ORDER BY 1, 2")
        .unwrap();
    let rows = query.query_map([], |row| {
        let (teller, origin) = (row.get(0)?, row.get(1)?);
        Ok((DaemonId::from_bytes(teller), DaemonId::from_bytes(origin), uint(row.get(2)?)))
    });
    rows.unwrap().collect::<rusqlite::Result<_>>().unwrap()
}

/// Which origins are to be told of messages up to where.
fn owed(views: &Views) -> Vec<(DaemonId, u64)> {
    let mut query = views.connection.prepare("SELECT origin, up_to FROM owed ORDER BY 1").unwrap();
    let rows =
        query.query_map([], |row| Ok((DaemonId::from_bytes(row.get(0)?), uint(row.get(1)?))));
    rows.unwrap().collect::<rusqlite::Result<_>>().unwrap()
}

#[test]
fn a_receipt_counts_for_agents_of_its_own_daemon_and_for_our_messages_alone() {
    let mut views = Views::new();
    let events = [
        joined(1, there(), "coder"),
        message_to(2, here(), "planner", &["coder"]),
        // Another daemon says that coder has read it: that is its own coder, if it has one.
        read_receipt(3, daemon(3), "coder", (here(), &[2])),
        read_receipt(4, there(), "coder", (here(), &[2])),
        // Not a message of this daemon.
        read_receipt(5, there(), "coder", (daemon(3), &[2])),
        // This daemon has read marks.
        read_receipt(6, here(), "coder", (here(), &[2])),
    ];
    views.digest(&events, start());
    let coder = |daemon, session: &str| (2, "coder".to_owned(), daemon, session.to_owned());
    let mut expected = vec![coder(daemon(3), "s-3"), coder(there(), "s-4")];
    expected.sort_by_key(|(_, _, daemon, _)| daemon.to_bytes());
    assert_eq!(receipts(&views), expected);
    assert_eq!(undigested(&views), 0);
}

#[test]
fn the_first_time_that_a_message_was_read_counts_and_a_receipt_may_come_before_its_message() {
    let mut views = Views::new();
    let events = [
        read_receipt(1, there(), "coder", (here(), &[3])),
        read_receipt(2, there(), "coder", (here(), &[3, 7])),
        message_to(3, here(), "planner", &["coder"]),
    ];
    views.digest(&events, start());
    let coder = |id, session: &str| (id, "coder".to_owned(), there(), session.to_owned());
    assert_eq!(receipts(&views), [coder(3, "s-1"), coder(7, "s-2")]);
    assert_eq!(views.places("coder").0, [3]);
}

#[test]
fn bad_receipts_are_skipped_as_a_whole() {
    let mut views = Views::new();
    let good = json!({
        "agent": "coder", "route": "by_pigeon", "at": "2020-06-24T16:00:00.123Z",
        "origin_daemon": here(), "event_ids": [id(9)],
    });
    let with = |field: &str, value: serde_json::Value| {
        let mut bad = good.clone();
        bad[field] = value;
        json!({ "read": [good, bad] })
    };
    let bodies = [
        json!("all of them"),
        json!({ "there": 1 }),
        with("agent", json!("a b")),
        with("project", json!("a\nb")),
        with("session", json!("x".repeat(129))),
        with("event_ids", json!(["x"])),
    ];
    let bad = bodies.iter().zip(1..);
    let bad: Vec<_> =
        bad.map(|(body, at)| event(at, there(), None, "message.receipts", body)).collect();
    let cursor = views.digest(&bad, start());
    assert_eq!((undigested(&views), receipts(&views).len()), (6, 0));
    // A route that a later version knows.
    let body = json!({ "read": [good] });
    views.digest(&[event(7, there(), None, "message.receipts", &body)], cursor);
    let route: String =
        views.connection.query_row("SELECT route FROM receipts", [], |row| row.get(0)).unwrap();
    assert_eq!((undigested(&views), route.as_str()), (6, "other"));
}

#[test]
fn what_others_hold_of_ours_is_kept_and_what_we_told_others_and_nothing_else() {
    let mut views = Views::new();
    let events = [
        there_receipt(1, there(), here(), 7),
        there_receipt(2, there(), here(), 4),
        there_receipt(3, there(), daemon(3), 5),
        there_receipt(4, here(), daemon(3), 6),
        there_receipt(5, here(), here(), 6),
    ];
    views.digest(&events, start());
    let mut expected = vec![(there(), here(), 7), (here(), daemon(3), 6)];
    expected.sort_by_key(|(teller, ..)| teller.to_bytes());
    assert_eq!(received(&views), expected);
}

#[test]
fn a_daemon_is_owed_a_receipt_for_messages_to_agents_of_this_machine_alone() {
    let mut views = Views::new();
    let events = [
        joined(1, there(), "remote"),
        message_to(2, there(), "a", &["remote", "nobody"]),
        message_to_all(3, there(), "a"),
        joined(4, here(), "local"),
        message_to(5, here(), "local", &["local"]),
    ];
    let cursor = views.digest(&events, start());
    assert_eq!(owed(&views), []);
    let cursor = views.digest(&[message_to_all(6, there(), "a")], cursor);
    assert_eq!(owed(&views), [(there(), 6)]);
    let cursor = views.digest(&[message_to(7, there(), "a", &["remote", "local"])], cursor);
    assert_eq!(owed(&views), [(there(), 7)]);
    let cursor = views.digest(&[message_to(8, there(), "a", &["remote"])], cursor);
    assert_eq!(owed(&views), [(there(), 7)]);
    let cursor = views.digest(&[there_receipt(9, here(), there(), 6)], cursor);
    assert_eq!(owed(&views), [(there(), 7)], "not up to there");
    let cursor = views.digest(&[there_receipt(10, here(), there(), 12)], cursor);
    assert_eq!(owed(&views), []);
    views.digest(&[message_to(11, there(), "a", &["local"])], cursor);
    assert_eq!(owed(&views), [], "that was told already");
}

#[test]
fn what_is_owed_does_not_depend_on_how_events_are_split_into_pages() {
    let events = [
        message_to_all(1, there(), "a"),
        joined(2, here(), "local"),
        message_to(3, there(), "a", &["local"]),
        there_receipt(4, here(), there(), 3),
        message_to_all(5, daemon(3), "b"),
        there_receipt(6, here(), daemon(4), 9),
        message_to(7, daemon(4), "c", &["local"]),
    ];
    let mut whole = Views::new();
    whole.digest(&events, start());
    assert_eq!(owed(&whole), [(daemon(3), 5)]);
    let mut grown = Views::new();
    let mut cursor = start();
    for event in &events {
        cursor = grown.digest(std::slice::from_ref(event), cursor);
    }
    assert_eq!((owed(&grown), received(&grown)), (owed(&whole), received(&whole)));
    grown.reset().unwrap();
    grown.digest(&events, start());
    assert_eq!((owed(&grown), received(&grown)), (owed(&whole), received(&whole)));
}

#[test]
fn receipts_take_not_much_more_room_than_the_events_they_came_in() {
    let mut views = Views::new();
    let size = |views: &Views| -> usize {
        let size = "SELECT page_count * page_size FROM pragma_page_count, pragma_page_size";
        let bytes: i64 = views.connection.query_row(size, [], |row| row.get(0)).unwrap();
        usize::try_from(bytes).unwrap()
    };
    let cursor = views.digest(&[joined(1, there(), "coder")], start());
    let before = size(&views);
    // The longest id of a session that there is, and messages that nobody knows.
    let ids: Vec<EventId> = (1000..9000).map(id).collect();
    let read = json!({
        "agent": "coder", "project": PROJECT, "route": "wait",
        "session": "\u{20000}".repeat(thrum_api::limits::NAME_MAX_CHARS),
        "at": "2020-06-24T16:00:00.123Z", "origin_daemon": here(), "event_ids": ids,
    });
    let receipt = event(2, there(), None, "message.receipts", &json!({ "read": [read] }));
    let room = 4 * receipt.event.get().len();
    views.digest(&[receipt], cursor);
    assert_eq!(receipts(&views).len(), 8000);
    let grown = size(&views) - before;
    assert!(grown < room, "{grown} bytes, {room} at most");
}
