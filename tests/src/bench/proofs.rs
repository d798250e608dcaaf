use std::time::{Duration, Instant};

use thrum_api::limits::PULL_MAX_EVENTS;
use thrum_api::peer::{PullPage, Run};
use thrum_api::{LogHash, Sequence};

use super::bootstrap::setup;
use super::figure::{Figure, Target};
use super::sample::{Sample, tell, words};
use super::size::Size;
use crate::harness::{Answer, FakePeer, Origin, process};

const LIMIT: Duration = Duration::from_secs(60);

pub(super) fn measure(size: Size) -> Vec<Figure> {
    let rounds = if size == Size::Full { 3 } else { 1 };
    let (mut good, mut bad) = (Sample::default(), Sample::default());
    for round in 1..=rounds {
        tell(&format!(
            "proofs: {PULL_MAX_EVENTS} runs with and without valid signatures, {round} of {rounds}"
        ));
        good.push(processor_time(true));
        bad.push(processor_time(false));
    }
    let (good, bad) = (good.median(), bad.median());
    vec![Figure::new(
        "proofs_refused",
        "processor time for a page of runs that nobody has signed, against one of valid runs",
        (bad / good, "x"),
        Target::AtMost(3.0),
        format!(
            "{PULL_MAX_EVENTS} runs of one event: {} refused, {} taken",
            words(bad),
            words(good)
        ),
    )]
}

/// What a daemon spends until it has taken, or refused, a page in which each run is of another origin.
fn processor_time(is_valid: bool) -> Duration {
    let runs: Vec<Run> = (1..=PULL_MAX_EVENTS)
        .map(|n| {
            let mut origin = Origin::new();
            let event = origin.note(&n.to_string()).at(n as u64);
            let signature = Origin::new().run(std::slice::from_ref(&event)).signature;
            let run = origin.run(&[event]);
            if is_valid { run } else { Run { signature, ..run } }
        })
        .collect();
    let end = PULL_MAX_EVENTS as u64;
    let mut fake = FakePeer::new(move |heard| {
        (heard.method == "sync.pull").then(|| {
            let is_first = heard.params["after_seq"] == 0;
            Answer::Page(Box::new(PullPage {
                runs: if is_first { runs.clone() } else { Vec::new() },
                next_seq: Sequence(end),
                next_hash: Some(LogHash(end)),
                more_available: false,
                head_seq: Sequence(end),
                floor_seq: Sequence::ZERO,
                epoch: None,
                held_seq: None,
            }))
        })
    });
    let daemon = setup("proofs").start();
    let before = process::Effort::of(daemon.pid()).processor;
    fake.joins(&daemon);
    let start = Instant::now();
    while !daemon.peer(fake.id()).is_ok_and(|peer| peer.checkpoint.0 >= end) {
        assert!(start.elapsed() < LIMIT, "the page was not examined");
        std::thread::sleep(Duration::from_millis(50));
    }
    process::Effort::of(daemon.pid()).processor.saturating_sub(before)
}
