//! The conversations of a project or of all, page by page.

use std::collections::{BTreeMap, BTreeSet};

use arbtest::arbitrary::{Result, Unstructured};
use serde_json::json;
use thrum_api::event::EventRef;
use thrum_api::local::ConversationListResult;

use super::super::message_list::{ListQuery, Place};
use super::super::reach::Machines;
use super::*;
use crate::log::LogHead;

const OTHER: &str = "github.com/acme/web";

fn ask(views: &Views, project: Option<&str>, before: i64, limit: usize) -> ConversationListResult {
    let (agent, project) = (Some("coder".to_owned()), project.map(str::to_owned));
    let query = ListQuery { agent, project, from: Place::Before(before), limit };
    let head = LogHead { epoch: start().epoch, position: LogPosition::START };
    let listed = views.conversation_list(&views.log, &query, &Machines::default(), head).unwrap();
    assert_eq!(listed.damaged, []);
    listed.result
}

/// The conversations of all pages: where the newest message of each is, and the first one, and how many answers it has.
fn all_pages(
    views: &Views,
    project: Option<&str>,
    limit: usize,
) -> Vec<(EventRef, u64, Option<u64>, u64)> {
    let (mut all, mut before) = (Vec::new(), i64::MAX);
    loop {
        let page = ask(views, project, before, limit);
        assert!(page.conversations.len() <= limit);
        all.extend(page.conversations.into_iter().map(|it| {
            let first = it.first.map(|first| first.sequence.0);
            (it.thread, it.last.message.sequence.0, first, it.replies)
        }));
        match page.next {
            Some(next) => before = int(next.0),
            None => return all,
        }
        assert!(all.len() <= 1000, "pages without an end");
    }
}

fn of(number: u64) -> EventRef {
    EventRef { event_id: id(number), origin_daemon: there() }
}

/// A message of a conversation, or the first one of one.
fn said(sequence: u64, project: Option<&str>, root: Option<u64>) -> SequencedEvent {
    let mut body = json!({ "from": "planner", "to": ["coder"], "text": format!("n {sequence}") });
    if let Some(root) = root {
        body["reply_to"] = json!(of(root));
        body["thread"] = json!(of(root));
    }
    event(sequence, there(), project, "message.sent", &body)
}

fn deleted(sequence: u64, project: Option<&str>, message: u64) -> SequencedEvent {
    let body = json!({ "from": "planner", "event_id": id(message) });
    event(sequence, there(), project, "message.deleted", &body)
}

#[test]
fn a_conversation_stands_where_its_newest_message_is() {
    let mut views = Views::new();
    let events = [
        said(1, Some(PROJECT), None),
        said(2, Some(PROJECT), None),
        said(3, Some(PROJECT), Some(1)),
        said(4, Some(OTHER), None),
        said(5, Some(PROJECT), Some(1)),
        // The first message of this one is not here, and that of the next comes after its answer.
        said(6, Some(PROJECT), Some(99)),
        said(7, Some(PROJECT), Some(8)),
        said(8, Some(PROJECT), None),
    ];
    views.digest(&events, start());
    let wanted = [
        (of(8), 8, Some(8), 1),
        (of(99), 6, None, 1),
        (of(1), 5, Some(1), 2),
        (of(2), 2, Some(2), 0),
    ];
    for limit in [1, 2, 3, 100] {
        assert_eq!(all_pages(&views, Some(PROJECT), limit), wanted, "{limit}");
        assert_eq!(all_pages(&views, None, limit).len(), 5);
    }
    assert_eq!(all_pages(&views, Some("unknown/project"), 10), []);
    let page = ask(&views, Some(PROJECT), i64::MAX, 100);
    assert!(!page.conversations[2].last.message.read, "coder has not read it");
    views.mark_read("coder", &[id(5)]);
    let page = ask(&views, Some(PROJECT), i64::MAX, 100);
    let conversation = &page.conversations[2];
    assert!(conversation.last.message.read && !conversation.first.as_ref().unwrap().read);
    assert_eq!(conversation.last.replies, None, "it is an answer");
}

#[test]
fn one_that_goes_on_between_two_pages_is_on_none_of_the_later_ones() {
    let mut views = Views::new();
    let events: Vec<_> = (1..=6).map(|n| said(n, Some(PROJECT), None)).collect();
    let cursor = views.digest(&events, start());
    let first = ask(&views, Some(PROJECT), i64::MAX, 2);
    views.digest(&[said(7, Some(PROJECT), Some(3))], cursor);
    let second = ask(&views, Some(PROJECT), int(first.next.unwrap().0), 10);
    let roots: Vec<_> = second.conversations.iter().map(|it| it.thread).collect();
    assert_eq!(roots, [of(4), of(2), of(1)], "3 is on the first page now");
}

#[test]
fn one_whose_newest_answer_was_lost_stands_where_the_one_before_is() {
    let mut views = Views::new();
    let roots = [None, None, Some(1), Some(2), Some(1), Some(1)];
    let events: Vec<_> = (1..).zip(roots).map(|(n, root)| said(n, Some(PROJECT), root)).collect();
    views.digest(&events, start());
    views.rows.execute("DELETE FROM events WHERE sequence > 4", []).unwrap();
    for project in [Some(PROJECT), None] {
        let all = all_pages(&views, project, 10);
        let places: Vec<_> = all.iter().map(|(root, last, ..)| (*root, *last)).collect();
        assert_eq!(places, [(of(2), 4), (of(1), 3)]);
    }
}

#[test]
fn a_long_conversation_among_others_hides_none_of_them() {
    let mut views = Views::new();
    let mut events = vec![said(1, Some(PROJECT), None), said(2, Some(PROJECT), None)];
    events.extend((3..=6000).map(|n| said(n, Some(PROJECT), Some(2))));
    // In one transaction of the log, which takes less time.
    views.rows.execute_batch("BEGIN").unwrap();
    views.write(&events, |_| false);
    views.rows.execute_batch("COMMIT").unwrap();
    views.digest(&events, start());
    let page = ask(&views, Some(PROJECT), i64::MAX, 20);
    assert_eq!((page.conversations.len(), page.next.is_some()), (1, true), "it is a page");
    let all = all_pages(&views, Some(PROJECT), 20);
    assert_eq!(all, [(of(2), 6000, Some(2), 1000), (of(1), 1, Some(1), 0)]);
}

#[test]
fn conversations_with_long_texts_fill_several_pages() {
    let mut views = Views::new();
    let text = "x".repeat(120 * 1024);
    let long = |n: u64, root: Option<u64>| {
        let mut body = json!({ "from": "planner", "to": ["coder"], "text": text });
        if let Some(root) = root {
            body["thread"] = json!(of(root));
        }
        event(n, there(), Some(PROJECT), "message.sent", &body)
    };
    let events: Vec<_> = (1..=80).map(|n| long(n, (n > 40).then(|| n - 40))).collect();
    views.digest(&events, start());
    let page = ask(&views, None, i64::MAX, 100);
    assert!(page.conversations.len() < 40 && page.next.is_some());
    let all = all_pages(&views, None, 100);
    let wanted: Vec<_> = (1..=40).rev().map(|n| (of(n), n + 40, Some(n), 1)).collect();
    assert_eq!(all, wanted);
}

/// A message that the model knows: its position, project and conversation.
type Known = (u64, Option<&'static str>, u64);

fn drawn(u: &mut Unstructured<'_>, messages: &mut Vec<Known>, at: u64) -> Result<SequencedEvent> {
    if u.ratio(1, 8)? && !messages.is_empty() {
        let (number, project, _) = messages.remove(u.choose_index(messages.len())?);
        return Ok(deleted(at, project, number));
    }
    let project = *u.choose(&[Some(PROJECT), Some(OTHER), None])?;
    // Also of one that was deleted, or comes later, or is of another project.
    let root = if u.ratio(2, 3)? { Some(u.int_in_range(1..=at + 3)?) } else { None };
    let root = root.filter(|root| *root != at);
    messages.push((at, project, root.unwrap_or(at)));
    Ok(said(at, project, root))
}

#[test]
fn pages_are_as_a_look_at_all_messages_says() {
    arbtest::arbtest(|u| {
        let (mut views, mut messages, mut cursor) = (Views::new(), Vec::new(), start());
        let count = u.int_in_range(1..=60)?;
        let events =
            (1..=count).map(|at| drawn(u, &mut messages, at)).collect::<Result<Vec<_>>>()?;
        let mut rest = events.as_slice();
        while !rest.is_empty() {
            let (page, later) = rest.split_at(u.int_in_range(1..=rest.len())?);
            cursor = views.digest(page, cursor);
            rest = later;
        }
        let here: BTreeSet<u64> = messages.iter().map(|(at, ..)| *at).collect();
        for project in [None, Some(PROJECT), Some(OTHER)] {
            let mut newest: BTreeMap<u64, u64> = BTreeMap::new();
            let mut answers: BTreeMap<u64, u64> = BTreeMap::new();
            for (at, of_project, root) in &messages {
                if root != at {
                    *answers.entry(*root).or_default() += 1;
                }
                if project.is_none() || project == *of_project {
                    let newest = newest.entry(*root).or_default();
                    *newest = (*newest).max(*at);
                }
            }
            let mut wanted: Vec<_> = newest
                .into_iter()
                .map(|(root, last)| {
                    let first = here.contains(&root).then_some(root);
                    (of(root), last, first, answers.get(&root).copied().unwrap_or(0))
                })
                .collect();
            wanted.sort_by_key(|(_, last, ..)| std::cmp::Reverse(*last));
            assert_eq!(all_pages(&views, project, u.int_in_range(1..=7)?), wanted);
        }
        Ok(())
    })
    .budget_ms(3_000);
}
