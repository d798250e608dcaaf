//! What the tables and the log know of one message: who has read it, who has answered it, where it is.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use rusqlite::{OptionalExtension, Row, params};
use serde::Deserialize;
use thrum_api::event::{EventRef, MESSAGE_SENT, MessageSent, Route};
use thrum_api::{DaemonId, Epoch, EventId, Hlc, OriginSequence, Sequence, Timestamp, names};

use super::super::directory::project_name;
use super::super::error::{AgentsError, log_unread, views};
use super::super::marks::route_named;
use super::super::store::Store;
use super::recipients::{Recipient, Roll};
use crate::log::column::{daemon_id, uint};
use crate::log::{LogReader, StoredEvent};

const READ_HERE: &str =
    "SELECT agent, at, route, session FROM read_marks WHERE event_id = ?1 AND origin = ?2";
const READ_ELSEWHERE: &str = "SELECT inbox, origin, at, route,
       (SELECT s.session FROM receipt_sessions s WHERE s.id = r.session)
     FROM receipts r WHERE event_id = ?1";
const ANY_ANSWER: &str = "SELECT 1 FROM replies WHERE event_id = ?1 AND origin = ?2 LIMIT 1";
/// Of one who answers, its first one.
const ANSWER: &str = "SELECT sequence FROM replies
     WHERE event_id = ?1 AND origin = ?2 AND sender = ?3 AND daemon = ?4
     ORDER BY sequence LIMIT 1";
/// Whoever answers, each as often as it has answered.
const ANSWERERS: &str =
    "SELECT sender, daemon FROM replies WHERE event_id = ?1 AND origin = ?2 LIMIT ?3";
/// Answers that are looked at to know all who answer. Of more than these, each recipient is looked up.
const ANSWERERS_MAX: usize = 1000;
const RECEIVED: &str =
    "SELECT up_to FROM received WHERE teller = ?1 AND origin = ?2 AND epoch = ?3";
const DELETED: &str = "SELECT 1 FROM deleted WHERE event_id = ?1 AND origin = ?2 AND sender = ?3";

/// As in `inbox`: none may scan rows whose number grows with the log.
#[cfg(test)]
pub(super) const QUERIES: &[&str] =
    &[READ_HERE, READ_ELSEWHERE, ANY_ANSWER, ANSWER, ANSWERERS, RECEIVED, DELETED];

/// A message as it stands in the log.
#[derive(Deserialize)]
pub(super) struct ParsedMessage {
    pub(super) event_id: EventId,
    pub(super) origin_daemon: DaemonId,
    pub(super) origin_epoch: Epoch,
    pub(super) origin_sequence: OriginSequence,
    pub(super) hlc: Hlc,
    pub(super) timestamp: Timestamp,
    pub(super) body: MessageSent,
}

/// A message in the log, and where.
pub(in super::super) struct FoundMessage {
    pub(in super::super) sequence: Sequence,
    pub(super) project: String,
    pub(super) message: ParsedMessage,
    /// It was sent on this machine.
    pub(super) is_ours: bool,
}

impl FoundMessage {
    /// Without its text, which may be long and says nothing of its delivery.
    pub(in super::super) fn without_text(mut self) -> Self {
        self.message.body.text = String::new();
        self
    }
}

/// How a message was read.
#[derive(Clone)]
pub(super) struct ReadFact {
    pub(super) at: i64,
    pub(super) route: Route,
    pub(super) session: Option<String>,
}

/// The first answer of a recipient.
pub(super) struct AnswerFact {
    pub(super) at: Timestamp,
    pub(super) event: EventRef,
}

/// What is known of one message.
#[derive(Default)]
pub(super) struct Facts {
    /// Its position, and the log's end.
    pub(super) sequence: Sequence,
    pub(super) head: Sequence,
    /// By inbox and daemon of the reader, and by the name of readers on this machine.
    pub(super) read_elsewhere: HashMap<(i64, DaemonId), ReadFact>,
    pub(super) read_here: HashMap<String, ReadFact>,
    pub(super) answers: HashMap<(i64, DaemonId), AnswerFact>,
    /// Daemons that have told that it is there.
    pub(super) received: BTreeSet<DaemonId>,
}

impl Facts {
    /// How a recipient has read it, if it has: agents of this daemon (`here`) mark what they read.
    pub(super) fn read(&self, by: &Recipient, here: DaemonId) -> Option<&ReadFact> {
        match (by.daemon?, by.inbox) {
            (daemon, _) if daemon == here => self.read_here.get(&by.agent),
            (daemon, Some(inbox)) => self.read_elsewhere.get(&(inbox, daemon)),
            _ => None,
        }
    }

    /// The first answer of a recipient.
    pub(super) fn answer(&self, by: &Recipient) -> Option<&AnswerFact> {
        self.answers.get(&(by.inbox?, by.daemon?))
    }
}

impl Store {
    /// The message of this event; None if it is none.
    pub(in super::super) fn found_message(
        &self,
        sequence: Sequence,
        event: &StoredEvent<'_>,
    ) -> Option<FoundMessage> {
        if event.event_type != MESSAGE_SENT.as_bytes() {
            return None;
        }
        let mut message: ParsedMessage = serde_json::from_slice(event.json).ok()?;
        message.body.from = names::agent(&message.body.from).ok()?;
        let is_ours = event.is_own || message.origin_daemon == self.daemon;
        let project = project_name(event.project).ok()?;
        Some(FoundMessage { sequence, project, message, is_ours })
    }

    pub(super) fn facts(
        &self,
        sequence: Sequence,
        message: &ParsedMessage,
    ) -> rusqlite::Result<Facts> {
        let (id, origin) = (message.event_id.ulid().to_bytes(), message.origin_daemon.to_bytes());
        let mut facts = Facts { sequence, ..Facts::default() };
        let mut here = self.connection.prepare_cached(READ_HERE)?;
        let mut rows = here.query(params![id, origin])?;
        while let Some(row) = rows.next()? {
            facts.read_here.insert(row.get(0)?, read_fact(row, 1)?);
        }
        let mut elsewhere = self.connection.prepare_cached(READ_ELSEWHERE)?;
        let mut rows = elsewhere.query(params![id])?;
        while let Some(row) = rows.next()? {
            let reader = (row.get(0)?, daemon_id(row.get(1)?));
            facts.read_elsewhere.insert(reader, read_fact(row, 2)?);
        }
        Ok(facts)
    }

    fn has_answers(&self, message: &ParsedMessage) -> rusqlite::Result<bool> {
        let (id, origin) = (message.event_id.ulid().to_bytes(), message.origin_daemon.to_bytes());
        self.connection.prepare_cached(ANY_ANSWER)?.exists(params![id, origin])
    }

    /// Who has answered, by inbox and daemon; None if there are too many answers for that.
    pub(super) fn answerers(
        &self,
        message: &ParsedMessage,
    ) -> rusqlite::Result<Option<HashSet<(i64, DaemonId)>>> {
        let (id, origin) = (message.event_id.ulid().to_bytes(), message.origin_daemon.to_bytes());
        let most = i64::try_from(ANSWERERS_MAX).unwrap_or(i64::MAX);
        let mut query = self.connection.prepare_cached(ANSWERERS)?;
        let mut rows = query.query(params![id, origin, most + 1])?;
        let (mut answerers, mut answers) = (HashSet::new(), 0);
        while let Some(row) = rows.next()? {
            answerers.insert((row.get(0)?, daemon_id(row.get(1)?)));
            answers += 1;
        }
        Ok((answers <= ANSWERERS_MAX).then_some(answerers))
    }

    /// The position of a recipient's first answer.
    pub(super) fn first_answer(
        &self,
        message: &ParsedMessage,
        by: &Recipient,
    ) -> rusqlite::Result<Option<Sequence>> {
        let (Some(inbox), Some(daemon)) = (by.inbox, by.daemon) else { return Ok(None) };
        let (id, origin) = (message.event_id.ulid().to_bytes(), message.origin_daemon.to_bytes());
        self.connection
            .prepare_cached(ANSWER)?
            .query_row(params![id, origin, inbox, daemon.to_bytes()], |row| row.get(0))
            .optional()
            .map(|sequence| sequence.map(|sequence| Sequence(uint(sequence))))
    }

    /// The first answer of each of these who has answered, by inbox and daemon.
    pub(super) fn answers<'r>(
        &self,
        log: &LogReader,
        message: &ParsedMessage,
        recipients: impl IntoIterator<Item = &'r Recipient>,
    ) -> Result<HashMap<(i64, DaemonId), AnswerFact>, AgentsError> {
        let mut sequences = BTreeMap::new();
        // Most messages have none, whoever they are for.
        let has_any = self.has_answers(message).map_err(views("look for answers"))?;
        for recipient in recipients.into_iter().filter(|_| has_any) {
            let first = self.first_answer(message, recipient).map_err(views("look for answers"))?;
            sequences.extend(first.zip(recipient.inbox));
        }
        let mut answers = HashMap::new();
        let read = log.each_at(sequences.keys().copied(), |sequence, event| {
            let answer =
                event.and_then(|event| serde_json::from_slice::<ParsedMessage>(event.json).ok());
            if let (Some(answer), Some(inbox)) = (answer, sequences.get(&sequence)) {
                let (event_id, origin_daemon) = (answer.event_id, answer.origin_daemon);
                let event = EventRef { event_id, origin_daemon };
                let fact = AnswerFact { at: answer.timestamp, event };
                answers.insert((*inbox, origin_daemon), fact);
            }
            true
        });
        read.map_err(log_unread)?;
        Ok(answers)
    }

    /// Whether a daemon has told that it holds this message.
    pub(super) fn told_received(
        &self,
        teller: DaemonId,
        message: &ParsedMessage,
    ) -> rusqlite::Result<bool> {
        Ok(self.told_up_to(teller, message)? >= Some(message.origin_sequence))
    }

    /// Up to where a daemon has told that it holds the events of the message's origin.
    pub(super) fn told_up_to(
        &self,
        teller: DaemonId,
        message: &ParsedMessage,
    ) -> rusqlite::Result<Option<OriginSequence>> {
        let origin = message.origin_daemon.to_bytes();
        let key = params![teller.to_bytes(), origin, message.origin_epoch.ulid().to_bytes()];
        let up_to = self.connection.prepare_cached(RECEIVED)?.query_row(key, |row| row.get(0));
        Ok(up_to.optional()?.map(|up_to: i64| OriginSequence(uint(up_to))))
    }

    pub(super) fn was_deleted(
        &self,
        roll: &Roll<'_>,
        message: &ParsedMessage,
    ) -> rusqlite::Result<bool> {
        let Some(sender) = roll.inbox(&message.body.from)? else { return Ok(false) };
        let (id, origin) = (message.event_id.ulid().to_bytes(), message.origin_daemon.to_bytes());
        self.connection.prepare_cached(DELETED)?.exists(params![id, origin, sender])
    }
}

fn read_fact(row: &Row<'_>, first: usize) -> rusqlite::Result<ReadFact> {
    let route: String = row.get(first + 1)?;
    let session = row.get(first + 2)?;
    Ok(ReadFact { at: row.get(first)?, route: route_named(&route), session })
}
