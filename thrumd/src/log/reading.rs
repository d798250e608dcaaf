//! Reads of the log, and what is found wrong on the way.

use std::sync::Arc;

use rusqlite::Connection;
use thrum_api::Sequence;
use thrum_api::local::{EventListParams, EventListResult, QuarantineListResult};

use super::column::int;
use super::damage;
use super::direct::LogReader;
use super::lookup::ReadResult;
use super::news;
use super::readers::Lane;
use super::review;
use super::runs::Signer;
use super::transaction::WriteTransaction;
use super::types::{News, NewsRequest, Waits};
use super::writer::Priority;
use super::{Inner, Log, LogError};
use crate::message_id;
use crate::report::Chain;

impl Log {
    /// Reads in one transaction; `action` completes "can't ...".
    pub(super) async fn read<T: Send + 'static>(
        &self,
        lane: Lane,
        action: &'static str,
        read: impl FnOnce(&Connection) -> rusqlite::Result<T> + Send + 'static,
    ) -> Result<T, LogError> {
        match self.inner.readers.read(lane, action, read).await {
            Ok(done) => Ok(done),
            Err(error) => Err(self.explained(error).await),
        }
    }

    /// Reads on the calling thread. Its errors are to be [explained](Self::explained), and rows that are found
    /// damaged to be [quarantined](Self::quarantine_damaged).
    pub fn reader(&self) -> LogReader {
        let Inner { readers, files, .. } = &*self.inner;
        LogReader { readers: Arc::clone(readers), files: files.clone() }
    }

    /// The cause of an error of a read, if it is another one.
    pub async fn explained(&self, error: LogError) -> LogError {
        if let LogError::Storage { .. } = &error {
            // The writer finds out whether another program wrote to the WAL, which needs another way out.
            drop(self.pulse_in_time().await);
            if let Some(changed) = self.inner.files.overwritten() {
                return LogError::Unreadable(changed);
            }
        }
        error
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
        self.quarantine_damaged(damaged).await;
        Ok(answer)
    }

    /// The news for a peer; only how urgent it is, if it waits. What many ask at the same time, because our log grew,
    /// is read once.
    pub async fn news(&self, request: NewsRequest, waits: Waits) -> Result<News, LogError> {
        if let Some(news) = self.inner.recent.lock().news(request, &waits) {
            return Ok(news);
        }
        let read = |requests: Vec<_>| {
            let (key, daemon) = (Arc::clone(&self.inner.key), self.inner.daemon);
            self.scan(Lane::Sync, "read the news", move |conn| {
                news::news(conn, &Signer { key: &key, daemon }, &requests)
            })
        };
        self.inner.news.ask((request, waits), read).await
    }

    /// Events after a position, if all of them are among the newest: as [`Self::list`], which else is to be asked.
    pub fn list_newest(&self, params: &EventListParams) -> Option<EventListResult> {
        self.inner.recent.lock().list(params)
    }

    /// Those of these positions that hold no event any more. The writer looks, which knows whether another program
    /// wrote to the database.
    ///
    /// # Errors
    /// When the log can't be written to.
    pub async fn without_event(&self, positions: Vec<Sequence>) -> Result<Vec<Sequence>, LogError> {
        let work = move |write: &mut WriteTransaction<'_>| {
            let mut look = write.conn.prepare_cached("SELECT 1 FROM events WHERE sequence = ?1")?;
            let mut without = Vec::new();
            for &position in &positions {
                if !look.exists([int(position.0)])? {
                    without.push(position);
                }
            }
            Ok(without)
        };
        self.write(Priority::Local, "look for lost messages", 0, work).await
    }

    /// What is in quarantine and was not cleared.
    pub async fn quarantined(&self) -> Result<QuarantineListResult, LogError> {
        self.read(Lane::Questions, "read the quarantine", review::list).await
    }

    /// Drops what is in quarantine up to this entry. Answers how many there were.
    pub async fn clear_quarantine(&self, through: u64) -> Result<u64, LogError> {
        let work = move |write: &mut WriteTransaction<'_>| Ok(review::clear(write, through)?);
        self.write(Priority::Local, "clear the quarantine", 0, work).await
    }

    /// Moves rows that were found damaged to quarantine.
    pub async fn quarantine_damaged(&self, damaged: Vec<Sequence>) {
        // A transaction for each: one that the disk has no space for holds up neither the others nor appends.
        for sequence in damaged {
            let work =
                move |write: &mut WriteTransaction<'_>| Ok(damage::quarantine(write, sequence)?);
            if let Err(error) = self.write(Priority::Peer, damage::ACTION, 0, work).await {
                tracing::error!(journal.message_id = message_id::DAMAGED, %sequence, error = %Chain(&error), "a damaged event stays in the log");
            }
        }
    }
}
