//! Facets: the project, the sender's name and the sender's daemon of a message. Each has a number, which stands as a
//! word in the index, so that a search for them costs no more than one for a rare word.

use std::collections::HashMap;

use rusqlite::{Connection, OptionalExtension, params};

/// A kind of facet.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Facet {
    Project,
    Sender,
    Origin,
}

impl Facet {
    const fn column(self) -> i64 {
        match self {
            Self::Project => 0,
            Self::Sender => 1,
            Self::Origin => 2,
        }
    }

    /// The number of this value, if any message has it.
    pub(super) fn find(
        self,
        connection: &Connection,
        value: &[u8],
    ) -> rusqlite::Result<Option<i64>> {
        connection
            .prepare_cached("SELECT id FROM facets WHERE kind = ? AND value = ?")?
            .query_row(params![self.column(), value], |row| row.get(0))
            .optional()
    }
}

/// The word in the index for a facet with this number.
pub(super) fn word(number: i64) -> String {
    format!("f{number}")
}

/// Numbers that were looked up, for one page.
#[derive(Default)]
pub(super) struct Facets(HashMap<(Facet, Vec<u8>), i64>);

impl Facets {
    /// The number of this value. A new one gets a number.
    pub(super) fn number(
        &mut self,
        connection: &Connection,
        facet: Facet,
        value: &[u8],
    ) -> rusqlite::Result<i64> {
        let key = (facet, value.to_vec());
        if let Some(number) = self.0.get(&key) {
            return Ok(*number);
        }
        let number = match facet.find(connection, value)? {
            Some(number) => number,
            None => connection
                .prepare_cached("INSERT INTO facets (kind, value) VALUES (?, ?) RETURNING id")?
                .query_row(params![facet.column(), value], |row| row.get(0))?,
        };
        self.0.insert(key, number);
        Ok(number)
    }
}
