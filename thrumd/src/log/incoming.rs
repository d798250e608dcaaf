//! Events as a peer sent them, before they are stored.

use std::cmp::Reverse;

use serde_json::value::RawValue;
use thrum_api::limits::{EVENT_MAX_BYTES, RUN_MAX_BYTES};
use thrum_api::peer::Run;
use thrum_api::proof::{Chain, Signature};
use thrum_api::{EventHeader, Origin, Sequence, SequencedEvent};

use super::portable;
use crate::keys::{SignedMessage, bad_signatures};
use crate::metrics::QuarantineReason;
use crate::proof::{chain_next, chain_start, point_message};
use crate::report::brief;

/// The last position in an origin that is taken: what every JSON parser reads as the same number.
const PLACE_MAX: u64 = (1 << 53) - 1;

/// Events of a peer, parsed and with their proofs verified. That takes time, which the writer has not.
#[derive(Default)]
pub struct IncomingPage {
    /// The events that their origins wrote, in the order of the peer's log. Those of an origin are also in its order.
    pub(super) events: Vec<Incoming>,
    /// What is not taken, by the first event of each run.
    pub(super) refused: Vec<Refused>,
}

/// An event that its origin has written.
pub(super) struct Incoming {
    pub(super) sequence: Sequence,
    pub(super) bytes: Box<RawValue>,
    pub(super) header: EventHeader,
    /// The chain of its origin before it, and after it.
    pub(super) previous: Chain,
    pub(super) chain: Chain,
    /// At the end of a run: the origin's signature on `chain`.
    pub(super) point: Option<Signature>,
}

/// A run that is not taken.
pub(super) struct Refused {
    /// One of its events, if it has one.
    pub(super) event: Option<SequencedEvent>,
    pub(super) reason: String,
    pub(super) kind: QuarantineReason,
    /// How many events it has.
    pub(super) events: usize,
}

impl Refused {
    fn invalid(event: Option<SequencedEvent>, reason: String, events: usize) -> Self {
        Self { event, reason, kind: QuarantineReason::Invalid, events }
    }
}

impl IncomingPage {
    /// Parses and verifies runs of a peer.
    pub fn read(runs: Vec<Run>) -> Self {
        let mut page = Self::default();
        let mut parsed: Vec<ParsedRun> = Vec::with_capacity(runs.len());
        for run in runs {
            match ParsedRun::read(run) {
                Ok(run) => parsed.push(run),
                Err(refused) => page.refused.push(refused),
            }
        }
        let messages: Vec<_> = parsed.iter().map(ParsedRun::message).collect();
        let signed: Vec<_> = messages
            .iter()
            .zip(&parsed)
            .map(|(message, run)| SignedMessage {
                public: run.origin.daemon.to_bytes(),
                message,
                signature: run.signature,
            })
            .collect();
        let mut bad = bad_signatures(&signed);
        bad.sort_unstable_by_key(|index| Reverse(*index));
        for index in bad {
            page.refused.push(parsed.swap_remove(index).refused());
        }
        let mut events: Vec<(Sequence, Incoming)> = Vec::new();
        for run in parsed {
            let mut last = Sequence::ZERO;
            for event in run.events {
                last = last.max(event.sequence);
                events.push((last, event));
            }
        }
        events.sort_by_key(|(at, _)| *at);
        page.events = events.into_iter().map(|(_, event)| event).collect();
        page
    }

    /// The bytes of its events.
    pub fn bytes(&self) -> usize {
        self.events.iter().map(|event| event.bytes.get().len()).sum()
    }

    /// Whether it has no events.
    pub fn is_empty(&self) -> bool {
        self.events.is_empty() && self.refused.is_empty()
    }
}

/// A run whose signature is not verified yet.
struct ParsedRun {
    origin: Origin,
    /// At least one.
    events: Vec<Incoming>,
    signature: Signature,
}

impl ParsedRun {
    fn read(run: Run) -> Result<Self, Refused> {
        let Run { previous, signature, events } = run;
        let count = events.len();
        let bytes: usize = events.iter().map(|it| it.event.get().len()).sum();
        if bytes > RUN_MAX_BYTES {
            // Whoever relays it could not put what proves it into an answer.
            let reason = format!("its run has {bytes} bytes of events; at most {RUN_MAX_BYTES}");
            return Err(Refused::invalid(events.into_iter().next(), reason, count));
        }
        let mut chain = previous;
        let mut origin = None;
        let mut parsed: Vec<Incoming> = Vec::with_capacity(count);
        for event in events {
            let header = parse(event.event.get()).and_then(|header| {
                let place = header.origin_sequence;
                match parsed.last().map(|before| &before.header) {
                    None if place.0 == 1 && previous != chain_start(&header.origin()) => {
                        Err("its origin's chain begins otherwise".to_owned())
                    }
                    Some(before)
                        if header.origin() != before.origin()
                            || place != before.origin_sequence.next() =>
                    {
                        Err(format!(
                            "it does not follow origin_sequence {} in its run",
                            before.origin_sequence
                        ))
                    }
                    _ => Ok(header),
                }
            });
            let header = match header {
                Ok(header) => header,
                Err(reason) => return Err(Refused::invalid(Some(event), reason, count)),
            };
            origin.get_or_insert(header.origin());
            let SequencedEvent { sequence, event: bytes } = event;
            let before = chain;
            chain = chain_next(before, bytes.get().as_bytes());
            parsed.push(Incoming { sequence, bytes, header, previous: before, chain, point: None });
        }
        match (origin, parsed.last_mut()) {
            (Some(origin), Some(last)) => {
                last.point = Some(signature);
                Ok(Self { origin, events: parsed, signature })
            }
            _ => Err(Refused::invalid(None, "a run without events".to_owned(), 1)),
        }
    }

    /// What its origin has signed, if it did.
    fn message(&self) -> Vec<u8> {
        let last = self.events.last();
        let place = last.map_or_else(Default::default, |last| last.header.origin_sequence);
        let chain = last.map_or(Chain([0; 32]), |last| last.chain);
        point_message(&self.origin, place, chain).to_vec()
    }

    fn refused(self) -> Refused {
        let events = self.events.len();
        let event = self.events.into_iter().next();
        Refused {
            event: event.map(|it| SequencedEvent { sequence: it.sequence, event: it.bytes }),
            reason: format!("no signature of {} proves it", self.origin.daemon),
            kind: QuarantineReason::NotProved,
            events,
        }
    }
}

/// Parses the header of a possible event; an error says why it is not an event.
fn parse(text: &str) -> Result<EventHeader, String> {
    if text.len() > EVENT_MAX_BYTES {
        return Err(format!("{} bytes; an event has at most {EVENT_MAX_BYTES}", text.len()));
    }
    // Serde would also accept an array of the members' values.
    if !text.starts_with('{') {
        return Err("no JSON object".to_owned());
    }
    let said = |error: serde_json::Error| brief(&error.to_string());
    let header: EventHeader = serde_json::from_str(text).map_err(said)?;
    portable::check_event(text).map_err(said)?;
    if !(1..=PLACE_MAX).contains(&header.origin_sequence.0) {
        return Err(format!("no origin_sequence: {}", header.origin_sequence));
    }
    Ok(header)
}
