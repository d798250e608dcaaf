//! Runs: events as they are served, with the proofs of their origins.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

use rusqlite::{Connection, params};
use thrum_api::limits::{
    PULL_ANSWER_MAX_EVENTS, PULL_MAX_BYTES, PULL_MAX_EVENTS, RUN_MAX_BYTES, UNSIGNED_MAX_EVENTS,
};
use thrum_api::peer::Run;
use thrum_api::proof::{Chain, Signature};
use thrum_api::{DaemonId, Origin, OriginSequence, Sequence, SequencedEvent};

use super::column::int;
use super::origins::{self, OriginRow};
use super::served::{RowCheck, ServedEvent, served_where};
use crate::keys::SecretKey;
use crate::proof::{chain_next, point_message};

/// Events of one origin that follow one another. `S` tells where they came from.
pub(super) struct OpenRun<S> {
    previous: Chain,
    /// The chain after its last event, and the position of that.
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

/// What there is of room for the proofs of further runs, after one of them.
pub(super) enum Room {
    Left,
    /// None for other runs.
    Used,
    /// It was not enough for this run.
    Missing,
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
    /// is missing, for the first run or a later one. What can't be proved is left out.
    pub(super) fn prove(
        self,
        mut sign: impl FnMut(O, u64, Chain) -> Option<Signature>,
        mut complete: impl FnMut(O, &mut OpenRun<S>, bool) -> Room,
    ) -> Proved<S> {
        let mut proved = Vec::with_capacity(self.runs.len());
        let mut is_full = false;
        for (index, (origin, mut run)) in self.runs.into_iter().enumerate() {
            let first = run.events.first().map(|first| first.sequence);
            if is_full {
                return Proved { runs: proved, ends_before: first };
            }
            let signature = match sign(origin, run.place, run.chain) {
                Some(signature) => signature,
                None => {
                    if run.point.is_none_or(|(events, _)| events < run.events.len()) {
                        match complete(origin, &mut run, index == 0) {
                            Room::Left => {}
                            Room::Used => is_full = true,
                            // The first one had all the room that there is.
                            Room::Missing if index == 0 => {}
                            Room::Missing => return Proved { runs: proved, ends_before: first },
                        }
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

    /// What may be added to these events so that they are still a run.
    fn of_run(run: &[SequencedEvent]) -> Self {
        let bytes: usize = run.iter().map(|it| it.event.get().len()).sum();
        Self {
            events: PULL_ANSWER_MAX_EVENTS.saturating_sub(run.len()),
            bytes: RUN_MAX_BYTES.saturating_sub(bytes),
        }
    }

    /// Counts an event of so many bytes; false if that is too much.
    fn take(&mut self, bytes: usize) -> bool {
        self.take_all(Self { events: 1, bytes })
    }

    fn take_all(&mut self, Self { events, bytes }: Self) -> bool {
        let left = self.events.checked_sub(events).zip(self.bytes.checked_sub(bytes));
        (self.events, self.bytes) = left.unwrap_or_default();
        left.is_some()
    }

    fn used_since(self, before: Self) -> Self {
        Self { events: before.events - self.events, bytes: before.bytes - self.bytes }
    }
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
    let complete = |origin, run: &mut OpenRun<i64>, is_first| {
        let is_forked = origins.get(&origin).is_some_and(|(_, row)| row.forked);
        // Whatever a peer may have sent as one run has room, if need be alone.
        let has_budget = budget.events > 0;
        let mut room = if is_first && has_budget { Budget::of_run(&run.events) } else { budget };
        let before = room;
        match complete(conn, (origin, is_forked), run, &mut room) {
            Ok(true) if budget.take_all(room.used_since(before)) => Room::Left,
            Ok(true) => Room::Used,
            Ok(false) => Room::Missing,
            Err(error) => {
                failed = Some(error);
                Room::Left
            }
        }
    };
    let proved = runs.prove(sign, complete);
    failed.map_or(Ok(proved), Err)
}

/// Adds the events that follow in the origin, up to the next signed point. They stand elsewhere in the log, as when an
/// event that was lost to damage came back. If the origin has forked, what is before a fork may be proved by another
/// history than the one with which the run goes on. `budget`: for all runs of an answer; false if it was too small.
fn complete<S>(
    conn: &Connection,
    (origin, is_forked): (i64, bool),
    run: &mut OpenRun<S>,
    budget: &mut Budget,
) -> rusqlite::Result<bool> {
    let proved = run.point.map_or(0, |(events, _)| events);
    let mut ends = vec![(run.events.len(), run.place, run.chain)];
    if is_forked {
        let first = run.place.saturating_sub(run.events.len() as u64);
        let mut chain = run.previous;
        let earlier = run.events.iter().zip(first + 1..run.place).enumerate();
        ends = earlier
            .map(|(index, (event, place))| {
                chain = chain_next(chain, event.event.get().as_bytes());
                (index + 1, place, chain)
            })
            .filter(|(events, ..)| *events > proved)
            .chain(ends)
            .collect();
    }
    while let Some((events, place, chain)) = ends.pop() {
        let is_next = |it: &ServedEvent| {
            run.events.get(events).is_some_and(|next| next.sequence == it.event.sequence)
        };
        match up_to_point(conn, origin, (place, chain), is_next, budget)? {
            UpToPoint::Found(more, point) => {
                run.events.truncate(events);
                run.events.extend(more);
                run.point = Some((run.events.len(), point));
                return Ok(true);
            }
            UpToPoint::NoRoom => return Ok(false),
            UpToPoint::None => {}
        }
    }
    Ok(true)
}

/// What follows a position of an origin.
enum UpToPoint {
    /// These events, with a signed point after the last of them.
    Found(Vec<SequencedEvent>, Signature),
    /// No point.
    None,
    /// More than there is room for.
    NoRoom,
}

/// Looks for the next signed point after this position and chain, in all histories but those that begin with an event that
/// is `left_out`.
fn up_to_point(
    conn: &Connection,
    origin: i64,
    (place, chain): (u64, Chain),
    left_out: impl Fn(&ServedEvent) -> bool,
    budget: &mut Budget,
) -> rusqlite::Result<UpToPoint> {
    let mut check = RowCheck::new(conn);
    let mut following = conn.prepare_cached(served_where!(
        "origin = ?1 AND origin_sequence = ?2 AND previous = ?3 ORDER BY signature NOT NULL"
    ))?;
    // The last one, which is signed if one is, is tried first.
    let mut path: Vec<SequencedEvent> = Vec::new();
    // Those that are still to be tried, each with how many events lead to it.
    let mut open: Vec<(usize, ServedEvent)> = Vec::new();
    let (mut place, mut chain) = (place, chain);
    loop {
        let mut rows = following.query(params![origin, int(place.saturating_add(1)), chain.0])?;
        while let Some(row) = rows.next()? {
            let Some(event) = ServedEvent::read(row, &mut check)? else { continue };
            if path.is_empty() && left_out(&event) {
                continue;
            }
            if !budget.take(event.event.event.get().len()) {
                return Ok(UpToPoint::NoRoom);
            }
            open.push((path.len(), event));
        }
        let Some((before, next)) = open.pop() else { return Ok(UpToPoint::None) };
        (place, chain) = (next.place, next.chain);
        path.truncate(before);
        path.push(next.event);
        if let Some(point) = next.point {
            return Ok(UpToPoint::Found(path, point));
        }
    }
}
