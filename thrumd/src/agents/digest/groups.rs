//! Digests changes of groups. For each member the last writer wins, so that every daemon has the same members, in
//! whichever order the changes came.

use rusqlite::{OptionalExtension, params};
use serde::Deserialize;
use thrum_api::event::GroupChanged;
use thrum_api::{Address, DaemonId, Hlc, OriginSequence, names};

use super::super::failure::Failure;
use super::{Page, parsed};
use crate::log::StoredEvent;
use crate::log::column::{Daemon, int, uint};

#[derive(Deserialize)]
struct ParsedChange {
    origin_daemon: DaemonId,
    origin_sequence: OriginSequence,
    hlc: Hlc,
    body: GroupChanged,
}

/// When a member was added or removed. The greatest is the last. Only a daemon that wrote two histories can have
/// written two changes at one point; then the removal counts, whichever came first.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct Change {
    hlc: u64,
    origin: Daemon,
    origin_sequence: u64,
    is_removed: bool,
}

/// The members of a group that are agents of this machine: those to whom messages to all are delivered. Each of them is
/// looked up among the members, of whom there may be very many. `?3`: `@` with this daemon.
const MEMBERS_HERE: &str = "SELECT i.id FROM groups g
     CROSS JOIN inboxes i INDEXED BY inboxes_here ON i.project = g.project AND i.was_here
       AND i.settled IS NOT NULL
     WHERE g.project = ?1 AND g.name = ?2 AND EXISTS (SELECT 1 FROM group_members m
       WHERE m.\"group\" = g.id AND m.member IN (i.agent, i.agent || ?3) AND m.present)";
/// As in `inbox`: none may scan rows whose number grows with the log.
#[cfg(test)]
pub(in super::super) const QUERIES: &[&str] = &[MEMBERS_HERE];

impl Page<'_> {
    pub(super) fn group(&mut self, event: &StoredEvent<'_>) -> Result<(), Failure> {
        let change: ParsedChange = parsed(event)?;
        let name = names::group(&change.body.group)?;
        let GroupChanged { add, remove, .. } = &change.body;
        if add.iter().chain(remove).any(|member| matches!(member, Address::Group(_))) {
            return Err(Failure::undigestible("a member of the group is a group"));
        }
        let project = self.directory.project(event.project)?.id;
        let group = self.group_id(project, &name)?;
        let at = |is_removed| Change {
            hlc: change.hlc.to_bits(),
            origin: change.origin_daemon.to_bytes(),
            origin_sequence: change.origin_sequence.0,
            is_removed,
        };
        for member in add {
            self.change_member(group, &member.to_string(), &at(false))?;
        }
        for member in remove {
            self.change_member(group, &member.to_string(), &at(true))?;
        }
        Ok(())
    }

    fn group_id(&self, project: i64, name: &str) -> rusqlite::Result<i64> {
        self.connection
            .prepare_cached("INSERT OR IGNORE INTO groups (project, name) VALUES (?, ?)")?
            .execute(params![project, name])?;
        self.connection
            .prepare_cached("SELECT id FROM groups WHERE project = ? AND name = ?")?
            .query_row(params![project, name], |row| row.get(0))
    }

    fn change_member(&self, group: i64, member: &str, change: &Change) -> rusqlite::Result<()> {
        let known = self
            .connection
            .prepare_cached(
                "SELECT hlc, origin, origin_sequence, present FROM group_members
                 WHERE \"group\" = ? AND member = ?",
            )?
            .query_row(params![group, member], |row| {
                Ok(Change {
                    hlc: row.get::<_, i64>(0)?.cast_unsigned(),
                    origin: row.get(1)?,
                    origin_sequence: uint(row.get(2)?),
                    is_removed: !row.get::<_, bool>(3)?,
                })
            })
            .optional()?;
        if known.is_some_and(|known| known >= *change) {
            return Ok(());
        }
        let Change { hlc, origin, origin_sequence, is_removed } = change;
        self.connection
            .prepare_cached(
                "INSERT OR REPLACE INTO group_members
                   (\"group\", member, present, hlc, origin, origin_sequence)
                 VALUES (?, ?, ?, ?, ?, ?)",
            )?
            .execute(params![
                group,
                member,
                !is_removed,
                hlc.cast_signed(),
                origin,
                int(*origin_sequence)
            ])?;
        Ok(())
    }

    /// The inboxes of the members who are agents of this machine now.
    pub(super) fn members_here(&self, project: i64, group: &str) -> rusqlite::Result<Vec<i64>> {
        let here = format!("@{}", self.daemon);
        self.connection
            .prepare_cached(MEMBERS_HERE)?
            .query_map(params![project, group, here], |row| row.get(0))?
            .collect()
    }
}
