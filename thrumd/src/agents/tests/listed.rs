//! Messages of a project or of all: their pages, and how far each got.

use std::collections::BTreeMap;

use rusqlite::params;
use serde_json::json;
use thrum_api::event::EventRef;
use thrum_api::local::{
    DeliveryState, DeliverySummary, MessageDelivery, MessageListResult, Obstacle,
};

use super::super::bitmaps;
use super::super::message_list::{ListQuery, Place};
use super::super::reach::{Machines, PeerReach};
use super::*;
use crate::log::LogHead;

const OTHER: &str = "github.com/acme/web";

fn head(sequence: u64) -> LogHead {
    let position = LogPosition { sequence: Sequence(sequence), ..LogPosition::START };
    LogHead { epoch: start().epoch, position }
}

/// A peer that has this log up to a position.
fn machines(confirmed: u64) -> Machines {
    let reach = PeerReach {
        confirmed: Sequence(confirmed),
        sent: Some(Sequence(confirmed)),
        unreachable_since: None,
    };
    Machines::new(BTreeMap::from([(there(), reach)]), BTreeMap::new())
}

fn ask(views: &Views, project: Option<&str>, from: Place, limit: usize) -> MessageListResult {
    ask_as(views, None, (project, from, limit), &machines(0))
}

fn ask_as(
    views: &Views,
    agent: Option<&str>,
    (project, from, limit): (Option<&str>, Place, usize),
    machines: &Machines,
) -> MessageListResult {
    let (agent, project) = (agent.map(str::to_owned), project.map(str::to_owned));
    let query = ListQuery { agent, project, from, limit };
    let listed = views.message_list(&views.log, &query, machines, head(1000)).unwrap();
    assert_eq!(listed.damaged, []);
    listed.result
}

fn places(result: &MessageListResult) -> Vec<u64> {
    result.messages.iter().map(|listed| listed.message.sequence.0).collect()
}

/// All pages of a list, one after the other.
fn all_pages(views: &Views, project: Option<&str>, mut from: Place, limit: usize) -> Vec<u64> {
    let mut all = Vec::new();
    loop {
        let page = ask(views, project, from, limit);
        all.extend(places(&page));
        match page.next {
            Some(next) => from = from.moved_to(int(next.0)),
            None => return all,
        }
        assert!(all.len() <= 1000, "pages without an end: {all:?}");
    }
}

fn message_in(sequence: u64, project: Option<&str>, from: &str) -> SequencedEvent {
    let body = json!({ "from": from, "to": ["coder"], "text": format!("number {sequence}") });
    event(sequence, there(), project, "message.sent", &body)
}

#[test]
fn pages_of_any_size_have_each_message_once_in_both_directions() {
    let mut views = Views::new();
    let mut events = Vec::new();
    let mut of = BTreeMap::<Option<&str>, Vec<u64>>::new();
    for sequence in 1..=300 {
        let project = [Some(PROJECT), Some(OTHER), None][(sequence * 7 % 11 % 3) as usize];
        if sequence % 5 == 0 {
            events.push(joined(sequence, there(), "coder"));
            continue;
        }
        events.push(message_in(sequence, project, "planner"));
        of.entry(project).or_default().push(sequence);
    }
    views.digest(&events, start());
    let all: Vec<u64> = (1..=300).filter(|sequence| sequence % 5 != 0).collect();
    let newest = |of: &[u64]| of.iter().rev().copied().collect::<Vec<_>>();
    for limit in [1, 7, 63, 64, 65, 1000] {
        for (project, oldest) in
            [(None, &all), (Some(PROJECT), &of[&Some(PROJECT)]), (Some(OTHER), &of[&Some(OTHER)])]
        {
            let before = all_pages(&views, project, Place::Before(i64::MAX), limit);
            assert_eq!(before, newest(oldest), "{project:?} {limit}");
            assert_eq!(&all_pages(&views, project, Place::After(0), limit), oldest);
        }
    }
    // From within.
    for at in [1, 63, 64, 65, 127, 128, 129, 191, 192, 300, 301] {
        let before = all_pages(&views, None, Place::Before(at), 50);
        let wanted: Vec<u64> = newest(&all).into_iter().filter(|it| int(*it) < at).collect();
        assert_eq!(before, wanted, "before {at}");
        let wanted: Vec<u64> = all.iter().copied().filter(|it| int(*it) > at).collect();
        assert_eq!(all_pages(&views, None, Place::After(at), 50), wanted, "after {at}");
    }
    assert_eq!(places(&ask(&views, Some("unknown/project"), Place::After(0), 50)), [] as [u64; 0]);
    assert_eq!(places(&ask(&views, None, Place::Before(0), 50)), [] as [u64; 0]);
    assert_eq!(places(&ask(&views, None, Place::After(i64::MAX), 50)), [] as [u64; 0]);
}

#[test]
fn a_page_says_up_to_where_it_knows_the_log() {
    let mut views = Views::new();
    assert_eq!(ask(&views, None, Place::After(0), 50).read_seq, Sequence::ZERO);
    let events = [message_in(1, Some(PROJECT), "a"), joined(2, there(), "x")];
    let cursor = views.digest(&events, start());
    let page = ask(&views, None, Place::After(0), 50);
    assert_eq!((page.read_seq, page.epoch, page.next), (Sequence(2), start().epoch, None));
    views.digest(&[message_in(3, Some(PROJECT), "a")], cursor);
    let new = ask(&views, None, Place::After(int(page.read_seq.0)), 50);
    assert_eq!((places(&new), new.read_seq), (vec![3], Sequence(3)));
}

#[test]
fn what_was_deleted_or_lost_is_in_no_page() {
    let mut views = Views::new();
    let deleted = |sequence, of| {
        let body = json!({ "from": "planner", "event_id": id(of) });
        event(sequence, there(), Some(PROJECT), "message.deleted", &body)
    };
    let mut events: Vec<_> = (1..=70).map(|n| message_in(n, Some(PROJECT), "planner")).collect();
    // One before its deletion in the same page of the log, one that comes after it, and one of another sender.
    events.extend([deleted(71, 5), deleted(72, 80), deleted(73, 81)]);
    events.push(message_in(80, Some(PROJECT), "planner"));
    events.push(message_in(81, Some(PROJECT), "other"));
    let cursor = views.digest(&events, start());
    views.digest(
        &[
            deleted(90, 66),
            deleted(91, 67),
            deleted(92, 68),
            deleted(93, 69),
            deleted(94, 70),
            deleted(95, 64),
            deleted(96, 65),
        ],
        cursor,
    );
    let left: Vec<u64> = (1..=63).filter(|n| *n != 5).chain([81]).collect();
    assert_eq!(all_pages(&views, Some(PROJECT), Place::After(0), 10), left);
    assert_eq!(all_pages(&views, None, Place::After(0), 10), left);
    let rows: i64 = views
        .connection
        .query_row("SELECT count(*) FROM message_bitmaps WHERE block = 1", [], |row| row.get(0))
        .unwrap();
    assert_eq!(rows, 2, "only 81 is left of that block");
    views.rows.execute("DELETE FROM events WHERE sequence BETWEEN 20 AND 60", []).unwrap();
    let left: Vec<u64> = left.into_iter().filter(|n| !(20..=60).contains(n)).collect();
    assert_eq!(all_pages(&views, Some(PROJECT), Place::After(0), 10), left);
    let page = ask(&views, Some(PROJECT), Place::Before(63), 10);
    assert_eq!(places(&page), [62, 61, 19, 18, 17, 16, 15, 14, 13, 12], "a page is full");
}

#[test]
fn a_page_ends_before_it_is_too_large_and_goes_on() {
    let mut views = Views::new();
    let text = "x".repeat(120 * 1024);
    let body = json!({ "from": "a", "to": ["x"], "text": text });
    let events: Vec<_> =
        (1..=50).map(|n| event(n, there(), Some(PROJECT), "message.sent", &body)).collect();
    views.digest(&events, start());
    let page = ask(&views, None, Place::Before(i64::MAX), 50);
    assert!((10..50).contains(&page.messages.len()), "{}", page.messages.len());
    let all: Vec<u64> = (1..=50).rev().collect();
    assert_eq!(all_pages(&views, None, Place::Before(i64::MAX), 50), all);
}

#[test]
fn recipients_take_room_in_a_page_as_texts_do() {
    let mut views = Views::new();
    let to: Vec<String> = (0..64).map(|n| format!("{n}{}", "x".repeat(120))).collect();
    let body = json!({ "from": "a", "to": to, "text": "x".repeat(20_000) });
    let events: Vec<_> =
        (1..=200).map(|n| event(n, there(), Some(PROJECT), "message.sent", &body)).collect();
    views.digest(&events, start());
    let page = ask(&views, None, Place::Before(i64::MAX), 200);
    let messages = page.messages.iter().map(|listed| &listed.message);
    let bytes: usize = messages.map(|it| it.text.len() + it.to.concat().len()).sum();
    assert!((3_000_000..=4 * 1024 * 1024).contains(&bytes), "{bytes}");
}

#[test]
fn damaged_rows_are_left_out_and_named() {
    let mut views = Views::new();
    let events = [1, 2, 3].map(|n| message_in(n, Some(PROJECT), "a"));
    views.digest(&events, start());
    views.rows.execute("UPDATE events SET body = x'7b00' WHERE sequence = 2", []).unwrap();
    let query = ListQuery { agent: None, project: None, from: Place::Before(i64::MAX), limit: 50 };
    let listed = views.message_list(&views.log, &query, &machines(0), head(3)).unwrap();
    assert_eq!((places(&listed.result), listed.damaged), (vec![3, 1], vec![Sequence(2)]));
}

/// The deliveries of messages by their number, as the agent sees them.
fn deliveries(views: &Views, agent: Option<&str>, of: &[EventRef]) -> Vec<MessageDelivery> {
    let listed = views.message_deliveries(&views.log, agent, of, &machines(0), head(1000));
    listed.unwrap().result.deliveries
}

fn sent(number: u64, origin: DaemonId) -> EventRef {
    EventRef { event_id: id(number), origin_daemon: origin }
}

#[test]
fn messages_of_this_machine_tell_how_far_they_got_to_everyone() {
    let mut views = Views::new();
    let events = [
        joined(1, here(), "planner"),
        joined(2, here(), "coder"),
        joined(3, there(), "coder"),
        joined(4, there(), "tester"),
        message_to(5, here(), "planner", &["coder", "tester", "nobody"]),
        message_to_all(6, here(), "planner"),
    ];
    let cursor = views.digest(&events, start());
    let of = |views: &Views, place: usize, confirmed| {
        let asked = (None, Place::Before(7), 50);
        let page = ask_as(views, None, asked, &machines(confirmed));
        let delivery: DeliverySummary = page.messages[place].delivery.clone();
        let DeliverySummary { total, there, read, answered, least, here_only } = delivery;
        assert!(!here_only);
        let least = least.unwrap();
        ([total, there, read, answered], least.agent, least.state, least.obstacle)
    };
    let stored = DeliveryState::Stored;
    let behind = Some(Obstacle::Behind);
    assert_eq!(of(&views, 0, 0), ([3, 1, 0, 0], "coder".to_owned(), stored, behind));
    let unknown = Some(Obstacle::UnknownName);
    assert_eq!(of(&views, 1, 6).0, [4, 3, 0, 0]);
    assert_eq!(of(&views, 1, 6).1, "nobody");
    assert_eq!(of(&views, 1, 6).3, unknown);
    views.mark_read("coder", &[id(6)]);
    let answer = json!({ "from": "tester", "to": ["planner"], "text": "done",
        "reply_to": sent(6, here()), "thread": sent(6, here()) });
    let events = [
        read_receipt(7, there(), "coder", (here(), &[6])),
        event(8, there(), Some(PROJECT), "message.sent", &answer),
        there_receipt(9, there(), here(), 6),
    ];
    views.digest(&events, cursor);
    let (counts, least, state, _) = of(&views, 0, 0);
    assert_eq!((counts, &*least, state), ([3, 3, 3, 1], "coder", DeliveryState::Read));
    let whole = deliveries(&views, None, &[sent(6, here()), sent(8, there()), sent(99, here())]);
    assert_eq!(whole.iter().map(|it| it.replies).collect::<Vec<_>>(), [Some(1), None]);
    assert_eq!(whole[0].delivery.answered, 1);
}

#[test]
fn messages_of_other_machines_tell_of_recipients_here_alone() {
    let mut views = Views::new();
    let events = [
        joined(1, here(), "coder"),
        joined(2, here(), "tester"),
        joined(3, there(), "coder"),
        message_to(4, there(), "planner", &["coder", "elsewhere", &format!("ghost@{}", here())]),
        message_to_all(5, there(), "planner"),
        joined(6, here(), "late"),
        message_to(7, there(), "planner", &["elsewhere"]),
    ];
    views.digest(&events, start());
    views.mark_read("coder", &[id(4), id(5)]);
    let of = [4, 5, 7].map(|number| sent(number, there()));
    let told = deliveries(&views, Some("coder"), &of);
    let counts: Vec<_> = told
        .iter()
        .map(|it| {
            assert!(it.delivery.here_only);
            let DeliverySummary { total, there, read, answered, .. } = it.delivery;
            [total, there, read, answered]
        })
        .collect();
    assert_eq!(counts, [[2, 2, 1, 0], [2, 2, 1, 0], [0, 0, 0, 0]]);
    assert_eq!(told.iter().map(|it| it.read).collect::<Vec<_>>(), [true, true, true]);
    let least = told[1].delivery.least.as_ref().unwrap();
    assert_eq!((&*least.agent, least.state), ("tester", DeliveryState::There));
    let as_tester = deliveries(&views, Some("tester"), &of);
    assert_eq!(as_tester.iter().map(|it| it.read).collect::<Vec<_>>(), [true, false, true]);
}

#[test]
fn deliveries_of_long_messages_come_in_one_answer() {
    let mut views = Views::new();
    let body = json!({ "from": "a", "to": ["x"], "text": "x".repeat(120 * 1024) });
    let events: Vec<_> =
        (1..=100).map(|n| event(n, there(), Some(PROJECT), "message.sent", &body)).collect();
    views.digest(&events, start());
    let of: Vec<EventRef> = (1..=100).map(|number| sent(number, there())).collect();
    assert_eq!(deliveries(&views, None, &of).len(), 100);
}

#[test]
fn the_index_has_what_the_rows_say() {
    // Against a plain table, with the last bit of a row, which is the sign.
    let views = Views::new();
    let connection = &views.connection;
    let mut new = bitmaps::NewMessages::default();
    let all = [1, 2, 62, 63, 64, 65, 127, 128, 191, 192, 640, 703];
    for place in all {
        new.add(7, place);
    }
    new.write(connection).unwrap();
    new.write(connection).unwrap();
    for at in 0..=710 {
        let below: Vec<i64> = all.into_iter().rev().filter(|place| *place < at).take(3).collect();
        assert_eq!(bitmaps::before(connection, 7, at, 3).unwrap(), below, "before {at}");
        let above: Vec<i64> = all.into_iter().filter(|place| *place > at).take(3).collect();
        assert_eq!(bitmaps::after(connection, 7, at, 3).unwrap(), above, "after {at}");
        assert_eq!(bitmaps::has(connection, 7, at).unwrap(), all.contains(&at), "{at}");
    }
    for place in all {
        bitmaps::remove(connection, 7, place).unwrap();
        bitmaps::remove(connection, 7, place).unwrap();
    }
    let rows = "SELECT count(*) FROM message_bitmaps WHERE project >= ?1";
    let left: i64 = connection.query_row(rows, params![0], |row| row.get(0)).unwrap();
    assert_eq!(left, 0);
}
