//! The log inside a transaction of the writer, for a decision that depends on what it holds: nothing changes between what
//! was compared and what is stored, and the caller waits for one thread, once.

use thrum_api::{DaemonId, Head, Origin};

use super::apply;
use super::error::Failed;
use super::lookup;
use super::transaction::WriteTransaction;
use super::types::{Applied, Batch, Checkpoint};

/// An open transaction. [`super::Log`] documents the methods.
pub struct LogTransaction<'a, 't>(pub(super) &'a mut WriteTransaction<'t>);

impl LogTransaction<'_, '_> {
    /// See [`super::Log::checkpoint`].
    ///
    /// # Errors
    /// When SQLite fails.
    pub fn checkpoint(&self, peer: DaemonId) -> Result<Checkpoint, Failed> {
        Ok(lookup::checkpoint(self.0.conn, peer)?)
    }

    /// The origins of which a peer with these heads holds an event that we don't, or holds another one; also those
    /// that forked here, because their heads prove nothing. Sorted.
    ///
    /// # Errors
    /// When SQLite fails.
    pub fn missing(&mut self, heads: &[Head]) -> Result<Vec<Origin>, Failed> {
        let mut missing = Vec::new();
        for head in heads {
            let held = match self.0.state.known_origin(self.0.conn, head.origin())? {
                Some(row) if !row.forked && head.origin_sequence.0 <= row.head => {
                    lookup::holds_head(self.0.conn, &row, head)?
                }
                _ => false,
            };
            if !held {
                missing.push(head.origin());
            }
        }
        missing.sort_unstable();
        missing.dedup();
        Ok(missing)
    }

    /// See [`super::Log::apply`].
    ///
    /// # Errors
    /// When SQLite fails.
    pub fn apply(&mut self, batch: &Batch) -> Result<Applied, Failed> {
        Ok(apply::apply(self.0, batch)?)
    }
}
