//! Runs: events as they are served, with the proofs of their origins.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

use rusqlite::{Connection, OptionalExtension, params};
use thrum_api::limits::{PULL_MAX_BYTES, PULL_MAX_EVENTS, UNSIGNED_MAX_EVENTS};
use thrum_api::peer::Run;
use thrum_api::proof::{Chain, Signature};
use thrum_api::{DaemonId, Origin, OriginSequence, Sequence, SequencedEvent};

use super::column::int;
use super::origins::{self, OriginRow};
use super::served::{RowCheck, ServedEvent, served_columns};
use crate::keys::SecretKey;
use crate::proof::point_message;

/// Events of one origin that follow one another. `S` tells where they came from.
pub(super) struct OpenRun<S> {
    previous: Chain,
    chain: Chain,
    place: u64,
    events: Vec<SequencedEvent>,
    /// The last signed point in it: after how many of its events, and the signature.
    point: Option<(usize, Signature)>,
    /// Whom its events came from, if all came from there.
    source: Option<S>,
}

impl<S> OpenRun<S> {
    /// Whether it needs no more events. With fewer than half of what may be without a point, the next point might come too
    /// late.
    fn is_long_and_proved(&self) -> bool {
        let is_proved = self.point.is_some_and(|(events, _)| events == self.events.len());
        2 * self.events.len() >= UNSIGNED_MAX_EVENTS && is_proved
    }
}

/// Runs with their proofs.
pub(super) struct Proved<S> {
    /// Each with whom it came from, if all of it came from there.
    pub(super) runs: Vec<(Run, Option<S>)>,
    /// The first event for whose proof there was no room. All before it is in the runs, as far as it can be proved.
    pub(super) ends_before: Option<Sequence>,
}

/// Runs that are being put together, by origin `O`.
pub(super) struct Runs<O, S> {
    runs: Vec<(O, OpenRun<S>)>,
    /// Where each run goes on: by origin, next position and chain.
    ends: BTreeMap<(O, u64, Chain), usize>,
}

impl<O: Copy + Ord, S: PartialEq> Runs<O, S> {
    pub(super) fn new() -> Self {
        Self { runs: Vec::new(), ends: BTreeMap::new() }
    }

    /// Adds an event to the run that it goes on, or begins one with it.
    pub(super) fn add(
        &mut self,
        origin: O,
        source: S,
        place: u64,
        (previous, chain): (Chain, Chain),
        point: Option<Signature>,
        event: SequencedEvent,
    ) {
        let goes_on = self.ends.remove(&(origin, place, previous)).filter(|index| {
            // The points within a long run are passed on, too.
            self.runs.get(*index).is_some_and(|(_, run)| !run.is_long_and_proved())
        });
        let index = match goes_on {
            Some(index) => index,
            None => {
                let (events, source) = (Vec::new(), Some(source));
                let run = OpenRun { previous, chain, place, events, point: None, source };
                self.runs.push((origin, run));
                self.add_to(self.runs.len() - 1, None, place, chain, point, event);
                return;
            }
        };
        self.add_to(index, Some(source), place, chain, point, event);
    }

    fn add_to(
        &mut self,
        index: usize,
        source: Option<S>,
        place: u64,
        chain: Chain,
        point: Option<Signature>,
        event: SequencedEvent,
    ) {
        let Some((origin, run)) = self.runs.get_mut(index) else { return };
        if source.is_some() && run.source != source {
            run.source = None;
        }
        (run.place, run.chain) = (place, chain);
        run.events.push(event);
        if let Some(point) = point {
            run.point = Some((run.events.len(), point));
        }
        self.ends.insert((*origin, place.saturating_add(1), chain), index);
    }

    /// Proves the runs. `sign` signs for our own origins; `complete` adds the events up to the next signed point, if one
    /// is missing, and answers whether there was room for as many as that needs. What can't be proved is left out.
    pub(super) fn prove(
        self,
        mut sign: impl FnMut(O, u64, Chain) -> Option<Signature>,
        mut complete: impl FnMut(O, &mut OpenRun<S>) -> bool,
    ) -> Proved<S> {
        let mut proved = Vec::with_capacity(self.runs.len());
        for (index, (origin, mut run)) in self.runs.into_iter().enumerate() {
            let signature = match sign(origin, run.place, run.chain) {
                Some(signature) => signature,
                None => {
                    let is_complete =
                        run.point.is_some_and(|(events, _)| events == run.events.len());
                    // Alone, it has all the room that there is.
                    if !is_complete && !complete(origin, &mut run) && index > 0 {
                        let first = run.events.first().map(|first| first.sequence);
                        return Proved { runs: proved, ends_before: first };
                    }
                    let Some((events, signature)) = run.point else { continue };
                    run.events.truncate(events);
                    signature
                }
            };
            let OpenRun { previous, events, source, .. } = run;
            proved.push((Run { previous, signature, events }, source));
        }
        Proved { runs: proved, ends_before: None }
    }
}

/// Signs for the origins of the daemon that has this key.
pub(super) struct Signer<'a> {
    pub(super) key: &'a SecretKey,
    pub(super) daemon: DaemonId,
}

impl Signer<'_> {
    /// The signed point of an origin, if it is ours.
    pub(super) fn sign(&self, origin: &Origin, place: u64, chain: Chain) -> Option<Signature> {
        (origin.daemon == self.daemon)
            .then(|| self.key.sign(&point_message(origin, OriginSequence(place), chain)))
    }
}

/// How much may be added to prove the runs of one answer, of events and of their bytes.
#[derive(Debug, Clone, Copy)]
pub(super) struct Budget {
    events: usize,
    bytes: usize,
}

impl Budget {
    /// As much again as a page holds.
    pub(super) const PAGE: Self = Self { events: PULL_MAX_EVENTS, bytes: PULL_MAX_BYTES };
    /// Nothing.
    pub(super) const NONE: Self = Self { events: 0, bytes: 0 };
}

/// The runs of these events, with the rows of the sources that they came from.
pub(super) fn prove(
    conn: &Connection,
    signer: &Signer<'_>,
    events: Vec<ServedEvent>,
    mut budget: Budget,
) -> rusqlite::Result<Proved<i64>> {
    let mut origins: BTreeMap<i64, (Origin, OriginRow)> = BTreeMap::new();
    for it in &events {
        if let Entry::Vacant(new) = origins.entry(it.origin)
            && let Some(found) = origins::by_id(conn, it.origin)?
        {
            new.insert(found);
        }
    }
    let mut runs = Runs::new();
    let mut without_point: BTreeMap<i64, usize> = BTreeMap::new();
    for it in events {
        let count = without_point.entry(it.origin).or_default();
        *count += 1;
        let point = match origins.get(&it.origin) {
            // Ours can be signed anywhere.
            Some((origin, _)) if it.point.is_none() && *count >= UNSIGNED_MAX_EVENTS => {
                signer.sign(origin, it.place, it.chain)
            }
            _ => it.point,
        };
        if point.is_some() {
            *count = 0;
        }
        runs.add(it.origin, it.source, it.place, (it.previous, it.chain), point, it.event);
    }
    let sign = |origin, place, chain| signer.sign(&origins.get(&origin)?.0, place, chain);
    let mut failed = None;
    let complete = |origin, run: &mut OpenRun<i64>| {
        complete(conn, origin, run, &mut budget).unwrap_or_else(|error| {
            failed = Some(error);
            true
        })
    };
    let proved = runs.prove(sign, complete);
    failed.map_or(Ok(proved), Err)
}

/// Adds the events that follow in the origin, up to the next signed point. They stand elsewhere in the log, as when an
/// event that was lost to damage came back. `budget`: of events and bytes, for all runs of an answer; false if there was
/// more to add.
fn complete<S>(
    conn: &Connection,
    origin: i64,
    run: &mut OpenRun<S>,
    Budget { events, bytes }: &mut Budget,
) -> rusqlite::Result<bool> {
    let mut more: Vec<SequencedEvent> = Vec::new();
    let (mut place, mut chain) = (run.place, run.chain);
    let mut check = RowCheck::new(conn);
    loop {
        place = place.saturating_add(1);
        let next = conn
            .prepare_cached(concat!(
                "SELECT ",
                served_columns!(),
                " FROM events LEFT JOIN points USING (sequence)
                 WHERE origin = ?1 AND origin_sequence = ?2 AND previous = ?3
                 ORDER BY signature IS NULL"
            ))?
            .query_row(params![origin, int(place), chain.0], |row| {
                ServedEvent::read(row, &mut check)
            })
            .optional()?;
        let Some(next) = next.flatten() else { return Ok(true) };
        if *events == 0 || *bytes == 0 {
            return Ok(false);
        }
        *events -= 1;
        *bytes = bytes.saturating_sub(next.event.event.get().len());
        chain = next.chain;
        more.push(next.event);
        if let Some(point) = next.point {
            run.events.append(&mut more);
            run.point = Some((run.events.len(), point));
            return Ok(true);
        }
    }
}
