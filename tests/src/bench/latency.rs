use std::sync::mpsc;
use std::time::{Duration, Instant};

use thrum_api::limits::PULL_MAX_EVENTS;
use thrum_api::local::{
    MarkReadParams, MessageMarkRead, MessageRef, MessageSend, MessageSendParams, MessageWait,
    WaitParams,
};

use super::bare::{Bare, Rows};
use super::bootstrap::{fill, message, setup};
use super::connection::{Connection, Echo, Events};
use super::figure::{Figure, Target};
use super::sample::{Sample, tell, words};
use super::size::Size;
use crate::harness::{Daemon, pair};

const LIMIT: Duration = Duration::from_secs(30);

pub(super) fn measure(size: Size) -> Vec<Figure> {
    let count = size.of(400);
    let (here, there) = (setup("here").start(), setup("there").start());
    pair(&here, &there);
    fill(&here, PULL_MAX_EVENTS);
    let rows = Rows::of(here.state());
    tell(&format!("latency: {count} events, one after the other"));
    let (events, bare) = events(&here, &there, &rows, count);
    tell(&format!("latency: {count} messages to one who waits"));
    let messages = messages(&here, &there, count);
    let baseline = |share| words(bare.quantile(share));
    let figure = |id, what, share: f64, target, sample: &Sample| {
        let value = (sample.quantile(share) / bare.quantile(share), "x");
        let (ours, bare) = (words(sample.quantile(share)), baseline(share));
        let detail = format!("{ours}, against one bare commit and one round trip: {bare}");
        Figure::new(id, what, value, target, detail)
    };
    let what = "acknowledged here until readable at the peer";
    vec![
        figure("latency_p50", what, 0.5, Target::AtMost(2.0), &events),
        figure("latency_p99", "the same, 99 of 100", 0.99, Target::None, &events),
        figure(
            "message_latency_p50",
            "acknowledged here until `wait` at the peer returns",
            0.5,
            Target::None,
            &messages,
        ),
    ]
}

/// Appends here, watches the stream of events there. In turns with the bare thing: from the acknowledgement on, that is
/// the way to the peer and its commit.
fn events(here: &Daemon, there: &Daemon, rows: &Rows, count: usize) -> (Sample, Sample) {
    let mut bare = Sample::default();
    let mut echo = Echo::start();
    let mut peer = Bare::new(rows);
    let ours = travel(here, there, count, |number, event| {
        let row = &rows.rows[number % rows.rows.len()..][..1];
        let row = renumbered(row, number);
        bare.time(|| {
            echo.round_trip(event.as_bytes());
            peer.commit(&row);
        });
    });
    (ours, bare)
}

/// Appends here, watches the stream of events there: from the acknowledgement until it is readable.
/// After each event there is a turn for something else.
pub(super) fn travel(
    here: &Daemon,
    there: &Daemon,
    count: usize,
    mut turn: impl FnMut(usize, &str),
) -> Sample {
    let mut ours = Sample::default();
    let mut connection = Connection::open(here);
    crate::harness::converge(LIMIT, &[here, there]);
    let mut stream = Events::after(there, there.health().head_seq);
    let (arrived, arrivals) = mpsc::channel();
    std::thread::spawn(move || {
        for _ in 0..count {
            let event = stream.next();
            if arrived.send((Instant::now(), event)).is_err() {
                return;
            }
        }
    });
    for number in 0..count {
        let written = connection.append(vec![message(number)]);
        let acknowledged = Instant::now();
        let (at, event) = arrivals.recv_timeout(LIMIT).expect("the event at the peer");
        assert!(event.contains(&written[0].event_id.to_string()), "another event came: {event}");
        ours.push(at.saturating_duration_since(acknowledged));
        turn(number, &event);
    }
    ours
}

/// The same row at another position, so that it can be inserted again.
pub(super) fn renumbered(
    row: &[Vec<rusqlite::types::Value>],
    number: usize,
) -> Vec<Vec<rusqlite::types::Value>> {
    use rusqlite::types::Value;
    let mut row = row.to_vec();
    for values in &mut row {
        // As in the table: `sequence`, then the 16 bytes of `event_id`.
        values[0] = Value::Integer(number as i64 + 1);
        values[1] = Value::Blob(ulid::Ulid::from(number as u128 + 1).to_bytes().to_vec());
    }
    row
}

/// Sends here to an agent that waits there.
fn messages(here: &Daemon, there: &Daemon, count: usize) -> Sample {
    let mut sample = Sample::default();
    let mut sender = Connection::open(here);
    let mut reader = Connection::open(there);
    let (arrived, arrivals) = mpsc::channel();
    std::thread::spawn(move || {
        for _ in 0..count {
            let wait = WaitParams {
                agent: "listener".to_owned(),
                project: Some("test".to_owned()),
                timeout_ms: 60_000,
                limit: Some(1),
                ..WaitParams::default()
            };
            let message = reader.call::<MessageWait>(&wait).messages.pop().expect("a message");
            let at = Instant::now();
            let messages = vec![MessageRef::from(&message)];
            let agent = "listener".to_owned();
            let read = MarkReadParams { agent, messages, ..MarkReadParams::default() };
            reader.call::<MessageMarkRead>(&read);
            if arrived.send(at).is_err() {
                return;
            }
        }
    });
    for number in 0..count {
        let letter = MessageSendParams {
            from: "planner".to_owned(),
            to: vec!["listener".to_owned()],
            text: format!("{number:0200}"),
            project: "test".to_owned(),
            ..MessageSendParams::default()
        };
        sender.call::<MessageSend>(&letter);
        let acknowledged = Instant::now();
        let at = arrivals.recv_timeout(LIMIT).expect("the message at the peer");
        // What arrived before the waiter asked again would say nothing of waking it.
        std::thread::sleep(Duration::from_millis(1));
        sample.push(at.saturating_duration_since(acknowledged));
    }
    sample
}
