//! Digests messages: whose they are.

use std::borrow::Cow;
use std::collections::BTreeSet;

use rusqlite::params;
use serde::Deserialize;
use thrum_api::DaemonId;
use thrum_api::limits::RECIPIENTS_MAX;

use super::super::broadcasts;
use super::super::directory::find_inbox;
use super::super::failure::Failure;
use super::{Page, unparsed};
use crate::log::StoredEvent;
use crate::log::column::int;

/// What the views read of a message, without a copy of its text.
#[derive(Deserialize)]
struct ParsedMessage<'a> {
    origin_daemon: DaemonId,
    #[serde(borrow)]
    body: ParsedMessageBody<'a>,
}

#[derive(Deserialize)]
struct ParsedMessageBody<'a> {
    #[serde(borrow)]
    from: Cow<'a, str>,
    #[serde(borrow, default)]
    to: Vec<Name<'a>>,
    #[serde(default)]
    all: bool,
    #[serde(borrow, rename = "text")]
    _text: Cow<'a, str>,
}

/// A name that is borrowed if it has no escapes.
#[derive(Deserialize)]
struct Name<'a>(#[serde(borrow)] Cow<'a, str>);

impl Page<'_> {
    pub(super) fn message(&mut self, event: &StoredEvent<'_>) -> Result<(), Failure> {
        let message: ParsedMessage<'_> = match str::from_utf8(event.json).map(serde_json::from_str)
        {
            Ok(Ok(message)) => message,
            Ok(Err(error)) => return Err(unparsed(event, &error)),
            Err(_) => return Err(Failure::Damaged),
        };
        let body = &message.body;
        let count = body.to.len();
        if count > RECIPIENTS_MAX {
            let reason = format!("it has {count} recipients, more than {RECIPIENTS_MAX}");
            return Err(Failure::undigestible(reason));
        }
        if body.to.is_empty() && !body.all {
            return Err(Failure::undigestible("the message has no recipient"));
        }
        let names = body.to.iter().map(|Name(name)| name.as_ref());
        let project = self.directory.project(event.project)?;
        project.check(names.clone().chain([body.from.as_ref()]))?;
        let sender = project.inbox(self.connection, &body.from)?;
        let mut recipients = BTreeSet::new();
        for name in names {
            recipients.insert(project.inbox(self.connection, name)?);
        }
        let project = project.id;
        self.note_seen(sender, message.origin_daemon, event)?;
        let read = self.read_by(event, message.origin_daemon, project)?;
        let sequence = int(event.sequence.0);
        if body.all {
            let number = broadcasts::add(self.connection, project, sequence)?;
            self.told.insert(project);
            // Those whom it names have it as one that names them.
            for recipient in &recipients {
                broadcasts::settle(self.connection, *recipient, number)?;
            }
            // Also where a peer brings back what this daemon has lost. The original of a directory that was copied
            // writes under a former id, and its agents are others.
            if event.is_own || message.origin_daemon == self.daemon {
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
