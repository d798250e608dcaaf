use std::time::{Duration, Instant};

use thrum_api::limits::{APPEND_MAX_EVENTS, PULL_MAX_EVENTS};

use super::bare::{Bare, Rows};
use super::connection::Connection;
use super::figure::{Figure, Target};
use super::sample::{Sample, mebibytes, tell, words};
use super::size::Size;
use crate::harness::{Daemon, Setup, event_of, process};

/// An event that says this much has about 550 bytes.
const TEXT_BYTES: usize = 240;
const LIMIT: Duration = Duration::from_secs(600);

pub(super) fn setup(name: &str) -> Setup {
    Setup::new(name).env("THRUM_LOG", "warn")
}

/// The draft of a message of a usual size.
pub(super) fn message(number: usize) -> thrum_api::Draft {
    thrum_api::Draft { event_type: "message.sent".to_owned(), ..event_of(&body(number)) }
}

/// What it says.
pub(super) fn body(number: usize) -> serde_json::Value {
    let text = format!("{number:0TEXT_BYTES$}");
    serde_json::json!({ "from": "planner", "to": ["coder"], "text": text })
}

/// Fills a log with messages.
pub(super) fn fill(daemon: &Daemon, count: usize) {
    let mut connection = Connection::open(daemon);
    let mut written = 0;
    while written < count {
        let end = count.min(written + APPEND_MAX_EVENTS);
        connection.append((written..end).map(message).collect());
        written = end;
    }
}

pub(super) fn measure(size: Size) -> Vec<Figure> {
    let count = size.of(100_000);
    let rounds = if size == Size::Full { 3 } else { 1 };
    tell(&format!("bootstrap: writing {count} events"));
    let full = setup("full").start();
    fill(&full, count);
    let rows = Rows::of(full.state());
    process::forget_peak(full.pid());
    let (mut ours, mut bare) = (Sample::default(), Sample::default());
    let (mut peak_serving, mut peak_pulling) = (0, 0);
    for round in 1..=rounds {
        tell(&format!("bootstrap: pull {round} of {rounds}"));
        let empty = setup(&format!("empty-{round}")).start();
        let session = full.open_pairing();
        let start = Instant::now();
        empty.join(&full, session.code.expose()).expect("to be paired");
        wait_for_head(&empty, count as u64);
        ours.push(start.elapsed());
        peak_pulling = peak_pulling.max(process::peak_bytes(empty.pid()));
        peak_serving = peak_serving.max(process::peak_bytes(full.pid()));
        drop(empty);
        tell(&format!("bootstrap: bare insert {round} of {rounds}"));
        let mut database = Bare::new(&rows);
        bare.time(|| rows.rows.chunks(PULL_MAX_EVENTS).for_each(|batch| database.commit(batch)));
    }
    let peak = peak_pulling.max(peak_serving);
    vec![
        Figure::new(
            "bootstrap_rate",
            "bootstrap pull, against bare inserts of the same rows",
            (bare.median() / ours.median(), "x"),
            Target::AtLeast(0.6),
            format!(
                "{count} events of {} bytes: {} pulled, {} bare",
                rows.mean_bytes(),
                words(ours.median()),
                words(bare.median())
            ),
        ),
        Figure::new(
            "bootstrap_peak_memory",
            "resident memory during the bootstrap, at most",
            (mebibytes(peak), "MiB"),
            Target::AtMost(64.0),
            format!(
                "{:.1} MiB pulling, {:.1} MiB serving",
                mebibytes(peak_pulling),
                mebibytes(peak_serving)
            ),
        ),
    ]
}

pub(super) fn wait_for_head(daemon: &Daemon, head: u64) {
    let start = Instant::now();
    let mut connection = Connection::open(daemon);
    loop {
        let health = connection.call::<thrum_api::local::Health>(&thrum_api::Empty {});
        if health.head_seq.0 >= head {
            return;
        }
        assert!(start.elapsed() < LIMIT, "only {} of {head} events came", health.head_seq);
        std::thread::sleep(Duration::from_millis(5));
    }
}
