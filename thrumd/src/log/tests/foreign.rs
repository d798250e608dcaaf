//! Events of other daemons, with the proofs that they wrote them.

use std::collections::HashMap;
use std::sync::LazyLock;

use parking_lot::Mutex;
use serde_json::value::RawValue;
use thrum_api::peer::Run;
use thrum_api::proof::Chain;
use thrum_api::{
    DaemonId, EventHeader, EventId, LogPosition, Origin, OriginSequence, Sequence, SequencedEvent,
};

use super::super::{Batch, Checkpoint, IncomingPage};
use crate::proof::{chain_next, chain_start, point_message};
use crate::{ids, testing};

/// What is beyond is no event of a history.
const POSITIONS_MAX: u64 = 20_000;

/// An origin's events in their order. One that is asked for twice is written twice: the origin forked there.
#[derive(Default)]
struct History {
    events: Vec<String>,
    /// How many of these were handed out.
    asked: Vec<bool>,
}

static HISTORIES: LazyLock<Mutex<HashMap<Origin, History>>> = LazyLock::new(Mutex::default);

/// An origin that has written nothing yet.
pub(crate) fn new_origin() -> Origin {
    Origin { daemon: testing::daemon(), epoch: ids::epoch() }
}

/// An event as another daemon might write it.
pub(crate) fn foreign(origin: Origin, position: u64) -> String {
    foreign_with_id(origin, position, ids::event())
}

/// The same with this id, unless the event is written already and was not asked for yet.
pub(crate) fn foreign_with_id(origin: Origin, position: u64, id: EventId) -> String {
    if !(1..=POSITIONS_MAX).contains(&position) {
        return text(origin, position, id);
    }
    let mut histories = HISTORIES.lock();
    let history = histories.entry(origin).or_default();
    let index = usize::try_from(position - 1).unwrap();
    while history.events.len() < index {
        let next = history.events.len() as u64 + 1;
        history.events.push(text(origin, next, ids::event()));
        history.asked.push(false);
    }
    if history.events.len() == index {
        history.events.push(text(origin, position, id));
        history.asked.push(true);
        return history.events[index].clone();
    }
    match std::mem::replace(&mut history.asked[index], true) {
        false => history.events[index].clone(),
        true => text(origin, position, id),
    }
}

/// An event of 200 KB, which is what its origin has written at this position.
pub(crate) fn large(origin: Origin, position: u64) -> String {
    let mut histories = HISTORIES.lock();
    let history = histories.entry(origin).or_default();
    let index = usize::try_from(position - 1).unwrap();
    if history.events.len() == index {
        let body = format!(r#"{{"text":"{}","n""#, "x".repeat(200_000));
        history.events.push(text(origin, position, ids::event()).replace(r#"{"n""#, &body));
        history.asked.push(true);
    }
    history.events[index].clone()
}

fn text(origin: Origin, position: u64, id: EventId) -> String {
    format!(
        r#"{{"event_id":"{id}","origin_daemon":"{}","origin_epoch":"{}","origin_sequence":{position},"hlc":"0192f3a1b2c3-0004","timestamp":"2026-11-24T16:00:00.123Z","type":"some.type","body":{{"n":{position}}}}}"#,
        origin.daemon, origin.epoch
    )
}

/// Has these events be what their origin has written, so that what follows goes on from there.
pub(crate) fn write(events: &[SequencedEvent]) {
    let mut histories = HISTORIES.lock();
    for event in events {
        let header: EventHeader = serde_json::from_str(event.event.get()).unwrap();
        let history = histories.entry(header.origin()).or_default();
        assert_eq!(history.events.len() as u64 + 1, header.origin_sequence.0);
        history.events.push(event.event.get().to_owned());
        history.asked.push(true);
    }
}

/// The chain of an origin before this position, in its first history.
fn chain_before(origin: Origin, position: OriginSequence) -> Chain {
    let mut histories = HISTORIES.lock();
    let history = histories.entry(origin).or_default();
    while (history.events.len() as u64) < position.0 - 1 {
        let next = history.events.len() as u64 + 1;
        history.events.push(text(origin, next, ids::event()));
        history.asked.push(false);
    }
    let before = history.events.iter().take(usize::try_from(position.0 - 1).unwrap());
    before.fold(chain_start(&origin), |chain, event| chain_next(chain, event.as_bytes()))
}

/// The event in a run of its own, signed by its origin. What is no event is signed by nobody.
pub(crate) fn run_of(event: SequencedEvent) -> Run {
    let header = serde_json::from_str::<EventHeader>(event.event.get());
    let (previous, signature) = match header {
        Ok(header) if (1..=POSITIONS_MAX).contains(&header.origin_sequence.0) => {
            let origin = header.origin();
            let previous = chain_before(origin, header.origin_sequence);
            let chain = chain_next(previous, event.event.get().as_bytes());
            let message = point_message(&origin, header.origin_sequence, chain);
            (previous, testing::key_of(origin.daemon).sign(&message))
        }
        _ => (Chain([0; 32]), thrum_api::proof::Signature([0; 64])),
    };
    Run { previous, signature, events: vec![event] }
}

/// A batch of these runs.
pub(crate) fn batch(peer: DaemonId, runs: Vec<Run>, checkpoint: Option<LogPosition>) -> Batch {
    let page = IncomingPage::read(runs);
    let from = Checkpoint::default();
    Batch { peer, epoch: None, page, from, checkpoint, held: None, is_whole: false }
}

/// A batch of these bytes, numbered from 1, each signed by its origin.
pub(crate) fn raw_batch(peer: DaemonId, events: &[String]) -> Batch {
    let run = |(n, text): (usize, &String)| {
        let event = RawValue::from_string(text.to_owned()).unwrap();
        run_of(SequencedEvent { sequence: Sequence(n as u64 + 1), event })
    };
    batch(peer, events.iter().enumerate().map(run).collect(), None)
}

/// Has a new peer bring these runs; how many of their events are stored, and how many are refused.
pub(crate) async fn apply(world: &super::World, runs: Vec<Run>) -> (usize, usize) {
    let applied = world.log.apply(batch(testing::daemon(), runs, None)).await.unwrap();
    (applied.applied, applied.refused)
}
