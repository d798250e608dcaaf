//! A log in memory with the semantics of `thrumd::log`.

use std::collections::{BTreeMap, BTreeSet};

use thrum_api::{DaemonId, Epoch, EventId, Head, Origin, OriginSequence, Place, Sequence};
use ulid::Ulid;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SimEvent {
    pub id: EventId,
    pub origin: Origin,
    pub origin_sequence: u64,
}

/// An event of a page, and its place in the log that served it.
pub type Served = (Sequence, SimEvent);

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Applied {
    pub new: u64,
    pub same: u64,
    pub new_epoch: bool,
    pub forked: bool,
    pub own_came_back: bool,
}

#[derive(Debug)]
pub struct Page {
    pub events: Vec<Served>,
    pub next: Place,
    pub more: bool,
    pub head: Sequence,
    pub epoch: Epoch,
}

#[derive(Debug)]
pub struct News {
    pub head: Place,
    pub heads: Option<Vec<Head>>,
    pub window: Option<Vec<Served>>,
    pub concerns_peer: bool,
    pub own: bool,
}

#[derive(Debug, Clone, Default)]
struct OriginState {
    /// The first event at each place.
    places: BTreeMap<u64, EventId>,
    head: u64,
    forked: bool,
}

#[derive(Debug, Clone)]
pub struct SimLog {
    pub daemon: DaemonId,
    pub epoch: Epoch,
    own: u64,
    events: Vec<(SimEvent, Option<DaemonId>)>,
    held: BTreeMap<EventId, u64>,
    origins: BTreeMap<Origin, OriginState>,
    checkpoints: BTreeMap<DaemonId, (Place, Option<Epoch>)>,
}

/// Ids come from a counter, so that a seed decides them.
#[derive(Debug, Default)]
pub struct Ids(u128);

impl Ids {
    pub fn draw(&mut self) -> Ulid {
        self.0 += 1;
        Ulid(self.0)
    }
}

const PAGE: usize = 5;
const WINDOW: usize = 4;

impl SimLog {
    pub fn new(daemon: DaemonId, ids: &mut Ids) -> Self {
        Self {
            daemon,
            epoch: Epoch::from_ulid(ids.draw()),
            own: 0,
            events: Vec::new(),
            held: BTreeMap::new(),
            origins: BTreeMap::new(),
            checkpoints: BTreeMap::new(),
        }
    }

    pub fn own_origin(&self) -> Origin {
        Origin { daemon: self.daemon, epoch: self.epoch }
    }

    pub fn ids(&self) -> BTreeSet<EventId> {
        self.held.keys().copied().collect()
    }

    pub fn holds(&self, id: EventId) -> bool {
        self.held.contains_key(&id)
    }

    pub fn head(&self) -> Place {
        self.place(self.events.len())
    }

    fn place(&self, sequence: usize) -> Place {
        match sequence.checked_sub(1).and_then(|index| self.events.get(index)) {
            Some((event, _)) => {
                Place { sequence: Sequence(sequence as u64), event_id: Some(event.id) }
            }
            None => Place::START,
        }
    }

    pub fn append(&mut self, ids: &mut Ids) -> EventId {
        self.own += 1;
        let id = EventId::from_ulid(ids.draw());
        let event = SimEvent { id, origin: self.own_origin(), origin_sequence: self.own };
        assert!(!self.store(event, None), "our own event stands where another one stands");
        id
    }

    /// True if the origin forked with it.
    fn store(&mut self, event: SimEvent, from: Option<DaemonId>) -> bool {
        self.events.push((event, from));
        let known = self.held.insert(event.id, self.events.len() as u64);
        assert_eq!(known, None, "an event stands in a log twice");
        let origin = self.origins.entry(event.origin).or_default();
        let fork = origin.places.contains_key(&event.origin_sequence);
        if fork {
            origin.forked = true;
        } else {
            origin.places.insert(event.origin_sequence, event.id);
            while origin.places.contains_key(&(origin.head + 1)) {
                origin.head += 1;
            }
        }
        fork
    }

    pub fn apply(
        &mut self,
        peer: DaemonId,
        events: &[Served],
        checkpoint: Option<Place>,
        epoch: Option<Epoch>,
        ids: &mut Ids,
    ) -> Applied {
        let mut applied = Applied::default();
        for (_, event) in events {
            if self.holds(event.id) {
                applied.same += 1;
                continue;
            }
            let forked = self.store(*event, Some(peer));
            applied.new += 1;
            applied.forked |= forked;
            applied.own_came_back |= event.origin.daemon == self.daemon;
            if event.origin == self.own_origin() && (event.origin_sequence > self.own || forked) {
                applied.new_epoch |= self.begin_epoch(ids);
            }
        }
        if let Some(place) = checkpoint {
            let (held, known) = self.checkpoint(peer);
            let same_log = epoch.is_none() || known.is_none() || epoch == known;
            let overtaken = place.sequence < held.sequence && same_log;
            if !overtaken {
                self.checkpoints.insert(peer, (place, epoch.or(known)));
            }
        }
        applied
    }

    fn begin_epoch(&mut self, ids: &mut Ids) -> bool {
        self.epoch = Epoch::from_ulid(ids.draw());
        self.own = 0;
        true
    }

    pub fn rolled_back(&mut self, ids: &mut Ids) -> bool {
        self.own > 0 && self.begin_epoch(ids)
    }

    /// And the epoch of the peer's log then.
    pub fn checkpoint(&self, peer: DaemonId) -> (Place, Option<Epoch>) {
        self.checkpoints.get(&peer).copied().unwrap_or((Place::START, None))
    }

    pub fn reset_checkpoint(&mut self, peer: DaemonId) {
        self.checkpoints.remove(&peer);
    }

    fn matches(&self, place: Place) -> bool {
        let sequence = usize::try_from(place.sequence.0).unwrap_or(usize::MAX);
        sequence <= self.events.len()
            && place.event_id.is_none_or(|id| self.place(sequence).event_id == Some(id))
    }

    fn head_of_origin(origin: &Origin, state: &OriginState) -> Option<Head> {
        Some(Head {
            origin_daemon: origin.daemon,
            origin_epoch: origin.epoch,
            origin_sequence: OriginSequence(state.head),
            event_id: *state.places.get(&state.head)?,
        })
    }

    /// All heads that are safe to send as `have`.
    pub fn heads(&self) -> Vec<Head> {
        let origins = self.origins.iter().filter(|(_, state)| !state.forked);
        origins.filter_map(|(origin, state)| Self::head_of_origin(origin, state)).collect()
    }

    fn holds_head(&self, head: &Head) -> bool {
        self.origins.get(&head.origin()).is_some_and(|state| {
            !state.forked && state.places.get(&head.origin_sequence.0) == Some(&head.event_id)
        })
    }

    pub fn missing(&self, heads: &[Head]) -> Vec<Origin> {
        let lacks = |head: &&Head| {
            let reach = self.origins.get(&head.origin()).map_or(0, |state| state.head);
            !self.holds_head(head) || head.origin_sequence.0 > reach
        };
        heads.iter().filter(lacks).map(Head::origin).collect()
    }

    /// None: this log does not hold that event at that place.
    pub fn page(&self, after: Place, have: &[Head]) -> Option<Page> {
        if !self.matches(after) {
            return None;
        }
        let cover: BTreeMap<Origin, u64> = have
            .iter()
            .filter(|head| self.holds_head(head))
            .map(|head| (head.origin(), head.origin_sequence.0))
            .collect();
        let mut events = Vec::new();
        let mut next = usize::try_from(after.sequence.0).unwrap_or(usize::MAX);
        while let Some((event, _)) = self.events.get(next) {
            let covered = cover.get(&event.origin).is_some_and(|to| event.origin_sequence <= *to);
            if !covered {
                if events.len() == PAGE {
                    break;
                }
                events.push((Sequence(next as u64 + 1), *event));
            }
            next += 1;
        }
        let (next, head) = (self.place(next), self.head().sequence);
        Some(Page { events, next, more: next.sequence < head, head, epoch: self.epoch })
    }

    pub fn news(&self, peer: DaemonId, after: Place) -> News {
        let whole = |state: &OriginState| {
            !state.forked && state.places.keys().next_back() == Some(&state.head)
        };
        let heads = self.origins.values().all(whole).then(|| self.heads());
        let matches = self.matches(after);
        let from = if matches { usize::try_from(after.sequence.0).unwrap_or(0) } else { 0 };
        let rest = &self.events[from..];
        let own = self.own_origin();
        let window: Vec<Served> = rest
            .iter()
            .enumerate()
            .filter(|(_, (event, _))| event.origin == own)
            .map(|(index, (event, _))| (Sequence((from + index) as u64 + 1), *event))
            .collect();
        News {
            head: self.head(),
            heads,
            window: (matches && window.len() <= WINDOW).then_some(window),
            concerns_peer: rest.iter().any(|(_, source)| *source != Some(peer)),
            own: rest.iter().any(|(_, source)| source.is_none()),
        }
    }
}
