//! Notes which messages of other daemons came for agents of this machine: those daemons are told that they are here,
//! if they don't know by themselves.

use std::collections::{BTreeSet, HashMap};

use rusqlite::{Connection, OptionalExtension, params};
use thrum_api::{DaemonId, Epoch, OriginSequence};

use crate::log::column::int;

const IS_HERE: &str = "SELECT settled IS NOT NULL FROM inboxes WHERE id = ?1";
const ANY_HERE: &str = "SELECT agents_here > 0 FROM projects WHERE id = ?1";
const TOLD: &str = "SELECT up_to FROM received WHERE teller = ?1 AND origin = ?2 AND epoch = ?3";
const OWE: &str = "INSERT INTO owed (origin, epoch, up_to) VALUES (?1, ?2, ?3)
     ON CONFLICT (origin, epoch) DO UPDATE SET up_to = max(up_to, excluded.up_to)";

/// An origin: a daemon and the epoch of its log.
pub(super) type OriginKey = (DaemonId, Epoch);

/// What a page brought for agents of this machine.
#[derive(Default)]
pub(super) struct Arrivals {
    /// The last message of each origin.
    last: HashMap<OriginKey, OriginSequence>,
    /// Whether an inbox is that of an agent of this machine, and whether a project has any.
    inboxes: HashMap<i64, bool>,
    projects: HashMap<i64, bool>,
}

impl Arrivals {
    /// From here on an inbox is that of an agent of this machine, or is it no more.
    pub(super) fn agent_changed(&mut self, inbox: i64) {
        self.inboxes.remove(&inbox);
        self.projects.clear();
    }

    /// Notes a message of another daemon, if it is for an agent of this machine as it arrives. `for_all`: the project,
    /// if it is for everyone there.
    pub(super) fn note(
        &mut self,
        connection: &Connection,
        origin: OriginKey,
        at: OriginSequence,
        recipients: &BTreeSet<i64>,
        for_all: Option<i64>,
    ) -> rusqlite::Result<()> {
        let last = self.last.get(&origin);
        if last.is_some_and(|last| *last >= at)
            || !self.is_for_here(connection, recipients, for_all)?
        {
            return Ok(());
        }
        self.last.insert(origin, at);
        Ok(())
    }

    fn is_for_here(
        &mut self,
        connection: &Connection,
        recipients: &BTreeSet<i64>,
        for_all: Option<i64>,
    ) -> rusqlite::Result<bool> {
        let ask = |known: &mut HashMap<i64, bool>, query: &str, id: i64| match known.get(&id) {
            Some(is_here) => Ok(*is_here),
            None => {
                let is_here =
                    connection.prepare_cached(query)?.query_row([id], |row| row.get(0))?;
                known.insert(id, is_here);
                Ok::<bool, rusqlite::Error>(is_here)
            }
        };
        if let Some(project) = for_all
            && ask(&mut self.projects, ANY_HERE, project)?
        {
            return Ok(true);
        }
        for recipient in recipients {
            if ask(&mut self.inboxes, IS_HERE, *recipient)? {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Stores up to where origins have to be told of their messages. Answers whether there are such.
    pub(super) fn owe(&self, connection: &Connection, here: DaemonId) -> rusqlite::Result<bool> {
        let mut owes = false;
        for ((daemon, epoch), at) in &self.last {
            let (origin, epoch) = (daemon.to_bytes(), epoch.ulid().to_bytes());
            let told: Option<i64> = connection
                .prepare_cached(TOLD)?
                .query_row(params![here.to_bytes(), origin, epoch], |row| row.get(0))
                .optional()?;
            let at = int(at.0);
            if told.is_none_or(|told| told < at) {
                connection.prepare_cached(OWE)?.execute(params![origin, epoch, at])?;
                owes = true;
            }
        }
        Ok(owes)
    }
}
