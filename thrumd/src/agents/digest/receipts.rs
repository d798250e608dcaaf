//! Digests receipts: how far messages of this machine got on others, and what this one has told others.

use rusqlite::params;
use serde::Deserialize;
use thrum_api::event::{MessageReceipts, ReadReceipt, ReceivedUpTo};
use thrum_api::{DaemonId, names};

use super::super::failure::Failure;
use super::super::marks::{is_session, route_name};
use super::{Page, parsed};
use crate::log::StoredEvent;
use crate::log::column::int;

/// What is known stays, whatever an older receipt says.
const RECEIVED: &str = "INSERT INTO received (teller, origin, epoch, up_to) VALUES (?1, ?2, ?3, ?4)
     ON CONFLICT (teller, origin, epoch) DO UPDATE SET up_to = max(up_to, excluded.up_to)";
const PAID: &str = "DELETE FROM owed WHERE origin = ?1 AND epoch = ?2 AND up_to <= ?3";
/// The first time that a message was read counts.
const READ: &str = "INSERT OR IGNORE INTO receipts (event_id, inbox, origin, at, route, session)
     VALUES (?1, ?2, ?3, ?4, ?5, ?6)";

#[derive(Deserialize)]
struct ParsedReceipts {
    origin_daemon: DaemonId,
    body: MessageReceipts,
}

impl Page<'_> {
    /// A daemon speaks for its own agents only: the rows have the daemon that created the event.
    pub(super) fn receipts(&mut self, event: &StoredEvent<'_>) -> Result<(), Failure> {
        let ParsedReceipts { origin_daemon: teller, body } = parsed(event)?;
        // Before anything is stored.
        for read in &body.read {
            names::agent(&read.agent)?;
            read.project.as_deref().map(names::project).transpose()?;
            if read.session.as_deref().is_some_and(|session| !is_session(session)) {
                return Err(Failure::undigestible("the id of a session is too long"));
            }
        }
        for received in &body.there {
            self.received(teller, received)?;
        }
        // What agents of this machine have read, the read marks tell.
        let ours = |read: &&ReadReceipt| read.origin_daemon == self.daemon;
        if teller != self.daemon {
            for read in body.read.iter().filter(ours).collect::<Vec<_>>() {
                self.read(teller, read)?;
            }
        }
        Ok(())
    }

    /// What others hold of ours, and what we told others, counts. What they told each other doesn't.
    fn received(&self, teller: DaemonId, received: &ReceivedUpTo) -> rusqlite::Result<()> {
        let of = received.origin_daemon;
        if (teller == self.daemon) == (of == self.daemon) {
            return Ok(());
        }
        let (origin, epoch) = (of.to_bytes(), received.origin_epoch.ulid().to_bytes());
        let up_to = int(received.origin_sequence.0);
        self.connection.prepare_cached(RECEIVED)?.execute(params![
            teller.to_bytes(),
            origin,
            epoch,
            up_to
        ])?;
        if teller == self.daemon {
            self.connection.prepare_cached(PAID)?.execute(params![origin, epoch, up_to])?;
        }
        Ok(())
    }

    fn read(&mut self, teller: DaemonId, read: &ReadReceipt) -> Result<(), Failure> {
        let project = self.directory.project(read.project.as_deref().map(str::as_bytes))?;
        let inbox = project.inbox(self.connection, &read.agent)?;
        let session = read.session.as_deref().map(|session| self.session(session)).transpose()?;
        let mut insert = self.connection.prepare_cached(READ)?;
        for event_id in &read.event_ids {
            insert.execute(params![
                event_id.ulid().to_bytes(),
                inbox,
                teller.to_bytes(),
                read.at.as_millis(),
                route_name(read.route),
                session
            ])?;
        }
        Ok(())
    }

    /// The number of a session's id.
    fn session(&self, id: &str) -> rusqlite::Result<i64> {
        self.connection
            .prepare_cached("INSERT OR IGNORE INTO receipt_sessions (session) VALUES (?)")?
            .execute([id])?;
        self.connection
            .prepare_cached("SELECT id FROM receipt_sessions WHERE session = ?")?
            .query_row([id], |row| row.get(0))
    }
}
