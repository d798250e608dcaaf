//! Random histories of three daemons that arrive in any order: views that grew equal those that are made anew, and what
//! has to be the same everywhere is.

use std::collections::BTreeSet;

use arbtest::arbitrary::{Result, Unstructured};
use rusqlite::types::Value;
use thrum_api::Hlc;
use thrum_api::local::MessageThreadParams;

use super::*;

const NAMES: [&str; 3] = ["a", "b", "c"];
const GROUPS: [&str; 2] = ["g", "h"];

/// An event of an origin, before it has a place in a log.
struct Written {
    origin: DaemonId,
    body: serde_json::Value,
    event_type: &'static str,
    hlc: Hlc,
    id: u64,
    place: usize,
}

impl Written {
    fn at(&self, sequence: u64) -> SequencedEvent {
        let written = event(sequence, self.origin, Some(PROJECT), self.event_type, &self.body);
        let mut value: serde_json::Value = serde_json::from_str(written.event.get()).unwrap();
        value["event_id"] = json!(id(self.id));
        value["hlc"] = json!(self.hlc);
        value["origin_sequence"] = json!(self.place);
        SequencedEvent { event: serde_json::value::to_raw_value(&value).unwrap(), ..written }
    }
}

/// An event by its number and origin; it may be one that never comes.
fn reference(u: &mut Unstructured<'_>, count: u64) -> Result<serde_json::Value> {
    let number = u.int_in_range(1..=count + 1)?;
    Ok(json!({ "event_id": id(number), "origin_daemon": daemon(origin_of(number)) }))
}

/// Events of three daemons, by turns.
fn origin_of(number: u64) -> u8 {
    u8::try_from(number % 3).unwrap() + 1
}

fn address(u: &mut Unstructured<'_>) -> Result<String> {
    let name = *u.choose(&NAMES)?;
    Ok(match u.ratio(2, 3)? {
        true => name.to_owned(),
        false => format!("{name}@{}", daemon(u.int_in_range(1..=3)?)),
    })
}

/// What a daemon says of the messages of any: those that are, and some that never come.
fn receipts(u: &mut Unstructured<'_>, agent: &str, count: u64) -> Result<serde_json::Value> {
    let of = daemon(u.int_in_range(1..=3)?);
    let there = json!({
        "origin_daemon": of, "origin_epoch": Epoch::from_ulid(Ulid::from(9_u128)),
        "origin_sequence": u.int_in_range(1..=count)?,
    });
    let ids = [u.int_in_range(1..=count + 1)?, u.int_in_range(1..=count + 1)?].map(id);
    let read = json!({
        "agent": agent, "project": PROJECT, "route": u.choose(&["wait", "inbox"])?,
        "session": u.choose(&[Some("s"), Some("t"), None])?, "at": "2026-01-01T00:00:00Z",
        "origin_daemon": of, "event_ids": ids,
    });
    Ok(json!({ "there": [there], "read": [read] }))
}

fn drawn(u: &mut Unstructured<'_>, number: u64, count: u64) -> Result<Written> {
    let name = *u.choose(&NAMES)?;
    let (event_type, body) = match u.int_in_range(0..=12)? {
        0 => {
            let machine = u.choose(&["m", "n", "a\nb"])?;
            ("agent.joined", json!({ "agent": name, "machine": machine, "about": "tests" }))
        }
        1 => ("agent.removed", json!({ "agent": name })),
        2 | 3 => {
            let (add, remove) = ([address(u)?, address(u)?], [address(u)?]);
            ("group.changed", json!({ "group": u.choose(&GROUPS)?, "add": add, "remove": remove }))
        }
        4 | 5 => {
            let of = u.int_in_range(1..=count)?;
            ("message.deleted", json!({ "from": name, "event_id": id(of) }))
        }
        10 | 11 => ("message.receipts", receipts(u, name, count)?),
        12 => {
            let live = json!([{ "id": "s", "state": "idle", "since": "2026-01-01T00:00:00Z" }]);
            let sessions = if u.ratio(1, 2)? { live } else { json!([]) };
            ("agent.sessions", json!({ "agent": name, "sessions": sessions }))
        }
        kind => {
            let to = match u.int_in_range(0..=2)? {
                0 => vec![format!("@{}", u.choose(&GROUPS)?)],
                1 => vec![address(u)?, format!("@{}", u.choose(&GROUPS)?)],
                _ => vec![address(u)?],
            };
            let mut body = json!({ "from": name, "text": "t", "all": kind == 6, "to": to });
            if kind >= 8 {
                body["reply_to"] = reference(u, count)?;
                body["thread"] = reference(u, count)?;
            }
            ("message.sent", body)
        }
    };
    Ok(Written {
        origin: daemon(origin_of(number)),
        body,
        event_type,
        // So that two changes often have the same time.
        hlc: Hlc::new(u.int_in_range(1..=3)?, 0),
        id: number,
        place: usize::try_from(number).unwrap(),
    })
}

/// Every row that is derived from the log.
fn rows(views: &Views) -> Vec<String> {
    let tables = [
        "projects",
        "inboxes",
        "deliveries",
        "broadcasts",
        "settled_broadcasts",
        "agents",
        "machines",
        "sent",
        "replies",
        "threads",
        "deleted",
        "groups",
        "group_members",
        "presence",
        "received",
        "owed",
        "receipts",
        "receipt_sessions",
        "skipped",
    ];
    let mut all = Vec::new();
    for table in tables {
        let mut query = views.connection.prepare(&format!("SELECT * FROM {table}")).unwrap();
        let columns = query.column_count();
        let mut rows = query.query([]).unwrap();
        let mut of_table = BTreeSet::new();
        while let Some(row) = rows.next().unwrap() {
            let row: Vec<Value> = (0..columns).map(|n| row.get(n).unwrap()).collect();
            of_table.insert(format!("{table} {row:?}"));
        }
        all.extend(of_table);
    }
    all
}

/// What is the same on every daemon: who is in which group, and which messages are in which conversation.
fn everywhere(views: &Views, count: u64) -> Vec<String> {
    let mut all = Vec::new();
    let groups = views.store.groups(PROJECT, None).unwrap();
    all.push(format!("{groups:?}"));
    let mut query = views
        .connection
        .prepare("SELECT hex(event_id), hex(origin), sequence FROM threads")
        .unwrap();
    let mut conversations = BTreeSet::new();
    let mut threads = query.query([]).unwrap();
    while let Some(row) = threads.next().unwrap() {
        let (root, origin, sequence): (String, String, i64) =
            (row.get(0).unwrap(), row.get(1).unwrap(), row.get(2).unwrap());
        let place = Sequence(u64::try_from(sequence).unwrap());
        let names = views.log.names_at([place]).unwrap();
        conversations.insert(format!("{root} {origin} {:?}", names[0].1));
    }
    all.extend(conversations);
    for number in 1..=count {
        let message = thrum_api::event::EventRef {
            event_id: id(number),
            origin_daemon: daemon(origin_of(number)),
        };
        let params =
            MessageThreadParams { agent: "a".to_owned(), message, after: None, limit: None };
        let thread = views.store.thread(&views.log, "a", &params);
        let messages = thread.map(|thread| {
            let ids = thread.messages.iter().map(|message| message.event_id);
            (thread.thread, ids.collect::<BTreeSet<_>>(), thread.left)
        });
        all.push(format!("{number} {:?}", messages.ok()));
    }
    all
}

/// The events in an order in which a daemon may get them: those of each origin in theirs.
fn arrival(u: &mut Unstructured<'_>, events: &[Written]) -> Result<Vec<SequencedEvent>> {
    let mut ahead = [1, 2, 3].map(|number| {
        let of = events.iter().filter(|event| event.origin == daemon(number));
        of.collect::<std::collections::VecDeque<_>>()
    });
    let mut arrived = Vec::new();
    for sequence in 1..=u64::try_from(events.len()).unwrap() {
        let mut at = u.choose_index(3)?;
        while ahead[at].is_empty() {
            at = (at + 1) % 3;
        }
        arrived.push(ahead[at].pop_front().unwrap().at(sequence));
    }
    Ok(arrived)
}

#[test]
fn rebuilt_views_equal_those_that_grew_and_daemons_agree() {
    arbtest::arbtest(|u| {
        let count = u.int_in_range(6..=30)?;
        let events = (1..=count).map(|n| drawn(u, n, count)).collect::<Result<Vec<_>>>()?;
        let mut agreed = None;
        for number in 1..=3 {
            let mut views = Views::of(daemon(number));
            let arrived = arrival(u, &events)?;
            let (mut cursor, mut rest) = (start(), arrived.as_slice());
            while !rest.is_empty() {
                let (page, later) = rest.split_at(u.int_in_range(1..=rest.len())?);
                cursor = views.digest(page, cursor);
                rest = later;
                let read: Vec<EventId> = (0..u.int_in_range(0..=3)?)
                    .map(|_| Ok(id(u.int_in_range(1..=count)?)))
                    .collect::<Result<_>>()?;
                views.mark_read(u.choose(&NAMES)?, &read);
            }
            let grown = rows(&views);
            for name in NAMES {
                views.places(name);
            }
            views.reset().unwrap();
            views.digest(&arrived, start());
            assert_eq!(rows(&views), grown);
            let same = everywhere(&views, count);
            assert_eq!(agreed.get_or_insert_with(|| same.clone()), &same);
        }
        Ok(())
    })
    // Enough for a history and three orders of it: what is drawn from nothing is always the same.
    .size_min(4_096)
    .budget_ms(6_000);
}
