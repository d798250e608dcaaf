use thrum_api::limits::PULL_MAX_EVENTS;
use thrum_api::local::{PeerRemove, PeerRemoveParams};
use thrum_api::peer::{PullPage, Run};
use thrum_api::{LogHash, Sequence};

use super::bootstrap::{setup, wait_for_head};
use super::figure::{Figure, Target};
use super::latency::travel;
use super::sample::{Sample, tell, words};
use super::size::Size;
use crate::harness::{Answer, Daemon, FakePeer, LONG, Origin, Wire, converge, pair};

/// The pairs take turns so often.
const ROUNDS: usize = 5;

/// Two paired daemons whose logs have events of this many origins.
fn pair_with(origins: usize) -> [Daemon; 2] {
    tell(&format!("origins: two logs with {origins} origins"));
    let [here, there] = ["here", "there"].map(|name| setup(name).start());
    let mut fake = FakePeer::new(move |heard| {
        (heard.method == "sync.pull").then(|| {
            let after = heard.params["after_seq"].as_u64().unwrap_or(0) as usize;
            let next = (after + PULL_MAX_EVENTS).min(origins);
            Answer::Page(Box::new(PullPage {
                runs: (after + 1..=next).map(invented).collect(),
                next_seq: Sequence(next as u64),
                next_hash: Some(LogHash(next as u64)),
                more_available: next < origins,
                head_seq: Sequence(origins as u64),
                floor_seq: Sequence::ZERO,
                epoch: None,
                held_seq: None,
            }))
        })
    });
    fake.joins(&here);
    wait_for_head(&here, origins as u64);
    here.ask::<PeerRemove>(PeerRemoveParams { peer: "fake".to_owned() });
    pair(&here, &there);
    converge(LONG, &[&here, &there]);
    [here, there]
}

/// The first event of an origin of its own, at this position of the log.
fn invented(n: usize) -> Run {
    let mut origin = Origin::new();
    let event = origin.note(&n.to_string());
    origin.run(&[event.at(n as u64)])
}

/// Bytes on the wire for each of so many events beside its own, with the answers and with what comes back.
fn bytes_beyond(pair: &mut [Daemon; 2], count: usize) -> f64 {
    let ids = pair.each_ref().map(Daemon::id);
    let wires = pair.each_ref().map(|daemon| Wire::to(daemon.peer_address()));
    for daemon in pair.iter_mut() {
        daemon.stop();
    }
    for (of, to) in [(0, 1), (1, 0)] {
        pair[of].set_peer_address(ids[to], wires[to].address());
    }
    for daemon in pair.iter_mut() {
        daemon.start_again();
    }
    let [here, there] = pair.each_ref();
    let carried = || wires.iter().map(Wire::bytes).sum::<u64>();
    // The first of them tells each side where the other one is.
    travel(here, there, 10, |_, _| ());
    converge(LONG, &[here, there]);
    let before = carried();
    let mut own = 0;
    travel(here, there, count, |_, event| own += event.len());
    (carried() - before).saturating_sub(own as u64) as f64 / count as f64
}

pub(super) fn measure(size: Size) -> Vec<Figure> {
    let each = size.of(80);
    let many = if size == Size::Full { 10_000 } else { 1_200 };
    let mut pairs = [10, many].map(pair_with);
    let mut samples = [Sample::default(), Sample::default()];
    tell(&format!("origins: {} events over each pair", ROUNDS * each));
    for _ in 0..ROUNDS {
        for ([here, there], sample) in pairs.iter().zip(&mut samples) {
            sample.extend(travel(here, there, each, |_, _| ()));
        }
    }
    let [few, most] = samples.each_ref().map(Sample::median);
    tell("origins: bytes on the wire");
    let bytes = pairs.each_mut().map(|pair| bytes_beyond(pair, size.of(200)));
    vec![
        Figure::new(
            "origins_latency",
            "acknowledged here until readable at the peer: with 10,000 origins, against 10",
            (most / few, "x"),
            Target::AtMost(1.2),
            format!("{} with {many}, {} with 10", words(most), words(few)),
        ),
        Figure::new(
            "origins_wire",
            "bytes on the wire for an event beside its own, with 10,000 origins",
            (bytes[1], "B"),
            Target::AtMost(1024.0),
            format!("{:.0} B with 10", bytes[0]),
        ),
    ]
}
