//! What a transaction changes for those who are told of news from memory.

use std::collections::BTreeMap;

use serde_json::value::RawValue;
use thrum_api::limits::{NOTIFY_MAX_BYTES, NOTIFY_MAX_EVENTS};
use thrum_api::proof::{Chain, Signature};
use thrum_api::{DaemonId, Head, LogPosition, Origin, OriginSequence, Sequence, SequencedEvent};

/// Events that are kept, and of one transaction.
pub(super) const EVENTS: usize = 64;
/// Bytes of the events that are kept. Few, because an idle daemon may take 12 MiB in all.
pub(super) const BYTES: usize = 32 * 1024;

// A notification has space for all of them.
const _: () = assert!(EVENTS <= NOTIFY_MAX_EVENTS && BYTES <= NOTIFY_MAX_BYTES);

/// An event as it was stored.
#[derive(Debug, Clone)]
pub(super) struct RecentEvent {
    pub(super) position: LogPosition,
    pub(super) origin: Origin,
    /// The head of its origin since then; None if none describes all its events.
    pub(super) head: Option<Head>,
    /// Whom it came from; None if it was written here.
    pub(super) source: Option<DaemonId>,
    pub(super) event_type: String,
    pub(super) project: Option<String>,
    pub(super) event: Box<RawValue>,
    pub(super) proof: RecentProof,
}

/// Its place in its origin, for the run that proves it.
#[derive(Debug, Clone, Copy)]
pub(super) struct RecentProof {
    pub(super) place: OriginSequence,
    /// The chain before it, and after it.
    pub(super) previous: Chain,
    pub(super) chain: Chain,
    /// The origin's signature on `chain`, if it came with the event.
    pub(super) point: Option<Signature>,
}

impl RecentEvent {
    /// As it is served.
    pub(super) fn sequenced(&self) -> SequencedEvent {
        SequencedEvent { sequence: self.position.sequence, event: self.event.clone() }
    }
}

/// What a transaction changes.
#[derive(Debug, Default)]
pub(super) struct Changes {
    pub(super) events: Vec<RecentEvent>,
    pub(super) bytes: usize,
    /// There are more events, or one that is not kept.
    pub(super) is_cut: bool,
    pub(super) held: BTreeMap<DaemonId, Option<Sequence>>,
}

impl Changes {
    /// Adds an event, if the ones before it are kept.
    pub(super) fn add(&mut self, bytes: usize, event: impl FnOnce() -> Option<RecentEvent>) {
        self.bytes += bytes;
        self.is_cut |= self.events.len() == EVENTS || self.bytes > BYTES;
        if !self.is_cut {
            match event() {
                Some(event) => self.events.push(event),
                None => self.is_cut = true,
            }
        }
    }

    /// Up to where we hold the log of a peer now, as `lookup::held_of`.
    pub(super) fn hold(&mut self, peer: DaemonId, held: Option<Sequence>) {
        self.held.insert(peer, held);
    }
}
