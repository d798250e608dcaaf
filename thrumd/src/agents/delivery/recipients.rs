//! Who a message is for: the agents behind its addresses, as far as the views know them.

use std::cell::OnceCell;
use std::collections::BTreeSet;

use rusqlite::{Connection, OptionalExtension, Row};
use thrum_api::{Address, DaemonId};

use super::super::reach::Machines;
use crate::log::column::daemon_id;

const PROJECT: &str = "SELECT id FROM projects WHERE name = ?1";
const INBOX: &str = "SELECT id FROM inboxes WHERE agent = ?1 AND project = ?2";
const OF_NAME: &str = "SELECT a.inbox, ?1, a.origin, a.first
     FROM inboxes i CROSS JOIN agents a ON a.inbox = i.id
     WHERE i.agent = ?1 AND i.project = ?2 AND NOT a.removed";
const OF_PROJECT: &str = "SELECT a.inbox, i.agent, a.origin, a.first
     FROM inboxes i INDEXED BY inboxes_by_project CROSS JOIN agents a ON a.inbox = i.id
     WHERE i.project = ?1 AND NOT a.removed";
const MEMBERS: &str =
    "SELECT m.member FROM groups g CROSS JOIN group_members m ON m.\"group\" = g.id
     WHERE g.project = ?1 AND g.name = ?2 AND m.present LIMIT ?3";
/// More members of a group are not shown: nothing else bounds how long it takes to look for each of them.
const MEMBERS_MAX: i64 = 10_000;

/// As in `inbox`: none may scan rows whose number grows with the log.
#[cfg(test)]
pub(super) const QUERIES: &[&str] = &[PROJECT, INBOX, OF_NAME, OF_PROJECT, MEMBERS];

/// A recipient of a message.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Recipient {
    pub(super) agent: String,
    /// Its daemon; None: nobody has seen such an agent.
    pub(super) daemon: Option<DaemonId>,
    /// The inbox of its name; None if there is none.
    pub(super) inbox: Option<i64>,
    /// Whether somebody has seen this agent.
    pub(super) known: bool,
}

/// An agent of a project.
struct Known {
    recipient: Recipient,
    /// The position of its first event.
    first: i64,
}

/// What a message says of where it goes.
pub(super) struct Addressed<'a> {
    pub(super) from: &'a str,
    /// The daemon of the sender.
    pub(super) origin: DaemonId,
    pub(super) to: &'a [Address],
    pub(super) all: bool,
    /// Its position; beyond the log's end before it is written.
    pub(super) sequence: i64,
}

/// The agents of a project, each read once at most.
pub(super) struct Roll<'a> {
    connection: &'a Connection,
    machines: &'a Machines,
    /// None: nothing is known of this project.
    project: Option<i64>,
    everyone: OnceCell<Vec<Known>>,
}

impl<'a> Roll<'a> {
    pub(super) fn new(
        connection: &'a Connection,
        machines: &'a Machines,
        project: &str,
    ) -> rusqlite::Result<Self> {
        let project = connection
            .prepare_cached(PROJECT)?
            .query_row([project], |row| row.get(0))
            .optional()?;
        Ok(Self { connection, machines, project, everyone: OnceCell::new() })
    }

    /// The inbox of a name.
    pub(super) fn inbox(&self, agent: &str) -> rusqlite::Result<Option<i64>> {
        let Some(project) = self.project else { return Ok(None) };
        self.connection
            .prepare_cached(INBOX)?
            .query_row(rusqlite::params![agent, project], |row| row.get(0))
            .optional()
    }

    /// Everyone whom a message is for, once each. Its sender gets none that is to a group or to all; agents that came
    /// after a message to all don't get it.
    pub(super) fn recipients(
        &self,
        message: &Addressed<'_>,
    ) -> rusqlite::Result<BTreeSet<Recipient>> {
        let mut recipients = BTreeSet::new();
        if message.all {
            for known in self.everyone()? {
                if known.first < message.sequence && !is_sender(&known.recipient, message) {
                    recipients.insert(known.recipient.clone());
                }
            }
        }
        // A message of another program may name one many times.
        for address in message.to.iter().collect::<BTreeSet<_>>() {
            match address {
                Address::Agent { name, daemon } => self.named(name, *daemon, &mut recipients)?,
                Address::Group(group) => {
                    let mut members = BTreeSet::new();
                    for member in self.members(group)? {
                        if let Address::Agent { name, daemon } = &member {
                            self.named(name, *daemon, &mut members)?;
                        }
                    }
                    members.retain(|member| !is_sender(member, message));
                    recipients.append(&mut members);
                }
            }
        }
        Ok(recipients)
    }

    /// How many agents a message to all is for that is about to be written. Nothing is made of their names.
    pub(super) fn count_everyone(&self, from: &str, origin: DaemonId) -> rusqlite::Result<u64> {
        let Some(project) = self.project else { return Ok(0) };
        let sender = self.inbox(from)?;
        let mut agents = self.connection.prepare_cached(OF_PROJECT)?;
        let mut rows = agents.query([project])?;
        let mut count = 0;
        while let Some(row) = rows.next()? {
            let (inbox, daemon): (i64, DaemonId) = (row.get(0)?, daemon_id(row.get(2)?));
            let is_sender = Some(inbox) == sender && daemon == origin;
            count += u64::from(!is_sender && !self.machines.former.contains(&daemon));
        }
        Ok(count)
    }

    fn everyone(&self) -> rusqlite::Result<&[Known]> {
        if let Some(everyone) = self.everyone.get() {
            return Ok(everyone);
        }
        let everyone = match self.project {
            Some(project) => {
                let mut agents = self.connection.prepare_cached(OF_PROJECT)?;
                let agents = agents.query_map([project], known)?;
                agents.filter(|agent| self.exists(agent)).collect::<rusqlite::Result<_>>()?
            }
            None => Vec::new(),
        };
        Ok(self.everyone.get_or_init(|| everyone))
    }

    /// Whether its daemon exists still.
    fn exists(&self, agent: &rusqlite::Result<Known>) -> bool {
        let daemon = agent.as_ref().ok().and_then(|agent| agent.recipient.daemon);
        daemon.is_none_or(|daemon| !self.machines.former.contains(&daemon))
    }

    /// The agents of a name, or that of one daemon. One that nobody has seen is a recipient, too.
    fn named(
        &self,
        name: &str,
        only: Option<DaemonId>,
        into: &mut BTreeSet<Recipient>,
    ) -> rusqlite::Result<()> {
        let mut found = false;
        if let Some(project) = self.project {
            let mut agents = self.connection.prepare_cached(OF_NAME)?;
            let agents = agents.query_map(rusqlite::params![name, project], known)?;
            for agent in agents.filter(|agent| self.exists(agent)) {
                let recipient = agent?.recipient;
                if only.is_none() || only == recipient.daemon {
                    into.insert(recipient);
                    found = true;
                }
            }
        }
        if !found {
            let inbox = self.inbox(name)?;
            into.insert(Recipient { agent: name.to_owned(), daemon: only, inbox, known: false });
        }
        Ok(())
    }

    fn members(&self, group: &str) -> rusqlite::Result<Vec<Address>> {
        let Some(project) = self.project else { return Ok(Vec::new()) };
        let mut members = self.connection.prepare_cached(MEMBERS)?;
        let members = members.query_map(rusqlite::params![project, group, MEMBERS_MAX], |row| {
            Ok(row.get::<_, String>(0)?.parse::<Address>().ok())
        })?;
        members.filter_map(Result::transpose).collect()
    }
}

fn is_sender(recipient: &Recipient, message: &Addressed<'_>) -> bool {
    recipient.agent == message.from && recipient.daemon == Some(message.origin)
}

fn known(row: &Row<'_>) -> rusqlite::Result<Known> {
    let recipient = Recipient {
        agent: row.get(1)?,
        daemon: Some(daemon_id(row.get(2)?)),
        inbox: row.get(0)?,
        known: true,
    };
    Ok(Known { recipient, first: row.get(3)? })
}
