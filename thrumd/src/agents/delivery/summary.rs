//! Delivery in short: how many recipients a message got to, and which of them it got to the least far.

use std::collections::{BTreeMap, HashMap, HashSet};

use thrum_api::local::{DeliveryState, DeliverySummary};
use thrum_api::{DaemonId, Epoch, OriginSequence, Sequence};

use super::super::error::{AgentsError, views};
use super::super::reach::Machines;
use super::super::store::Store;
use super::facts::{Facts, FoundMessage};
use super::judge::Judge;
use super::recipients::{Addressed, Recipient, Roll, Written};
use crate::log::LogReader;
use crate::log::column::int;

/// Summarises messages one after the other. What is known of projects and daemons is read once for all of them.
pub(in super::super) struct Summarizer<'a> {
    store: &'a Store,
    log: &'a LogReader,
    machines: &'a Machines,
    /// The end of the log.
    head: Sequence,
    rolls: BTreeMap<String, Roll<'a>>,
    /// Up to where daemons have told that they hold the events of an origin.
    received: HashMap<(DaemonId, DaemonId, Epoch), Option<OriginSequence>>,
}

/// The recipients of one message, as they are counted.
#[derive(Default)]
struct Counts {
    total: u64,
    there: u64,
    read: u64,
    answered: u64,
    /// Of those that it got to the least far, the first by name and machine.
    least: Option<(DeliveryState, Recipient)>,
}

impl Counts {
    fn add(&mut self, state: DeliveryState, recipient: &Recipient) {
        self.total += 1;
        self.there += u64::from(state >= DeliveryState::There);
        self.read += u64::from(state >= DeliveryState::Read);
        self.answered += u64::from(state >= DeliveryState::Answered);
        let is_least =
            |(least, first): &(DeliveryState, Recipient)| (state, recipient) < (*least, first);
        if self.least.as_ref().is_none_or(is_least) {
            self.least = Some((state, recipient.clone()));
        }
    }
}

impl<'a> Summarizer<'a> {
    pub(in super::super) fn new(
        store: &'a Store,
        log: &'a LogReader,
        machines: &'a Machines,
        head: Sequence,
    ) -> Self {
        let (rolls, received) = (BTreeMap::new(), HashMap::new());
        Self { store, log, machines, head, rolls, received }
    }

    /// How far a message got. Of one that was sent on another machine, that is known of recipients of this one alone.
    pub(in super::super) fn summary(
        &mut self,
        found: &FoundMessage,
    ) -> Result<DeliverySummary, AgentsError> {
        let doing = views("look how far messages got");
        let FoundMessage { sequence, project, message, is_ours } = found;
        if !self.rolls.contains_key(project) {
            let (connection, daemon) = (&self.store.connection, self.store.daemon);
            let roll = Roll::new((connection, daemon), self.machines, project).map_err(&doing)?;
            self.rolls.insert(project.clone(), roll);
        }
        let mut facts = self.store.facts(*sequence, message).map_err(&doing)?;
        facts.head = self.head;
        let counts = self.count(found, &facts).map_err(&doing)?;
        let mut summary = DeliverySummary {
            total: counts.total,
            there: counts.there,
            read: counts.read,
            answered: counts.answered,
            least: None,
            here_only: !is_ours,
        };
        let Some((state, least)) = counts.least else { return Ok(summary) };
        if state == DeliveryState::Answered {
            facts.answers = self.store.answers(self.log, message, [&least])?;
        }
        if let Some(daemon) = least.daemon.filter(|_| state == DeliveryState::There) {
            facts.received.insert(daemon);
        }
        let judge = Judge { store: self.store, machines: self.machines, facts: &facts, project };
        let (least, status) = judge.state(least);
        summary.least = Some(judge.explained(&least, status).map_err(&doing)?);
        Ok(summary)
    }

    fn count(&mut self, found: &FoundMessage, facts: &Facts) -> rusqlite::Result<Counts> {
        let Self { store, machines, rolls, received, .. } = self;
        let FoundMessage { sequence, project, message, is_ours } = found;
        let here = store.daemon;
        let answerers = store.answerers(message)?;
        let has_answered = |recipient: &Recipient| match &answerers {
            Some(all) => Ok(is_among(all, recipient)),
            None => store.first_answer(message, recipient).map(|answer| answer.is_some()),
        };
        let has_it = |recipient: &Recipient| {
            Ok(facts.read(recipient, here).is_some() || has_answered(recipient)?)
        };
        let mut is_there = |daemon: DaemonId| {
            let peer = machines.peers.get(&daemon);
            if daemon == here || peer.is_some_and(|peer| peer.confirmed >= *sequence) {
                return Ok(true);
            }
            let key = (daemon, message.origin_daemon, message.origin_epoch);
            let up_to = match received.get(&key) {
                Some(up_to) => *up_to,
                None => {
                    let told = store.told_up_to(daemon, message)?;
                    received.insert(key, told);
                    told
                }
            };
            Ok::<_, rusqlite::Error>(up_to >= Some(message.origin_sequence))
        };
        // Nearly all recipients of a message to all are of few daemons.
        let mut known: Option<(DaemonId, bool)> = None;
        let mut counts = Counts::default();
        let mut count = |recipient: &Recipient| {
            if !is_ours && recipient.daemon != Some(here) {
                return Ok(());
            }
            let state = if has_answered(recipient)? {
                DeliveryState::Answered
            } else if facts.read(recipient, here).is_some() {
                DeliveryState::Read
            } else {
                let there = match (recipient.daemon, known) {
                    (Some(daemon), Some((last, there))) if last == daemon => there,
                    (Some(daemon), _) => {
                        let there = is_there(daemon)?;
                        known = Some((daemon, there));
                        there
                    }
                    (None, _) => false,
                };
                if there { DeliveryState::There } else { DeliveryState::Stored }
            };
            counts.add(state, recipient);
            Ok(())
        };
        let written =
            Written { sequence: int(sequence.0), hlc: message.hlc.to_bits(), has_it: &has_it };
        let addressed = Addressed {
            from: &message.body.from,
            origin: message.origin_daemon,
            to: &message.body.to,
            all: message.body.all,
            written: Some(written),
        };
        let Some(roll) = rolls.get(project) else { return Ok(counts) };
        if message.body.all && message.body.to.is_empty() {
            roll.each_of_all(&addressed, !is_ours, &mut count)?;
        } else {
            for recipient in roll.recipients(&addressed)? {
                count(&recipient)?;
            }
        }
        Ok(counts)
    }
}

fn is_among(all: &HashSet<(i64, DaemonId)>, recipient: &Recipient) -> bool {
    if all.is_empty() {
        return false;
    }
    recipient.inbox.zip(recipient.daemon).is_some_and(|of| all.contains(&of))
}
