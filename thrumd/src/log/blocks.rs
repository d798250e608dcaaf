//! Which blocks of the log have events of a type, and which of a project (a block range index), so that a list of a
//! quiet project reads those blocks alone. An index with a row for each event would change two more pages in each
//! commit; this has a row for each name in a block.

use std::collections::BTreeSet;
use std::ops::RangeInclusive;

use rusqlite::{Connection, OptionalExtension, params};
use thrum_api::Sequence;

use super::column::{int, uint};

/// Sequences in a block. Fewer would make it larger, and more would have a list read more events of others.
pub(super) const BLOCK: u64 = 128;
/// Longer names are not in it: those come from no honest daemon, and the writer keeps the names of a block.
pub(super) const NAME_MAX_BYTES: u64 = 1024;

/// What the names in the index are. The numbers are in the database.
#[derive(Clone, Copy)]
pub(super) enum Field {
    Type = 1,
    Project = 2,
}

/// The names that the index has for the block that is being written.
#[derive(Debug, Default)]
pub(super) struct WrittenBlock {
    block: u64,
    types: BTreeSet<String>,
    projects: BTreeSet<String>,
}

impl WrittenBlock {
    /// Adds the names of the event at this sequence, in the transaction that stores it.
    pub(super) fn add(
        &mut self,
        conn: &Connection,
        sequence: Sequence,
        event_type: &str,
        project: Option<&str>,
    ) -> rusqlite::Result<()> {
        let block = sequence.0 / BLOCK;
        if block != self.block {
            *self = Self { block, ..Self::default() };
        }
        add(conn, block, Field::Type, event_type, &mut self.types)?;
        project.map_or(Ok(()), |name| add(conn, block, Field::Project, name, &mut self.projects))
    }
}

fn add(
    conn: &Connection,
    block: u64,
    field: Field,
    name: &str,
    added: &mut BTreeSet<String>,
) -> rusqlite::Result<()> {
    if added.contains(name) || !fits(name) {
        return Ok(());
    }
    // It may be there: a transaction that failed, or a restart, forgets what was added.
    conn.prepare_cached("INSERT OR IGNORE INTO blocks (field, name, block) VALUES (?1, ?2, ?3)")?
        .execute(params![field as i64, name, int(block)])?;
    added.insert(name.to_owned());
    Ok(())
}

fn fits(name: &str) -> bool {
    name.len() as u64 <= NAME_MAX_BYTES
}

/// Ranges of sequences that have all events with certain names, in the order in which they are read.
pub(super) struct Ranges<'a> {
    conn: &'a Connection,
    names: Vec<(Field, &'a str)>,
    /// What of the log was not looked at yet.
    rest: RangeInclusive<u64>,
    /// From the end of the log to its beginning.
    backwards: bool,
}

impl<'a> Ranges<'a> {
    /// Those of this part of the log.
    pub(super) fn new(
        conn: &'a Connection,
        names: impl IntoIterator<Item = (Field, &'a str)>,
        within: RangeInclusive<u64>,
        backwards: bool,
    ) -> Self {
        let names = names.into_iter().filter(|(_, name)| fits(name)).collect();
        Self { conn, names, rest: within, backwards }
    }

    /// The next one; without names, all of it.
    pub(super) fn next(&mut self) -> rusqlite::Result<Option<RangeInclusive<u64>>> {
        if self.rest.is_empty() {
            return Ok(None);
        }
        let nothing = RangeInclusive::new(1, 0);
        let rest = std::mem::replace(&mut self.rest, nothing);
        if self.names.is_empty() {
            return Ok(Some(rest));
        }
        let (first, last) = rest.into_inner();
        let Some(block) = self.next_block(if self.backwards { last } else { first } / BLOCK)?
        else {
            return Ok(None);
        };
        let (start, end) = (block * BLOCK, block * BLOCK + (BLOCK - 1));
        self.rest = match self.backwards {
            true => first..=start.saturating_sub(1),
            false => end + 1..=last,
        };
        Ok(Some(start.max(first)..=end.min(last)))
    }

    /// The nearest block, from this one on, that has all of the names. What one name lacks, is skipped in the index of
    /// the others.
    fn next_block(&self, from: u64) -> rusqlite::Result<Option<u64>> {
        let mut statement = self.conn.prepare_cached(if self.backwards {
            "SELECT block FROM blocks WHERE field = ?1 AND name = ?2 AND block <= ?3
             ORDER BY block DESC LIMIT 1"
        } else {
            "SELECT block FROM blocks WHERE field = ?1 AND name = ?2 AND block >= ?3
             ORDER BY block LIMIT 1"
        })?;
        let mut block = from;
        loop {
            let before = block;
            for (field, name) in &self.names {
                let found: Option<i64> = statement
                    .query_row(params![*field as i64, name, int(block)], |row| row.get(0))
                    .optional()?;
                let Some(found) = found else { return Ok(None) };
                block = uint(found);
            }
            if block == before {
                return Ok(Some(block));
            }
        }
    }
}
