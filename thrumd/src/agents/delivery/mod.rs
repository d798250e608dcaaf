//! Delivery: how far messages of this machine got, by what the views and the other machines tell.

mod facts;
mod judge;
mod recipients;
mod summary;

use std::collections::{BTreeMap, BTreeSet};

use thrum_api::event::EventRef;
use thrum_api::local::{DeliveryState, MessageStatusResult, RecipientStatus};
use thrum_api::{Address, DaemonId, Sequence};

pub(super) use self::facts::FoundMessage;
use self::facts::{Facts, ParsedMessage};
use self::judge::Judge;
use self::recipients::{Addressed, Recipient, Roll, Written};
pub(super) use self::summary::Summarizer;
use super::error::{AgentsError, log_unread, views};
use super::reach::Machines;
use super::store::Store;
use crate::log::LogReader;
use crate::log::column::{int, uint};

/// Recipients in an answer at most.
const SHOWN_MAX: usize = 100;
/// Characters of a message's text in an answer at most.
const TEXT_MAX_CHARS: usize = 200;

const SENT: &str = "SELECT sequence FROM sent
     WHERE inbox = ?1 AND sequence < ?2 ORDER BY sequence DESC LIMIT ?3";

/// As in `inbox`: none may scan rows whose number grows with the log.
#[cfg(test)]
pub(super) const QUERIES: &[&[&str]] =
    &[&[SENT], facts::QUERIES, judge::QUERIES, recipients::QUERIES];

/// How far a message got.
#[derive(Debug)]
pub struct Delivery {
    /// What there is to tell.
    pub status: MessageStatusResult,
    /// Peers that are to have it, can be reached and have not confirmed it.
    pub under_way: BTreeSet<DaemonId>,
}

/// How far a message got that is about to be written.
#[derive(Debug, Default)]
pub(super) struct Outlook {
    pub(super) recipients: Vec<RecipientStatus>,
    pub(super) total: u64,
}

impl Store {
    /// How far the message at a position got; None if there is none of this machine.
    pub(super) fn delivery(
        &self,
        log: &LogReader,
        sequence: Sequence,
        machines: &Machines,
        head: Sequence,
    ) -> Result<Option<Delivery>, AgentsError> {
        let messages = self.deliveries(log, &[sequence], machines, head)?;
        Ok(messages.into_iter().next())
    }

    /// How far the messages got that an agent has sent here before a position, the newest first.
    pub(super) fn sent(
        &self,
        log: &LogReader,
        (agent, project): (&str, &str),
        (before, limit): (Option<Sequence>, usize),
        machines: &Machines,
        head: Sequence,
    ) -> Result<Vec<MessageStatusResult>, AgentsError> {
        let doing = views("list sent messages");
        let roll = Roll::new((&self.connection, self.daemon), machines, project).map_err(&doing)?;
        let Some(inbox) = roll.inbox(agent).map_err(&doing)? else { return Ok(Vec::new()) };
        let before = before.map_or(i64::MAX, |before| int(before.0));
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        let sequences: Vec<Sequence> = self
            .connection
            .prepare_cached(SENT)
            .and_then(|mut sent| {
                let rows = sent.query_map([inbox, before, limit], |row| row.get(0))?;
                rows.map(|row| row.map(|sequence| Sequence(uint(sequence)))).collect()
            })
            .map_err(&doing)?;
        let messages = self.deliveries(log, &sequences, machines, head)?;
        Ok(messages.into_iter().map(|delivery| delivery.status).collect())
    }

    /// Whom a message would reach that is about to be written, and what they do. One to all has a number only.
    pub(super) fn outlook(
        &self,
        project: &str,
        (from, to, all): (&str, &[Address], bool),
        machines: &Machines,
        head: Sequence,
    ) -> Result<Outlook, AgentsError> {
        let doing = views("look for recipients");
        let roll = Roll::new((&self.connection, self.daemon), machines, project).map_err(&doing)?;
        if all {
            let total = roll.count_everyone(from, self.daemon).map_err(&doing)?;
            return Ok(Outlook { recipients: Vec::new(), total });
        }
        let addressed = Addressed { from, origin: self.daemon, to, all, written: None };
        let recipients = roll.recipients(&addressed).map_err(&doing)?;
        let total = number(recipients.len());
        let facts = Facts { sequence: head.next(), head: head.next(), ..Facts::default() };
        let judge = Judge { store: self, machines, facts: &facts, project };
        let mut statuses: Vec<_> =
            recipients.into_iter().map(|recipient| judge.state(recipient)).collect();
        statuses.sort_by_key(|(_, status)| status.state);
        statuses.truncate(SHOWN_MAX);
        let explained = statuses
            .into_iter()
            .map(|(recipient, status)| judge.explained(&recipient, status).map_err(&doing));
        Ok(Outlook { recipients: explained.collect::<Result<_, _>>()?, total })
    }

    fn deliveries(
        &self,
        log: &LogReader,
        sequences: &[Sequence],
        machines: &Machines,
        head: Sequence,
    ) -> Result<Vec<Delivery>, AgentsError> {
        let doing = views("look how far messages got");
        let mut messages = Vec::new();
        log.each_at(sequences.iter().copied(), |sequence, event| {
            let found = event.and_then(|event| self.found_message(sequence, event));
            messages.extend(found.filter(|message| message.is_ours));
            true
        })
        .map_err(log_unread)?;
        // Nearly always they are of one project.
        let mut rolls: BTreeMap<String, Roll<'_>> = BTreeMap::new();
        let mut deliveries = Vec::new();
        for FoundMessage { sequence, project, message, .. } in messages {
            if !rolls.contains_key(&project) {
                let roll = Roll::new((&self.connection, self.daemon), machines, &project)
                    .map_err(&doing)?;
                rolls.insert(project.clone(), roll);
            }
            let Some(roll) = rolls.get(&project) else { continue };
            let mut facts = self.facts(sequence, &message).map_err(&doing)?;
            facts.head = head;
            let recipients = self.reached(roll, &message, &facts).map_err(&doing)?;
            facts.answers = self.answers(log, &message, &recipients)?;
            let (roll, of) = ((roll, project.as_str()), (message, facts, recipients));
            deliveries.push(self.judged(roll, machines, of).map_err(&doing)?);
        }
        Ok(deliveries)
    }

    /// Whom a message is for.
    fn reached(
        &self,
        roll: &Roll<'_>,
        message: &ParsedMessage,
        facts: &Facts,
    ) -> rusqlite::Result<BTreeSet<Recipient>> {
        let has_it = |recipient: &Recipient| {
            Ok(facts.read(recipient, self.daemon).is_some()
                || self.first_answer(message, recipient)?.is_some())
        };
        let written = Written {
            sequence: int(facts.sequence.0),
            hlc: message.hlc.to_bits(),
            has_it: &has_it,
        };
        roll.recipients(&Addressed {
            from: &message.body.from,
            origin: message.origin_daemon,
            to: &message.body.to,
            all: message.body.all,
            written: Some(written),
        })
    }

    fn judged(
        &self,
        (roll, project): (&Roll<'_>, &str),
        machines: &Machines,
        (message, mut facts, recipients): (ParsedMessage, Facts, BTreeSet<Recipient>),
    ) -> rusqlite::Result<Delivery> {
        let daemons: BTreeSet<DaemonId> = recipients.iter().filter_map(|it| it.daemon).collect();
        for daemon in daemons {
            if self.told_received(daemon, &message)? {
                facts.received.insert(daemon);
            }
        }
        let judge = Judge { store: self, machines, facts: &facts, project };
        let mut statuses: Vec<_> =
            recipients.into_iter().map(|recipient| judge.state(recipient)).collect();
        let reached = |state| number(statuses.iter().filter(|(_, it)| it.state >= state).count());
        let [there, read, answered] =
            [DeliveryState::There, DeliveryState::Read, DeliveryState::Answered].map(reached);
        let total = number(statuses.len());
        let under_way = statuses.iter().filter(|(_, status)| judge.is_under_way(status));
        let under_way = under_way.filter_map(|(recipient, _)| recipient.daemon).collect();
        // The order of names and machines is kept among those that got equally far.
        statuses.sort_by_key(|(_, status)| status.state);
        statuses.truncate(SHOWN_MAX);
        let explained = statuses
            .into_iter()
            .map(|(recipient, status)| judge.explained(&recipient, status))
            .collect::<rusqlite::Result<_>>()?;
        let deleted = self.was_deleted(roll, &message)?;
        let text = message.body.text.chars().take(TEXT_MAX_CHARS);
        let status = MessageStatusResult {
            message: EventRef { event_id: message.event_id, origin_daemon: message.origin_daemon },
            sequence: facts.sequence,
            to: message.body.to.iter().map(ToString::to_string).collect(),
            all: message.body.all,
            text: if deleted { String::new() } else { text.collect() },
            from: message.body.from,
            timestamp: message.timestamp,
            deleted,
            recipients: explained,
            total,
            there,
            read,
            answered,
        };
        Ok(Delivery { status, under_way })
    }
}

fn number(count: usize) -> u64 {
    u64::try_from(count).unwrap_or(u64::MAX)
}
