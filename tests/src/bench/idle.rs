use std::time::Duration;

use super::bootstrap::{fill, setup};
use super::connection::Events;
use super::figure::{Figure, Target};
use super::sample::{mebibytes, tell};
use super::size::Size;
use crate::harness::{LONG, converge, pair, process};

/// Longer than tokio keeps threads that have nothing to do.
const SETTLE: Duration = Duration::from_secs(15);

pub(super) fn measure(size: Size) -> Vec<Figure> {
    let minute = Duration::from_secs(if size == Size::Full { 60 } else { 5 });
    // Where it could be scraped costs nothing while nobody does.
    let start = |name| setup(name).env("THRUM_METRICS_LISTEN", "127.0.0.1:0").start();
    let daemons = ["idle", "one", "two"].map(start);
    let [idle, one, two] = &daemons;
    pair(idle, one);
    pair(idle, two);
    fill(idle, 100);
    fill(one, 100);
    converge(LONG, &[idle, one, two]);
    // One of them is shown by somebody.
    let mut shown = Events::changes(one);
    shown.next();
    tell("idle: letting three daemons come to rest");
    std::thread::sleep(SETTLE);
    let before = [idle, one].map(|daemon| process::Effort::of(daemon.pid()));
    tell(&format!("idle: watching for {} s", minute.as_secs()));
    std::thread::sleep(minute);
    let after = [idle, one].map(|daemon| process::Effort::of(daemon.pid()));
    let wakes = after[0].wakes_since(&before[0]);
    let processor = after[0].processor.saturating_sub(before[0].processor);
    let wakes_shown = after[1].wakes_since(&before[1]);
    drop(shown);
    vec![
        Figure::new(
            "idle_memory",
            "resident memory, idle with two peers",
            (mebibytes(process::resident_bytes(idle.pid())), "MiB"),
            Target::AtMost(13.0),
            format!("{:.1} MiB at most so far", mebibytes(process::peak_bytes(idle.pid()))),
        ),
        Figure::new(
            "idle_wakes",
            "wake-ups of all threads in an idle minute with two peers",
            (wakes as f64, ""),
            Target::AtMost(0.0),
            format!("{} us of processor time in {} s", processor.as_micros(), minute.as_secs()),
        ),
        Figure::new(
            "idle_wakes_shown",
            "wake-ups of all threads in an idle minute with a reader of GET /changes",
            (wakes_shown as f64, ""),
            Target::AtMost(0.0),
            format!("in {} s, with a peer", minute.as_secs()),
        ),
    ]
}
