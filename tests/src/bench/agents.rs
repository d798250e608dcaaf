//! Agents: how long it takes to see them, and what it costs that they talk.

use std::io::{BufRead as _, BufReader};
use std::process::Stdio;
use std::sync::mpsc;
use std::time::{Duration, Instant};

use serde_json::json;
use thrum_api::limits::{APPEND_MAX_EVENTS, PULL_MAX_EVENTS};
use thrum_api::local::{
    AgentList, AgentListParams, InboxParams, MessageInbox, MessageSend, MessageSendParams,
};

use super::bare::{Bare, Rows};
use super::bootstrap::{fill, setup};
use super::connection::{Connection, Echo};
use super::figure::{Figure, Target};
use super::latency::renumbered;
use super::sample::{Sample, tell, words};
use super::size::Size;
use crate::harness::{Client, LONG, converge, event_of, pair};

const LIMIT: Duration = Duration::from_secs(60);
const PROJECT: &str = "test";
/// Longer than `thrum wait` watches whether its reader stays, before it marks a message as read.
const READER_WATCHED: Duration = Duration::from_millis(100);

pub(super) fn measure(size: Size) -> Vec<Figure> {
    let mut figures = vec![team(size), inbox(size)];
    figures.extend(waiting(size));
    figures
}

/// The list of 1,000 agents with a session each.
fn team(size: Size) -> Figure {
    let (count, rounds) = (size.of(1_000), size.of(100));
    tell(&format!("agents: a list of {count}, {rounds} times"));
    let daemon = setup("team").start();
    let mut connection = Connection::open(&daemon);
    let events: Vec<_> = (0..count).flat_map(|number| one(&format!("agent-{number}"))).collect();
    for page in events.chunks(APPEND_MAX_EVENTS) {
        connection.append(page.to_vec());
    }
    let params = AgentListParams { project: Some(PROJECT.to_owned()), all: false };
    let mut sample = Sample::default();
    for _ in 0..rounds {
        let listed = sample.time(|| connection.call::<AgentList>(&params).agents.len());
        assert_eq!(listed, count);
    }
    Figure::new(
        "team",
        "a list of 1,000 agents and what they do",
        (sample.median() * 1e3, "ms"),
        Target::AtMost(20.0),
        format!("{} for {count}", words(sample.median())),
    )
}

/// An agent that has joined, and what it does.
fn one(agent: &str) -> [thrum_api::Draft; 2] {
    let session = json!({
        "id": "s1", "tool": "claude", "state": "working", "task": "the parser", "branch": "main",
        "since": "2026-01-01T00:00:00Z",
    });
    [
        draft("agent.joined", &json!({ "agent": agent })),
        draft("agent.sessions", &json!({ "agent": agent, "sessions": [session] })),
    ]
}

fn draft(event_type: &str, body: &serde_json::Value) -> thrum_api::Draft {
    let project = Some(PROJECT.to_owned());
    thrum_api::Draft { event_type: event_type.to_owned(), project, ..event_of(body) }
}

/// An inbox of 50,000 unread messages.
fn inbox(size: Size) -> Figure {
    let (count, rounds) = (size.of(50_000), size.of(100));
    tell(&format!("agents: an inbox of {count} messages, {rounds} times"));
    let daemon = setup("inbox").start();
    fill(&daemon, count);
    let mut connection = Connection::open(&daemon);
    let project = super::bootstrap::message(0).project;
    let params = InboxParams { agent: "coder".to_owned(), project, ..InboxParams::default() };
    let mut sample = Sample::default();
    assert_eq!(connection.call::<MessageInbox>(&params).unread, count as u64);
    for _ in 0..rounds {
        sample.time(|| connection.call::<MessageInbox>(&params));
    }
    Figure::new(
        "inbox_of_50000",
        "an inbox with 50,000 unread messages",
        (sample.median() * 1e3, "ms"),
        Target::AtMost(50.0),
        format!("{} with {count}", words(sample.median())),
    )
}

/// From the acknowledgement here until `thrum wait` at the peer has printed the message.
fn waiting(size: Size) -> Vec<Figure> {
    let count = size.of(300);
    tell(&format!("agents: {count} messages to a `thrum wait` at the peer"));
    let (here, there) = (setup("here").start(), setup("there").start());
    pair(&here, &there);
    fill(&here, PULL_MAX_EVENTS);
    converge(LONG, &[&here, &there]);
    let rows = Rows::of(here.state());
    let (mut echo, mut database) = (Echo::start(), Bare::new(&rows));
    let (mut ours, mut bare) = (Sample::default(), Sample::default());
    let mut connection = Connection::open(&here);
    let client = Client::new(&there).env("THRUM_AGENT", "listener");
    let mut waiter = client
        .command(&["wait", "--follow"])
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .expect("thrum wait");
    let printed = BufReader::new(waiter.stdout.take().expect("its output"));
    let (arrived, arrivals) = mpsc::channel();
    std::thread::spawn(move || {
        for line in printed.lines().map_while(Result::ok) {
            if arrived.send((Instant::now(), line)).is_err() {
                return;
            }
        }
    });
    for number in 0..=count {
        let text = format!("{number:0200}");
        let letter = MessageSendParams {
            from: "planner".to_owned(),
            to: vec!["listener".to_owned()],
            text: text.clone(),
            project: PROJECT.to_owned(),
            ..MessageSendParams::default()
        };
        connection.call::<MessageSend>(&letter);
        let acknowledged = Instant::now();
        let (at, line) = arrivals.recv_timeout(LIMIT).expect("the message at the peer");
        assert!(line.contains(&text), "another line came: {line}");
        // The first one may find a waiter that has not begun.
        if number > 0 {
            ours.push(at.saturating_duration_since(acknowledged));
        }
        let row = renumbered(&rows.rows[number % rows.rows.len()..][..1], 2 * number);
        let next = renumbered(&rows.rows[number % rows.rows.len()..][..1], 2 * number + 1);
        // What arrives before the waiter asks again would say nothing of waking it: it first watches whether its reader
        // stays. The bare thing has the same pause before it, after which a processor is as slow to wake.
        std::thread::sleep(READER_WATCHED);
        bare.time(|| {
            database.commit(&row);
            echo.round_trip(line.as_bytes());
            database.commit(&next);
        });
        std::thread::sleep(READER_WATCHED);
    }
    let _gone = (waiter.kill(), waiter.wait());
    let figure = |id, what, share: f64, target| {
        let (ours, bare) = (ours.quantile(share), bare.quantile(share));
        let detail = format!(
            "{}, against two bare commits and one round trip: {}",
            words(ours),
            words(bare)
        );
        Figure::new(id, what, (ours / bare, "x"), target, detail)
    };
    vec![
        figure(
            "wait_latency_p50",
            "acknowledged here until `thrum wait` at the peer has printed it",
            0.5,
            Target::AtMost(2.0),
        ),
        figure("wait_latency_p99", "the same, 99 of 100", 0.99, Target::AtMost(2.0)),
    ]
}
