//! Reads of the log, and what is found wrong on the way.

use rusqlite::Connection;

use super::damage;
use super::lookup::ReadResult;
use super::readers::Lane;
use super::transaction::WriteTransaction;
use super::writer::Priority;
use super::{Log, LogError};
use crate::report::Chain;

impl Log {
    /// Reads in one transaction; `action` completes "can't ...".
    pub(super) async fn read<T: Send + 'static>(
        &self,
        lane: Lane,
        action: &'static str,
        read: impl FnOnce(&Connection) -> rusqlite::Result<T> + Send + 'static,
    ) -> Result<T, LogError> {
        let done = self.inner.readers.read(lane, action, read).await;
        if let Err(LogError::Storage { .. }) = &done {
            // The writer finds out whether another program wrote to the WAL, which needs another way out.
            drop(self.pulse_in_time().await);
            if let Some(changed) = self.inner.files.overwritten() {
                return Err(LogError::Unreadable(changed));
            }
        }
        done
    }

    /// Reads events and moves rows that are found damaged to quarantine. The reader gets the others
    /// even if that fails: the next one finds the rows again.
    pub(super) async fn scan<T: Send + 'static>(
        &self,
        lane: Lane,
        action: &'static str,
        read: impl FnOnce(&Connection) -> rusqlite::Result<ReadResult<T>> + Send + 'static,
    ) -> Result<T, LogError> {
        let ReadResult { answer, damaged } = self.read(lane, action, read).await?;
        // Of what another program wrote there events may be missing, and a peer would take for held what it was
        // never sent.
        if let Some(changed) = self.inner.files.overwritten() {
            return Err(LogError::Unreadable(changed));
        }
        let mut moved = false;
        // A transaction for each: one that the disk has no space for holds up neither the others nor appends.
        for sequence in damaged {
            let work =
                move |write: &mut WriteTransaction<'_>| Ok(damage::quarantine(write, sequence)?);
            match self.write(Priority::Peer, damage::ACTION, 0, work).await {
                Ok(()) => moved = true,
                Err(error) => {
                    tracing::error!(%sequence, error = %Chain(&error), "a damaged event stays in the log");
                }
            }
        }
        if moved {
            self.inner.damaged_rows.send_replace(());
        }
        Ok(answer)
    }
}
