use std::time::Duration;

use super::bootstrap::{fill, setup};
use super::figure::{Figure, Target};
use super::sample::{mebibytes, tell};
use super::size::Size;
use crate::harness::{LONG, converge, pair, process};

/// Longer than tokio keeps threads that have nothing to do.
const SETTLE: Duration = Duration::from_secs(15);

pub(super) fn measure(size: Size) -> Vec<Figure> {
    let minute = Duration::from_secs(if size == Size::Full { 60 } else { 5 });
    let daemons = ["idle", "one", "two"].map(|name| setup(name).start());
    let [idle, one, two] = &daemons;
    pair(idle, one);
    pair(idle, two);
    fill(idle, 100);
    fill(one, 100);
    converge(LONG, &[idle, one, two]);
    tell("idle: letting three daemons come to rest");
    std::thread::sleep(SETTLE);
    let before = process::Effort::of(idle.pid());
    tell(&format!("idle: watching for {} s", minute.as_secs()));
    std::thread::sleep(minute);
    let after = process::Effort::of(idle.pid());
    let wakes = after.wakes_since(&before);
    let processor = after.processor.saturating_sub(before.processor);
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
    ]
}
