//! The newest events in memory. Most of what peers and those who follow the log are told was just written: from here it
//! takes no other thread, and no pages of the database, which each commit makes every reader read anew.

use std::collections::{BTreeMap, VecDeque};
use std::mem;
use std::sync::Arc;

use thrum_api::local::{EventListParams, EventListResult};
use thrum_api::proof::{Chain, Signature};
use thrum_api::{DaemonId, LogPosition, Origin, OriginSequence, Sequence};

use super::changes::{BYTES, Changes, EVENTS, RecentEvent, RecentProof};
use super::runs::{Room, Runs};
use super::state::State;
use super::types::{News, NewsContent, NewsRequest, Urgency, Waits};
use crate::keys::SecretKey;
use crate::proof::point_message;

/// The newest events, up to the end of the log.
#[derive(Debug)]
pub(super) struct Recent {
    /// The position before the first of them.
    start: LogPosition,
    events: VecDeque<RecentEvent>,
    bytes: usize,
    /// The origin of events that are written here now.
    own: Origin,
    /// Up to where we hold the logs of peers, of those for which that changed since the start.
    held: BTreeMap<DaemonId, Option<Sequence>>,
    /// Peers are told of damaged rows by the hashes of positions, which the database knows.
    has_damage: bool,
    key: Arc<SecretKey>,
    /// The last signed point of ours, which all peers get.
    signed: Option<(u64, Chain, Signature)>,
}

impl Recent {
    /// None yet of a log in this state.
    pub(super) fn new(state: &State, key: Arc<SecretKey>) -> Self {
        Self {
            start: state.meta.head,
            events: VecDeque::new(),
            bytes: 0,
            own: state.meta.own_origin(),
            held: BTreeMap::new(),
            has_damage: state.damaged_rows > 0,
            key,
            signed: None,
        }
    }

    /// Takes what a transaction changed, after its commit.
    pub(super) fn update(&mut self, state: &mut State) {
        let Changes { events, bytes, is_cut, held } = mem::take(&mut state.changes);
        self.own = state.meta.own_origin();
        self.has_damage = state.damaged_rows > 0;
        self.held.extend(held);
        let goes_on =
            events.first().is_none_or(|it| it.position.sequence == self.end().sequence.next());
        if is_cut || !goes_on {
            self.start = state.meta.head;
            self.events.clear();
            self.bytes = 0;
            return;
        }
        self.events.extend(events);
        self.bytes += bytes;
        while self.events.len() > EVENTS || self.bytes > BYTES {
            let Some(oldest) = self.events.pop_front() else { return };
            self.start = oldest.position;
            self.bytes -= oldest.event.get().len();
        }
    }

    /// As [`super::Log::news`]; None if the database has to be asked.
    pub(super) fn news(&mut self, request: NewsRequest, waits: &Waits) -> Option<News> {
        let NewsRequest { peer, examined, sent, relayed } = request;
        let urgency = {
            let (_, mut news) = self.after(examined)?;
            let own = news.clone().any(|event| event.source.is_none());
            Urgency { own, concerns_peer: own || news.any(|event| event.source != Some(peer)) }
        };
        let content = match waits(urgency) {
            true => None,
            false => Some(self.content(peer, sent, relayed)?),
        };
        Some(News { head: self.end(), urgency, content })
    }

    fn content(&mut self, peer: DaemonId, sent: LogPosition, relayed: bool) -> Option<NewsContent> {
        let held = *self.held.get(&peer)?;
        let (after, events) = self.after(sent)?;
        let heads: BTreeMap<_, _> =
            events.clone().map(|event| (event.origin, event.head)).collect();
        let heads = heads.into_values().collect();
        let mut runs = Runs::new();
        for event in events.filter(|event| relayed || event.origin == self.own) {
            let RecentProof { place, previous, chain, point } = event.proof;
            let proof = (previous, chain);
            runs.add(event.origin, event.source, place.0, proof, point, event.sequenced());
        }
        let (key, own) = (&*self.key, self.own.daemon);
        let signed = &mut self.signed;
        let sign = |origin: Origin, place, chain| {
            (origin.daemon == own).then(|| match *signed {
                Some((at, of, signature)) if (at, of) == (place, chain) => signature,
                _ => {
                    let message = point_message(&origin, OriginSequence(place), chain);
                    let signature = key.sign(&message);
                    *signed = Some((place, chain, signature));
                    signature
                }
            })
        };
        // What goes on elsewhere in the log, the database knows.
        let mut is_whole = true;
        let proved = runs.prove(sign, |_, _, _| {
            is_whole = false;
            Room::Left
        });
        let window = proved.runs.into_iter().filter(|(_, source)| *source != Some(Some(peer)));
        let window = window.map(|(run, _)| run).collect();
        is_whole.then_some(NewsContent { after, heads, window: Some(window), held })
    }

    /// As [`super::Log::list`], of events up to the end of the log; None if the database has to be asked.
    pub(super) fn list(&self, params: &EventListParams) -> Option<EventListResult> {
        if params.before.is_some() {
            return None;
        }
        let after = LogPosition { sequence: params.after, ..LogPosition::START };
        let (_, events) = self.after(after)?;
        let is_of = |name: &Option<String>, of: &str| name.as_deref().is_none_or(|name| name == of);
        let wanted = |event: &&RecentEvent| {
            is_of(&params.event_type, &event.event_type)
                && (params.project.is_none() || params.project == event.project)
        };
        let events: Vec<_> = events.filter(wanted).map(RecentEvent::sequenced).collect();
        let fits = params.limit.is_none_or(|limit| events.len() <= limit as usize);
        let next = self.end().sequence;
        fits.then_some(EventListResult { events, next, more_available: false })
    }

    fn end(&self) -> LogPosition {
        self.events.back().map_or(self.start, |event| event.position)
    }

    /// The events after a position, and what is known of it; None if not all of them are here, or it is of another log.
    fn after(
        &self,
        position: LogPosition,
    ) -> Option<(LogPosition, impl Iterator<Item = &RecentEvent> + Clone)> {
        let first = position.sequence.0.checked_sub(self.start.sequence.0)?;
        let first = usize::try_from(first).ok().filter(|first| *first <= self.events.len())?;
        let there = match first.checked_sub(1) {
            Some(at) => self.events.get(at)?.position,
            None => self.start,
        };
        let is_there = !self.has_damage && position.agrees_with(there);
        let known = if position.hash.is_some() { position } else { there };
        is_there.then(|| (known, self.events.range(first..)))
    }
}
