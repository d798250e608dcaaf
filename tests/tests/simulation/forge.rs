//! Forged, changed and mixed up runs.

use std::sync::Arc;

use serde_json::value::RawValue;
use thrum_api::peer::Run;
use thrum_api::proof::Chain;
use thrum_api::{Epoch, EventHeader, Origin, OriginSequence, Sequence, SequencedEvent};
use thrumd::keys::SecretKey;
use thrumd::proof::{chain_next, chain_start, point_message};
use ulid::Ulid;

use crate::act::{Act, RUNS};
use crate::hostile::{Hostile, Scene};
use crate::lines::Line;
use crate::log::{Ids, event_text};

/// The last position in an origin that is taken.
const PLACE_MAX: u64 = (1 << 53) - 1;
/// How many runs are kept for others.
const MADE_MAX: usize = 60;

impl Hostile {
    /// Does something to the runs of a message. What is added is said to be at this position of the log.
    pub fn forge(&mut self, runs: &mut Vec<Run>, at: Sequence, scene: &Scene<'_>) {
        for act in self.draw(RUNS) {
            let run = self.choices.index(runs.len());
            let done = match runs.get_mut(run).and_then(|run| self.change(act, run, scene)) {
                Some(()) => true,
                None => self.mix(act, runs, run).is_some(),
            };
            // What it does to its own events it can sign.
            let own = scene.log.key();
            let is_own = |run: &Run| first(run).is_some_and(|it| it.origin_daemon == own.id());
            if let Some(run) = runs.get_mut(run).filter(|run| done && is_own(run))
                && self.choices.percent(50)
            {
                sign(run, own);
            }
            let made = if done { None } else { self.make(act, runs, scene) };
            if let Some(mut run) = made.clone() {
                run.events.iter_mut().for_each(|event| event.sequence = at);
                runs.insert(self.choices.index(runs.len() + 1), run);
            }
            if done || made.is_some() {
                self.did(act);
            }
            self.made.extend(made.filter(|_| self.made.len() < MADE_MAX));
        }
    }

    /// Changes a run; None if the act is another one, or can't be done to it.
    fn change(&mut self, act: Act, run: &mut Run, scene: &Scene<'_>) -> Option<()> {
        let count = run.events.len();
        let (one, other) = (self.choices.index(count), self.choices.index(count));
        match act {
            Act::DigitChanged => self.change_digit(run.events.get_mut(one)?)?,
            Act::SignatureCut => run.signature.0[self.choices.index(64)..].fill(0),
            Act::SignedWithOwnKey => sign(run, scene.log.key())?,
            Act::EventsReordered if one != other => run.events.swap(one, other),
            Act::EventLeftOut if count > 1 => drop(run.events.remove(one)),
            Act::EventTwice => run.events.insert(other, run.events.get(one)?.clone()),
            Act::RunEmptied => run.events.clear(),
            Act::RunBeginsInMiddle if one > 0 => {
                run.previous = chain_after(run.previous, &run.events[..one]);
                run.events.drain(..one);
            }
            Act::RunEndsEarly if one > 0 => run.events.truncate(one),
            _ => return None,
        }
        Some(())
    }

    /// Another digit in an event.
    fn change_digit(&mut self, event: &mut SequencedEvent) -> Option<()> {
        let mut bytes = event.event.get().as_bytes().to_vec();
        let digits = bytes.iter().enumerate().filter(|(_, byte)| byte.is_ascii_digit());
        let digits: Vec<usize> = digits.map(|(at, _)| at).collect();
        let at = *digits.get(self.choices.index(digits.len()))?;
        let digit = b"0123456789"[self.choices.index(10)];
        if std::mem::replace(&mut bytes[at], digit) == digit {
            return None;
        }
        event.event = RawValue::from_string(String::from_utf8(bytes).ok()?).ok()?;
        Some(())
    }

    /// Mixes a run up with others; None if the act is another one, or there are too few.
    fn mix(&mut self, act: Act, runs: &mut Vec<Run>, run: usize) -> Option<()> {
        let other = self.choices.index(runs.len());
        let (first, second) = (runs.get(run)?.clone(), runs.get(other)?.clone());
        match act {
            Act::SignatureOfAnother if run != other => runs[run].signature = second.signature,
            Act::ChainJumps if run != other => runs[run].previous = second.previous,
            Act::ChainJumps => runs[run].previous = self.chain(),
            Act::RunWithheld => drop(runs.remove(run)),
            Act::RunsReordered if run != other => runs.swap(run, other),
            Act::RunsJoined if run != other => {
                runs[run].events.extend(second.events);
                runs[run].signature = second.signature;
                runs.remove(other);
            }
            Act::RunOverlaps => {
                let from = self.choices.index(first.events.len());
                let previous = chain_after(first.previous, &first.events[..from]);
                runs.push(Run { previous, events: first.events[from..].to_vec(), ..first });
            }
            _ => return None,
        }
        Some(())
    }

    /// Makes a run; None if the act is another one, or what it needs is not there.
    fn make(&mut self, act: Act, runs: &[Run], scene: &Scene<'_>) -> Option<Run> {
        let (ids, key) = (scene.ids, scene.log.key());
        let own_epoch = || Origin { daemon: key.id(), epoch: Epoch::from_ulid(ids.draw()) };
        Some(match act {
            Act::InTheNameOfAnother => {
                let truth = self.true_run(scene, |of| scene.honest.contains(&of.daemon))?;
                let last = header(truth.events.last()?)?;
                let after = chain_after(truth.previous, &truth.events);
                run_of(ids, &last.origin(), last.origin_sequence.0 + 1, after, key)?
            }
            Act::EpochOfAnother => {
                let daemon = self.choices.of(&scene.honest);
                let of = Origin { daemon, epoch: Epoch::from_ulid(ids.draw()) };
                run_of(ids, &of, 1, chain_start(&of), key)?
            }
            Act::Smuggled => {
                let truth = self.true_run(scene, |of| scene.honest.contains(&of.daemon))?;
                let (own, of) = (own_epoch(), header(truth.events.last()?)?.origin());
                let mut run = run_of(ids, &own, 1, chain_start(&own), key)?;
                run.events.push(event(ids.draw(), &of, 2)?);
                sign(&mut run, key)?;
                run
            }
            Act::FalseStart => run_of(ids, &own_epoch(), 1, self.chain(), key)?,
            Act::IdOfAnother => {
                let truth = self.true_run(scene, |_| true);
                let of_page = runs.iter().chain(&truth).flat_map(|run| &run.events);
                let known: Vec<_> = of_page.filter_map(header).collect();
                let id = known.get(self.choices.index(known.len()))?.event_id;
                let line = self.lines.borrower(key, ids);
                line.write(id.ulid());
                line.last(1 + self.choices.index(line.len()))
            }
            Act::Echo if self.choices.percent(50) => self.true_run(scene, |_| true)?,
            Act::Echo => self.true_run(scene, |of| of.daemon == scene.peer)?,
            Act::Fork => self.fork(scene)?,
            Act::Gap => {
                let line = self.lines.headless(key, ids);
                if self.choices.percent(10) {
                    let of = line.of;
                    run_of(ids, &of, PLACE_MAX, self.chain(), key)?
                } else {
                    line.write(ids.draw());
                    line.last(1 + self.choices.index(line.len() - 2))
                }
            }
            Act::Ghost => {
                let mut line = Line::new(ids.key(), ids);
                (0..=self.choices.index(3)).for_each(|_| line.write(ids.draw()));
                line.last(line.len())
            }
            Act::MadeBefore => self.made.get(self.choices.index(self.made.len()))?.clone(),
            _ => return None,
        })
    }

    /// What comes next in the history of the forked origin that is told to this peer.
    pub fn fork(&mut self, scene: &Scene<'_>) -> Option<Run> {
        let nth = scene.honest.iter().position(|honest| *honest == scene.peer)?;
        let line = &mut self.lines.forked(scene.log.key(), scene.ids)[nth % 2];
        line.write(scene.ids.draw());
        let parts = [line.len(), line.len(), 1 + self.choices.index(line.len())];
        Some(line.last(self.choices.of(&parts)))
    }

    /// A true run of such an origin.
    fn true_run(&mut self, scene: &Scene<'_>, wanted: impl Fn(&Origin) -> bool) -> Option<Run> {
        let mut runs = scene.true_runs();
        runs.retain(|run| first(run).is_some_and(|first| wanted(&first.origin())));
        (!runs.is_empty()).then(|| runs.swap_remove(self.choices.index(runs.len())))
    }

    /// A value that is the chain of nothing.
    pub fn chain(&mut self) -> Chain {
        Chain([b"chain of nothing"[self.choices.index(16)]; 32])
    }
}

fn first(run: &Run) -> Option<EventHeader> {
    run.events.first().and_then(header)
}

fn header(event: &SequencedEvent) -> Option<EventHeader> {
    serde_json::from_str(event.event.get()).ok()
}

fn chain_after(previous: Chain, events: &[SequencedEvent]) -> Chain {
    let next = |chain, event: &SequencedEvent| chain_next(chain, event.event.get().as_bytes());
    events.iter().fold(previous, next)
}

fn event(id: Ulid, of: &Origin, place: u64) -> Option<SequencedEvent> {
    let event = RawValue::from_string(event_text(id, of, place)).ok()?;
    Some(SequencedEvent { sequence: Sequence::ZERO, event })
}

/// A run of one event, signed with this key.
fn run_of(
    ids: &Ids,
    of: &Origin,
    place: u64,
    previous: Chain,
    key: &Arc<SecretKey>,
) -> Option<Run> {
    let events = vec![event(ids.draw(), of, place)?];
    let mut run = Run { previous, signature: key.sign(&[]), events };
    sign(&mut run, key)?;
    Some(run)
}

/// Signs what a run says with this key: that of its origin, or another one.
fn sign(run: &mut Run, key: &SecretKey) -> Option<()> {
    let origin = header(run.events.first()?)?.origin();
    let OriginSequence(place) = header(run.events.last()?)?.origin_sequence;
    let chain = chain_after(run.previous, &run.events);
    run.signature = key.sign(&point_message(&origin, OriginSequence(place), chain));
    Some(())
}
