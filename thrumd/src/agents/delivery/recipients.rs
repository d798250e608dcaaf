//! Who a message is for: the agents behind its addresses, as far as the views know them.

use std::cell::OnceCell;
use std::collections::BTreeSet;

use rusqlite::{Connection, Row};
use thrum_api::{Address, DaemonId};

use super::super::directory::{find_inbox, find_project};
use super::super::reach::Machines;
use crate::log::column::daemon_id;

const OF_NAME: &str = "SELECT a.inbox, ?1, a.origin, a.first, a.here, a.removed
     FROM inboxes i CROSS JOIN agents a ON a.inbox = i.id
     WHERE i.agent = ?1 AND i.project = ?2";
const OF_PROJECT: &str = "SELECT a.inbox, i.agent, a.origin, a.first, a.here, a.removed
     FROM inboxes i INDEXED BY inboxes_by_project CROSS JOIN agents a ON a.inbox = i.id
     WHERE i.project = ?1";
const MEMBERS: &str =
    "SELECT m.member, m.present, m.hlc FROM groups g CROSS JOIN group_members m ON m.\"group\" = g.id
     WHERE g.project = ?1 AND g.name = ?2 LIMIT ?3";
/// More members of a group are not shown: nothing else bounds how long it takes to look for each of them.
const MEMBERS_MAX: i64 = 10_000;
const IS_DELIVERED: &str =
    "SELECT 1 FROM deliveries WHERE inbox = ?1 AND read IN (0, 1) AND sequence = ?2";

/// As in `inbox`: none may scan rows whose number grows with the log.
#[cfg(test)]
pub(super) const QUERIES: &[&str] = &[OF_NAME, OF_PROJECT, MEMBERS, IS_DELIVERED];

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
    /// It is or was used on this machine.
    here: bool,
    removed: bool,
}

/// A member of a group, now or formerly.
struct Member {
    address: Address,
    present: bool,
    /// Of the last change.
    hlc: u64,
}

/// When a message was written, and who certainly got it.
#[derive(Clone, Copy)]
pub(super) struct Written<'a> {
    pub(super) sequence: i64,
    pub(super) hlc: u64,
    /// Whether this one has read or answered it.
    pub(super) has_it: &'a dyn Fn(&Recipient) -> rusqlite::Result<bool>,
}

/// What a message says of where it goes.
pub(super) struct Addressed<'a> {
    pub(super) from: &'a str,
    /// The daemon of the sender.
    pub(super) origin: DaemonId,
    pub(super) to: &'a [Address],
    pub(super) all: bool,
    /// None: it is about to be written.
    pub(super) written: Option<Written<'a>>,
}

/// The agents of a project, each read once at most.
pub(super) struct Roll<'a> {
    connection: &'a Connection,
    /// This one.
    daemon: DaemonId,
    machines: &'a Machines,
    /// None: nothing is known of this project.
    project: Option<i64>,
    everyone: OnceCell<Vec<Known>>,
}

impl<'a> Roll<'a> {
    pub(super) fn new(
        (connection, daemon): (&'a Connection, DaemonId),
        machines: &'a Machines,
        project: &str,
    ) -> rusqlite::Result<Self> {
        let project = find_project(connection, project)?;
        Ok(Self { connection, daemon, machines, project, everyone: OnceCell::new() })
    }

    /// The inbox of a name.
    pub(super) fn inbox(&self, agent: &str) -> rusqlite::Result<Option<i64>> {
        let Some(project) = self.project else { return Ok(None) };
        find_inbox(self.connection, project, agent)
    }

    /// Everyone whom a message is for, once each. Its sender gets none that is to a group or to all. One to a group or
    /// to all is for those who were there when it was written; whoever came, left or was removed later changes nothing.
    pub(super) fn recipients(
        &self,
        message: &Addressed<'_>,
    ) -> rusqlite::Result<BTreeSet<Recipient>> {
        let mut recipients = BTreeSet::new();
        if message.all {
            self.each_of_all(message, false, &mut |recipient| {
                recipients.insert(recipient.clone());
                Ok(())
            })?;
        }
        // A message of another program may name one many times.
        for address in message.to.iter().collect::<BTreeSet<_>>() {
            match address {
                Address::Agent { name, daemon } => {
                    self.named((name, *daemon), message, &mut recipients)?;
                }
                Address::Group(group) => {
                    for member in self.members(group)? {
                        self.member(&member, message, &mut recipients)?;
                    }
                }
            }
        }
        Ok(recipients)
    }

    /// Calls `take` for everyone whom a message is for that is to all alone, once each, in any order. `only_here`: for agents of
    /// this daemon alone. Nothing is made of their names.
    pub(super) fn each_of_all(
        &self,
        message: &Addressed<'_>,
        only_here: bool,
        take: &mut dyn FnMut(&Recipient) -> rusqlite::Result<()>,
    ) -> rusqlite::Result<()> {
        for known in self.everyone()? {
            let is_asked = !only_here || known.recipient.daemon == Some(self.daemon);
            if is_asked
                && !is_sender(&known.recipient, message)
                && self.got(known, true, message)?
            {
                take(&known.recipient)?;
            }
        }
        Ok(())
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
            let removed: bool = row.get(5)?;
            let is_there = !removed && !self.machines.former.contains_key(&daemon);
            count += u64::from(!is_sender && is_there);
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
                agents.query_map([project], known)?.collect::<rusqlite::Result<_>>()?
            }
            None => Vec::new(),
        };
        Ok(self.everyone.get_or_init(|| everyone))
    }

    /// Whether it is there now: not removed, and its daemon exists still.
    fn is_there(&self, known: &Known) -> bool {
        let daemon = known.recipient.daemon;
        let exists = daemon.is_none_or(|daemon| !self.machines.former.contains_key(&daemon));
        exists && !known.removed
    }

    /// Whether a message to all or to a group reached an agent, or will. On this machine that is known; of others,
    /// whether it was there and `meant`.
    fn got(&self, known: &Known, meant: bool, message: &Addressed<'_>) -> rusqlite::Result<bool> {
        let Some(written) = message.written else { return Ok(meant && self.is_there(known)) };
        let was_there = self.is_there(known) && known.first < written.sequence;
        let is_elsewhere = known.recipient.daemon != Some(self.daemon);
        // Nearly all: nothing has to be looked up for them.
        if is_elsewhere && meant && was_there {
            return Ok(true);
        }
        if (written.has_it)(&known.recipient)? {
            return Ok(true);
        }
        if is_elsewhere {
            return Ok(false);
        }
        if !known.here {
            return Ok(false);
        }
        // One to all has no row for those who have still to read it, until they are removed.
        Ok((message.all && was_there) || self.is_delivered(known, written.sequence)?)
    }

    fn is_delivered(&self, known: &Known, sequence: i64) -> rusqlite::Result<bool> {
        let key = rusqlite::params![known.recipient.inbox, sequence];
        self.connection.prepare_cached(IS_DELIVERED)?.exists(key)
    }

    /// The agents of a name.
    fn of_name(&self, name: &str) -> rusqlite::Result<Vec<Known>> {
        let Some(project) = self.project else { return Ok(Vec::new()) };
        let mut agents = self.connection.prepare_cached(OF_NAME)?;
        agents.query_map(rusqlite::params![name, project], known)?.collect()
    }

    /// The agents of a name, or that of one daemon. One that nobody has seen is a recipient, too; one that was removed
    /// is, if it has read or answered the message.
    fn named(
        &self,
        (name, only): (&str, Option<DaemonId>),
        message: &Addressed<'_>,
        into: &mut BTreeSet<Recipient>,
    ) -> rusqlite::Result<()> {
        let mut found = false;
        for known in self.of_name(name)? {
            let has_it = || message.written.map(|it| (it.has_it)(&known.recipient)).transpose();
            let is_meant = only.is_none() || only == known.recipient.daemon;
            if is_meant && (self.is_there(&known) || has_it()? == Some(true)) {
                into.insert(known.recipient);
                found = true;
            }
        }
        if !found {
            into.insert(self.unknown(name, only)?);
        }
        Ok(())
    }

    fn unknown(&self, name: &str, daemon: Option<DaemonId>) -> rusqlite::Result<Recipient> {
        let inbox = self.inbox(name)?;
        Ok(Recipient { agent: name.to_owned(), daemon, inbox, known: false })
    }

    /// Those agents behind a member of a group whom a message to the group reached.
    fn member(
        &self,
        member: &Member,
        message: &Addressed<'_>,
        into: &mut BTreeSet<Recipient>,
    ) -> rusqlite::Result<()> {
        let Address::Agent { name, daemon: only } = &member.address else { return Ok(()) };
        // When it came to the group before that change, if it did, nobody knows any more.
        let was = message.written.is_none_or(|written| member.hlc <= written.hlc);
        let meant = member.present && was;
        let mut found = false;
        for known in self.of_name(name)? {
            if only.is_some() && *only != known.recipient.daemon {
                continue;
            }
            found |= self.is_there(&known);
            if !is_sender(&known.recipient, message) && self.got(&known, meant, message)? {
                into.insert(known.recipient);
            }
        }
        if !found && meant {
            into.insert(self.unknown(name, *only)?);
        }
        Ok(())
    }

    /// Whoever is or was a member.
    fn members(&self, group: &str) -> rusqlite::Result<Vec<Member>> {
        let Some(project) = self.project else { return Ok(Vec::new()) };
        let mut members = self.connection.prepare_cached(MEMBERS)?;
        let members = members.query_map(rusqlite::params![project, group, MEMBERS_MAX], |row| {
            let address = row.get::<_, String>(0)?.parse::<Address>().ok();
            let (present, hlc) = (row.get(1)?, row.get::<_, i64>(2)?.cast_unsigned());
            Ok(address.map(|address| Member { address, present, hlc }))
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
    Ok(Known { recipient, first: row.get(3)?, here: row.get(4)?, removed: row.get(5)? })
}
