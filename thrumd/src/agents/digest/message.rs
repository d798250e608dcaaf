//! Digests messages: whose they are, and which conversation they belong to.

use std::borrow::Cow;
use std::collections::BTreeSet;

use rusqlite::params;
use serde::Deserialize;
use thrum_api::event::EventRef;
use thrum_api::limits::{MESSAGE_TEXT_MAX_BYTES, RECIPIENTS_MAX};
use thrum_api::{DaemonId, Epoch, OriginSequence};

use super::super::broadcasts;
use super::super::directory::find_inbox;
use super::super::failure::Failure;
use super::recipients::Recipient;
use super::{Page, unparsed};
use crate::log::StoredEvent;
use crate::log::column::int;

/// What the views read of a message, without a copy of its text.
#[derive(Deserialize)]
pub(super) struct ParsedMessage<'a> {
    pub(super) origin_daemon: DaemonId,
    origin_epoch: Epoch,
    origin_sequence: OriginSequence,
    #[serde(borrow)]
    pub(super) body: ParsedMessageBody<'a>,
}

#[derive(Deserialize)]
pub(super) struct ParsedMessageBody<'a> {
    #[serde(borrow)]
    pub(super) from: Cow<'a, str>,
    #[serde(borrow, default)]
    pub(super) to: Vec<Name<'a>>,
    #[serde(default)]
    pub(super) all: bool,
    #[serde(default)]
    pub(super) reply_to: Option<EventRef>,
    #[serde(default)]
    thread: Option<EventRef>,
    #[serde(default, rename = "urgent")]
    _urgent: bool,
    #[serde(borrow)]
    text: Cow<'a, str>,
}

/// A name that is borrowed if it has no escapes.
#[derive(Deserialize)]
pub(super) struct Name<'a>(#[serde(borrow)] pub(super) Cow<'a, str>);

impl<'a> ParsedMessage<'a> {
    pub(super) fn parse(event: &StoredEvent<'a>) -> Result<Self, Failure> {
        match str::from_utf8(event.json).map(serde_json::from_str) {
            Ok(Ok(message)) => Ok(message),
            Ok(Err(error)) => Err(unparsed(event, &error)),
            Err(_) => Err(Failure::Damaged),
        }
    }
}

impl ParsedMessageBody<'_> {
    /// The first message of its conversation, if it is an answer.
    pub(super) fn thread(&self) -> Option<EventRef> {
        self.thread.or(self.reply_to)
    }

    pub(super) fn recipients(&self, here: DaemonId) -> Result<Vec<Recipient<'_>>, Failure> {
        let count = self.to.len();
        if count > RECIPIENTS_MAX {
            let reason = format!("it has {count} recipients, more than {RECIPIENTS_MAX}");
            return Err(Failure::undigestible(reason));
        }
        if self.to.is_empty() && !self.all {
            return Err(Failure::undigestible("the message has no recipient"));
        }
        self.to.iter().map(|Name(text)| Recipient::parse(text, here)).collect()
    }
}

impl Page<'_> {
    pub(super) fn message(&mut self, event: &StoredEvent<'_>) -> Result<(), Failure> {
        let message = ParsedMessage::parse(event)?;
        let (origin, body) = (message.origin_daemon, &message.body);
        let bytes = body.text.len();
        if bytes > MESSAGE_TEXT_MAX_BYTES {
            let reason = format!("its text has {bytes} bytes, more than {MESSAGE_TEXT_MAX_BYTES}");
            return Err(Failure::undigestible(reason));
        }
        let named = body.recipients(self.daemon)?;
        let project = self.directory.project(event.project)?;
        let names = named.iter().filter_map(Recipient::inbox);
        project.check(names.clone().chain([body.from.as_ref()]))?;
        let sender = project.inbox(self.connection, &body.from)?;
        let mut recipients = BTreeSet::new();
        for name in names {
            recipients.insert(project.inbox(self.connection, name)?);
        }
        let project = project.id;
        self.note_seen(sender, origin, event)?;
        // Also where a peer brings back what this daemon has lost. The original of a directory that was copied
        // writes under a former id, and its agents are others.
        let is_ours = event.is_own || origin == self.daemon;
        let sequence = int(event.sequence.0);
        if is_ours {
            self.sent.execute([sender, sequence])?;
        }
        if self.is_deleted(event, origin, sender)? {
            return Ok(());
        }
        self.messages.add(project, sequence);
        self.add_members(&named, project, is_ours.then_some(sender), &mut recipients)?;
        self.note_conversation(event, &message, sender)?;
        let read = self.read_by(event, origin, project)?;
        if !is_ours {
            let of = (origin, message.origin_epoch);
            let for_all = body.all.then_some(project);
            let at = message.origin_sequence;
            self.arrivals.note(self.connection, of, at, &recipients, for_all)?;
        }
        if body.all {
            let number = broadcasts::add(self.connection, project, sequence)?;
            self.told.insert(project);
            // Those whom it names have it as one that names them.
            for recipient in &recipients {
                broadcasts::settle(self.connection, *recipient, number)?;
            }
            if is_ours {
                broadcasts::settle(self.connection, sender, number)?;
            }
            for reader in &read {
                if broadcasts::settle(self.connection, *reader, number)? {
                    self.insert.execute(params![reader, true, sequence])?;
                }
            }
        }
        for recipient in recipients {
            let read = read.contains(&recipient);
            self.insert.execute(params![recipient, read, sequence])?;
            if !read {
                *self.unread.entry(recipient).or_default() += 1;
            }
        }
        Ok(())
    }

    /// Notes what an answer answers, and its conversation. Neither has to be here, nor to come before it.
    fn note_conversation(
        &self,
        event: &StoredEvent<'_>,
        message: &ParsedMessage<'_>,
        sender: i64,
    ) -> rusqlite::Result<()> {
        let (body, sequence) = (&message.body, int(event.sequence.0));
        let is_itself = |of: &EventRef| {
            Some(of.event_id) == event.event_id && of.origin_daemon == message.origin_daemon
        };
        if let Some(parent) = body.reply_to {
            let (id, origin, sequence) = row(parent, sequence);
            self.connection
                .prepare_cached(
                    "INSERT INTO replies (event_id, origin, sequence, sender, daemon)
                     VALUES (?, ?, ?, ?, ?)",
                )?
                .execute(params![id, origin, sequence, sender, message.origin_daemon.to_bytes()])?;
        }
        if let Some(root) = body.thread().filter(|root| !is_itself(root)) {
            self.connection
                .prepare_cached(
                    "INSERT INTO threads (event_id, origin, sequence) VALUES (?, ?, ?)",
                )?
                .execute(row(root, sequence))?;
        }
        Ok(())
    }

    /// The inboxes of those who have read this event already, before the views were rebuilt.
    fn read_by(
        &self,
        event: &StoredEvent<'_>,
        origin: DaemonId,
        project: i64,
    ) -> rusqlite::Result<Vec<i64>> {
        let id = event.event_id.map(|id| id.ulid().to_bytes());
        if id > self.last_read {
            return Ok(Vec::new());
        }
        let mut agents = self
            .connection
            .prepare_cached("SELECT agent FROM read_marks WHERE event_id = ? AND origin = ?")?;
        let mut inboxes = Vec::new();
        for agent in agents.query_map(params![id, origin.to_bytes()], |row| row.get(0))? {
            let agent: String = agent?;
            inboxes.extend(find_inbox(self.connection, project, &agent)?);
        }
        Ok(inboxes)
    }
}

/// A row of `replies` or `threads`.
pub(super) fn row(of: EventRef, sequence: i64) -> ([u8; 16], [u8; DaemonId::BYTES], i64) {
    (of.event_id.ulid().to_bytes(), of.origin_daemon.to_bytes(), sequence)
}
