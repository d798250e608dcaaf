use serde_json::json;
use thrum_api::limits::APPEND_MAX_EVENTS;
use thrum_api::local::{
    ConversationList, ConversationListParams, MessageList, MessageListParams, MessageListResult,
};
use thrum_api::{Draft, Sequence};

use super::bootstrap::{message, setup};
use super::connection::Connection;
use super::figure::{Figure, Target};
use super::sample::{Sample, tell, words};
use super::size::Size;
use crate::harness::{Daemon, event_of};

/// Messages of a page: as many as the short log has.
const PAGE: usize = 10;
/// Messages to all that are listed.
const TO_ALL: usize = 50;
/// A person notices what takes longer.
const LIMIT_MS: f64 = 50.0;

pub(super) fn measure(size: Size) -> Vec<Figure> {
    let mut figures = pages(size);
    figures.push(to_all(size));
    figures
}

/// The newest messages and conversations, and those of the middle, in a long log and in a short one.
fn pages(size: Size) -> Vec<Figure> {
    let (many, count) = (size.of(200_000), size.of(200));
    tell(&format!("overview: {count} pages of {PAGE} and of {many} messages"));
    let logs = [PAGE, many].map(filled);
    let mut connections = logs.each_ref().map(Connection::open);
    let middle = Some(Sequence(many as u64 / 2));
    // Digests them all, and is not measured.
    list(&mut connections[1], None);
    let mut samples = [(); 5].map(|()| Sample::default());
    for _ in 0..count {
        let [short, long] = &mut connections;
        let [of_short, newest, of_middle, few, talks] = &mut samples;
        of_short.time(|| list(short, None));
        newest.time(|| list(long, None));
        of_middle.time(|| list(long, middle));
        few.time(|| conversations(short));
        talks.time(|| conversations(long));
    }
    let [short, newest, middle, few, talks] = samples.map(|sample| sample.median());
    vec![
        Figure::new(
            "message_list",
            "a page of messages, the newest or from the middle, of 200,000 against 10",
            (newest.max(middle) / short, "x"),
            Target::AtMost(2.0),
            format!(
                "{PAGE} messages: the newest of {many} {}, of the middle {}, all of {PAGE} {}",
                words(newest),
                words(middle),
                words(short)
            ),
        ),
        Figure::new(
            "conversation_list",
            "a page of conversations of 200,000 messages against 10",
            (talks / few, "x"),
            Target::AtMost(2.0),
            format!("of {many} messages {}, of {PAGE} {}", words(talks), words(few)),
        ),
    ]
}

/// A log of messages, some of which answer others.
fn filled(count: usize) -> Daemon {
    let daemon = setup("listed").start();
    let mut connection = Connection::open(&daemon);
    let mut previous = None;
    let mut left = count;
    while left > 0 {
        // An answer names a message that is there.
        let events = (0..left.min(APPEND_MAX_EVENTS)).map(|number| match (number, &previous) {
            (0, Some(root)) => said(&json!({ "reply_to": root, "thread": root })),
            _ => said(&json!({})),
        });
        let appended = connection.append(events.collect());
        left -= appended.len();
        previous = appended
            .last()
            .map(|it| json!({ "event_id": it.event_id, "origin_daemon": daemon.id() }));
    }
    daemon
}

fn said(more: &serde_json::Value) -> Draft {
    let mut body = json!({ "from": "planner", "to": ["coder"], "text": "the build is green" });
    if let (Some(body), Some(more)) = (body.as_object_mut(), more.as_object()) {
        body.extend(more.clone());
    }
    Draft { event_type: "message.sent".to_owned(), ..event_of(&body) }
}

fn list(connection: &mut Connection, before: Option<Sequence>) -> MessageListResult {
    let params = MessageListParams {
        agent: Some("coder".to_owned()),
        project: message(0).project,
        before,
        limit: Some(PAGE.try_into().unwrap()),
        ..MessageListParams::default()
    };
    let listed = connection.call::<MessageList>(&params);
    assert_eq!(listed.messages.len(), PAGE);
    listed
}

fn conversations(connection: &mut Connection) {
    let params = ConversationListParams {
        agent: Some("coder".to_owned()),
        project: message(0).project,
        limit: Some(PAGE.try_into().unwrap()),
        ..ConversationListParams::default()
    };
    assert_eq!(connection.call::<ConversationList>(&params).conversations.len(), PAGE);
}

/// A page of messages to all of 5,000 agents, who have not read them.
fn to_all(size: Size) -> Figure {
    let (agents, count) = (size.of(5_000), size.of(40));
    tell(&format!("overview: {count} pages of messages to {agents} agents"));
    let daemon = setup("told").start();
    let mut connection = Connection::open(&daemon);
    let joins: Vec<_> = (0..agents).map(joined).collect();
    for page in joins.chunks(APPEND_MAX_EVENTS) {
        connection.append(page.to_vec());
    }
    let told = (0..TO_ALL).map(|_| {
        let body = json!({ "from": "planner", "all": true, "text": "the build is green" });
        Draft { event_type: "message.sent".to_owned(), ..event_of(&body) }
    });
    connection.append(told.collect());
    let params = MessageListParams {
        limit: Some(TO_ALL.try_into().unwrap()),
        ..MessageListParams::default()
    };
    let mut sample = Sample::default();
    for _ in 0..count {
        let listed = sample.time(|| connection.call::<MessageList>(&params));
        assert!(listed.messages.iter().all(|it| it.delivery.total == agents as u64));
    }
    Figure::new(
        "message_list_to_all",
        "a page of 50 messages to all of 5,000 agents",
        (sample.median() * 1e3, "ms"),
        Target::AtMost(LIMIT_MS),
        format!("{TO_ALL} messages to {agents} agents"),
    )
}

fn joined(number: usize) -> Draft {
    let body = json!({ "agent": format!("agent{number}") });
    Draft { event_type: "agent.joined".to_owned(), ..event_of(&body) }
}
