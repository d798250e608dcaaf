//! Messages to all: who has which of them, and that they are one row each.

use std::collections::{BTreeMap, BTreeSet};

use arbtest::arbitrary::{Result, Unstructured};

use super::*;
use crate::testing::statement_runs;

fn rows(views: &Views, table: &str) -> i64 {
    let count = format!("SELECT count(*) FROM {table}");
    views.connection.query_row(&count, [], |row| row.get(0)).unwrap()
}

#[test]
fn a_message_to_all_is_one_row_however_many_readers_there_are() {
    let mut views = Views::new();
    let joins = (1..=50).map(|n| joined(n, here(), &format!("agent{n}")));
    let messages = (51..=60).map(|n| message_to_all(n, there(), "planner"));
    views.digest(&joins.chain(messages).collect::<Vec<_>>(), start());
    assert_eq!((rows(&views, "broadcasts"), rows(&views, "deliveries")), (10, 0));
    assert_eq!(rows(&views, "settled_broadcasts"), 0);
    let all: Vec<u64> = (51..=60).collect();
    assert_eq!(views.places("agent50"), (all.clone(), all.clone()));
    // One row more for each that somebody has read.
    views.mark_read("agent7", &[51, 52, 53].map(id));
    assert_eq!((rows(&views, "settled_broadcasts"), rows(&views, "deliveries")), (1, 3));
    assert_eq!(views.places("agent7"), (all, (54..=60).collect()));
}

#[test]
fn ranges_that_touch_become_one() {
    arbtest::arbtest(|u| {
        let mut views = Views::new();
        let count: u64 = u.int_in_range(1..=8)?;
        let mut events = vec![joined(1, here(), "reader")];
        events.extend((0..count).map(|n| message_to_all(n + 2, there(), "planner")));
        views.digest(&events, start());
        let mut left: Vec<u64> = (2..count + 2).collect();
        while !left.is_empty() {
            let next = left.swap_remove(u.choose_index(left.len())?);
            views.mark_read("reader", &[id(next), id(next)]);
            let read: BTreeSet<u64> = (2..count + 2).filter(|n| !left.contains(n)).collect();
            let ranges = rows(&views, "settled_broadcasts");
            let begins = read.iter().filter(|n| !read.contains(&(**n - 1))).count();
            assert_eq!(usize::try_from(ranges).unwrap(), begins, "{read:?}");
            let mut unread = left.clone();
            unread.sort_unstable();
            assert_eq!(views.places("reader").1, unread);
        }
        Ok(())
    })
    .budget_ms(1_000);
}

/// What each agent has, worked out as if every message were copied to each of its readers when it arrives.
#[derive(Default)]
struct Model {
    local: BTreeSet<&'static str>,
    /// Whether it was read, by agent and sequence.
    inboxes: BTreeMap<&'static str, BTreeMap<u64, bool>>,
}

const NAMES: [&str; 3] = ["a", "b", "c"];

impl Model {
    fn draw(&mut self, u: &mut Unstructured<'_>, sequence: u64) -> Result<SequencedEvent> {
        let origin = *u.choose(&[here(), there()])?;
        let is_here = origin == here();
        let name = *u.choose(&NAMES)?;
        if is_here {
            self.local.insert(name);
        }
        if u.ratio(1, 5)? {
            return Ok(joined(sequence, origin, name));
        }
        let all: bool = u.arbitrary()?;
        let to: Vec<&'static str> = match (all, u.arbitrary()?) {
            (true, false) => Vec::new(),
            _ => vec![u.choose(&NAMES)?],
        };
        let mut readers: BTreeSet<_> = if all { self.local.clone() } else { BTreeSet::new() };
        if is_here {
            readers.remove(name);
        }
        readers.extend(&to);
        for reader in readers {
            self.inboxes.entry(reader).or_default().insert(sequence, false);
        }
        let body = json!({ "from": name, "to": to, "all": all, "text": "t" });
        Ok(event(sequence, origin, Some(PROJECT), "message.sent", &body))
    }

    fn check(&self, views: &Views) {
        for name in NAMES {
            let has = self.inboxes.get(name).cloned().unwrap_or_default();
            let unread = has.iter().filter(|(_, read)| !**read).map(|(n, _)| *n).collect();
            assert_eq!(views.places(name), (has.into_keys().collect(), unread), "{name}");
        }
    }
}

#[test]
fn readers_have_what_they_would_have_if_each_message_were_copied_to_them() {
    arbtest::arbtest(|u| {
        let mut views = Views::new();
        let mut model = Model::default();
        let mut cursor = start();
        for sequence in 1..=u.int_in_range(1..=24)? {
            let event = model.draw(u, sequence)?;
            cursor = views.digest(&[event], cursor);
            if u.ratio(1, 3)? {
                let (reader, read) = (*u.choose(&NAMES)?, u.int_in_range(1..=sequence)?);
                views.mark_read(reader, &[id(read)]);
                if let Some(is_read) = model.inboxes.entry(reader).or_default().get_mut(&read) {
                    *is_read = true;
                }
            }
            model.check(&views);
        }
        // Read marks outlive the rest.
        views.reset().unwrap();
        let end = cursor.position;
        views.store.digest(&views.log, start(), end).unwrap();
        model.check(&views);
        Ok(())
    })
    .budget_ms(3_000);
}

#[test]
fn a_deleted_message_to_all_is_looked_for_in_inboxes_of_agents_of_this_machine_alone() {
    let mut views = Views::new();
    let event = |sequence, origin, event_type, body| {
        super::event(sequence, origin, Some(PROJECT), event_type, &body)
    };
    let strangers = (4..1004).map(|n| message_to(n, there(), "x", &[&format!("y{n}")]));
    let mut events =
        vec![joined(1, here(), "a"), joined(2, here(), "left"), joined(3, here(), "brief")];
    events.extend(strangers);
    events.extend([
        message_to_all(1004, there(), "x"),
        message_to_all(1005, there(), "x"),
        event(1006, here(), "agent.removed", json!({ "agent": "left" })),
        event(1007, here(), "agent.removed", json!({ "agent": "brief" })),
    ]);
    let cursor = views.digest(&events, start());
    views.mark_read("a", &[id(1004)]);
    for name in ["a", "left", "brief"] {
        assert_eq!(views.places(name).0, [1004, 1005], "{name}");
    }
    let delete = "DELETE FROM deliveries WHERE inbox = ? AND read = ? AND sequence = ?";
    let before = statement_runs(&views.connection, delete);
    let deletion = json!({ "from": "x", "event_id": id(1004) });
    views.digest(&[event(1008, there(), "message.deleted", deletion)], cursor);
    assert_eq!(statement_runs(&views.connection, delete) - before, 2 * 3);
    for name in ["a", "left", "brief"] {
        assert_eq!(views.places(name).0, [1005], "{name}");
    }
}

#[test]
fn a_limited_answer_has_the_oldest_of_both_kinds() {
    let mut views = Views::new();
    let events = [
        joined(1, here(), "coder"),
        message_to_all(2, there(), "planner"),
        message_to(3, there(), "planner", &["coder"]),
        message_to_all(4, there(), "planner"),
        message_to(5, there(), "planner", &["coder"]),
    ];
    views.digest(&events, start());
    let oldest = |views: &Views, limit| {
        let query = InboxQuery { limit, unread_only: true, ..query("coder", Some(PROJECT)) };
        let inbox = views.inbox(&query);
        assert_eq!(inbox.unread, 4);
        inbox.messages.iter().map(|message| message.sequence.0).collect::<Vec<_>>()
    };
    for (limit, found) in [(0, vec![]), (1, vec![2]), (3, vec![2, 3, 4]), (9, vec![2, 3, 4, 5])] {
        assert_eq!(oldest(&views, limit), found);
    }
}

/// Sequences of the messages in an answer.
fn shown(inbox: &thrum_api::local::InboxResult) -> Vec<u64> {
    inbox.messages.iter().map(|message| message.sequence.0).collect()
}

#[test]
fn over_all_projects_the_answer_is_of_all_inboxes_together() {
    const PROJECTS: [&str; 4] = ["p", "q", "r", "s"];
    arbtest::arbtest(|u| {
        let mut views = Views::new();
        let join = |n: u64| {
            let project = PROJECTS[usize::try_from(n).unwrap() - 1];
            event(n, here(), Some(project), "agent.joined", &json!({ "agent": "reader" }))
        };
        // In the last project, no message to all is for it.
        let mut events: Vec<_> = (1..=3).map(join).collect();
        let (mut unread, mut read) = (BTreeSet::new(), BTreeSet::new());
        for sequence in 4..=u.int_in_range(4..=24)? {
            let (at, all) = (u.choose_index(PROJECTS.len())?, u.arbitrary()?);
            let body = match all {
                true => json!({ "from": "planner", "all": true, "text": "t" }),
                false => json!({ "from": "planner", "to": ["reader"], "text": "t" }),
            };
            events.push(event(sequence, there(), Some(PROJECTS[at]), "message.sent", &body));
            if !(all && at == 3) {
                match u.arbitrary()? {
                    true => read.insert(sequence),
                    false => unread.insert(sequence),
                };
            }
        }
        views.digest(&events, start());
        views.mark_read("reader", &read.iter().copied().map(id).collect::<Vec<_>>());
        for limit in 0..=events.len() {
            let all = |unread_only, read_only| {
                let all = query("reader", None);
                views.inbox(&InboxQuery { limit, unread_only, read_only, ..all })
            };
            let oldest: Vec<u64> = unread.iter().copied().take(limit).collect();
            assert_eq!(shown(&all(true, false)), oldest, "of {unread:?}");
            let newest: BTreeSet<u64> = read.iter().rev().copied().take(limit).collect();
            assert_eq!(shown(&all(false, true)), Vec::from_iter(newest), "of {read:?}");
            let counts = all(false, false);
            assert_eq!((counts.unread, counts.unread_elsewhere), (unread.len() as u64, 0));
        }
        let in_projects = PROJECTS.map(|name| views.inbox(&query("reader", Some(name))));
        let counted: Vec<u64> = in_projects.iter().map(|inbox| inbox.unread).collect();
        assert_eq!(counted.iter().sum::<u64>(), unread.len() as u64);
        for inbox in &in_projects {
            assert_eq!(inbox.unread + inbox.unread_elsewhere, unread.len() as u64);
        }
        Ok(())
    })
    .budget_ms(2_000);
}
