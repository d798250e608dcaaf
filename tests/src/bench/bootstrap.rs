use std::time::{Duration, Instant};

use thrum_api::limits::{APPEND_MAX_EVENTS, PULL_MAX_EVENTS};
use thrum_api::local::{PeerRemove, PeerRemoveParams};
use thrum_api::peer::PullPage;
use thrum_api::{LogHash, Sequence};

use super::bare::{Bare, Rows};
use super::connection::Connection;
use super::figure::{Figure, Target};
use super::sample::{Sample, mebibytes, tell, words};
use super::size::Size;
use crate::harness::{Answer, Daemon, FakePeer, Origin, Setup, event_of, process};

/// An event that says this much has about 550 bytes.
const TEXT_BYTES: usize = 240;
/// How many daemons wrote the events of a log that many share.
const ORIGINS: usize = 200;
/// So many of them have fewer bytes than a page may have.
const PAGE: usize = 800;
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
    tell(&format!("bootstrap: writing {count} events"));
    let full = setup("full").start();
    fill(&full, count);
    let alone = Bootstrap::measure(&full, count, size);
    drop(full);
    tell(&format!("bootstrap: {count} events of {ORIGINS} origins"));
    let relay = relay_of(count);
    let in_turn = Bootstrap::measure(&relay, count, size);
    let (rate, cost) = alone.rate();
    let (rate_in_turn, cost_in_turn) = in_turn.rate();
    let peak = alone.peak_pulling.max(alone.peak_serving);
    vec![
        Figure::new(
            "bootstrap_rate",
            "bootstrap pull, against bare inserts of the same rows",
            (rate, "x"),
            Target::AtLeast(0.45),
            cost,
        ),
        Figure::new(
            "bootstrap_in_turn",
            "the same from a relay, of events of 200 origins in turn",
            (rate_in_turn, "x"),
            Target::AtLeast(0.3),
            cost_in_turn,
        ),
        Figure::new(
            "bootstrap_peak_memory",
            "resident memory during the bootstrap, at most",
            (mebibytes(peak), "MiB"),
            Target::AtMost(64.0),
            format!(
                "{:.1} MiB pulling, {:.1} MiB serving",
                mebibytes(alone.peak_pulling),
                mebibytes(alone.peak_serving)
            ),
        ),
    ]
}

/// What new daemons took to pull a whole log, and bare inserts of its rows.
struct Bootstrap {
    events: usize,
    mean_bytes: usize,
    pulled: Sample,
    bare: Sample,
    peak_serving: u64,
    peak_pulling: u64,
}

impl Bootstrap {
    fn measure(full: &Daemon, events: usize, size: Size) -> Self {
        let rounds = if size == Size::Full { 3 } else { 1 };
        let rows = Rows::of(full.state());
        process::forget_peak(full.pid());
        let (pulled, bare) = (Sample::default(), Sample::default());
        let (peak_serving, peak_pulling, mean_bytes) = (0, 0, rows.mean_bytes());
        let mut it = Self { events, mean_bytes, pulled, bare, peak_serving, peak_pulling };
        for round in 1..=rounds {
            tell(&format!("bootstrap: pull {round} of {rounds}"));
            let empty = setup(&format!("empty-{round}")).start();
            let session = full.open_pairing();
            let start = Instant::now();
            empty.join(full, session.code.expose()).expect("to be paired");
            wait_for_head(&empty, events as u64);
            it.pulled.push(start.elapsed());
            it.peak_pulling = it.peak_pulling.max(process::peak_bytes(empty.pid()));
            it.peak_serving = it.peak_serving.max(process::peak_bytes(full.pid()));
            drop(empty);
            tell(&format!("bootstrap: bare insert {round} of {rounds}"));
            let mut bare = Bare::new(&rows);
            it.bare.time(|| rows.rows.chunks(PULL_MAX_EVENTS).for_each(|batch| bare.commit(batch)));
        }
        it
    }

    /// Against bare inserts, and what both took.
    fn rate(&self) -> (f64, String) {
        let (pulled, bare) = (self.pulled.median(), self.bare.median());
        let Self { events, mean_bytes, .. } = self;
        let (was, would_be) = (words(pulled), words(bare));
        let said = format!("{events} events of {mean_bytes} bytes: {was} pulled, {would_be} bare");
        (bare / pulled, said)
    }
}

/// A daemon whose log holds so many events, of other daemons in turn.
fn relay_of(count: usize) -> Daemon {
    let mut origins: Vec<Origin> = (0..ORIGINS).map(|_| Origin::new()).collect();
    let mut pages = Vec::new();
    for first in (0..count).step_by(PAGE) {
        let next = (first + PAGE).min(count);
        let mut written = vec![Vec::new(); ORIGINS];
        for n in first..next {
            let text = origins[n % ORIGINS].draft(&body(n).to_string());
            written[n % ORIGINS].push(origins[n % ORIGINS].write(text).at(n as u64 + 1));
        }
        let of_one = origins.iter().zip(&written).filter(|(_, written)| !written.is_empty());
        pages.push(PullPage {
            runs: of_one.map(|(origin, written)| origin.run(written)).collect(),
            next_seq: Sequence(next as u64),
            next_hash: Some(LogHash(next as u64)),
            more_available: next < count,
            head_seq: Sequence(count as u64),
            floor_seq: Sequence::ZERO,
            epoch: None,
            held_seq: None,
        });
    }
    let mut fake = FakePeer::new(move |heard| {
        let after = heard.params["after_seq"].as_u64().unwrap_or(0) as usize;
        let page = pages.get(after.div_ceil(PAGE))?;
        (heard.method == "sync.pull").then(|| Answer::Page(Box::new(page.clone())))
    });
    let relay = setup("relay").start();
    fake.joins(&relay);
    wait_for_head(&relay, count as u64);
    relay.ask::<PeerRemove>(PeerRemoveParams { peer: "fake".to_owned() });
    relay
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
