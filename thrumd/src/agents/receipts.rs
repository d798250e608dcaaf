//! The writer of receipts: tells other daemons how far their messages got. It writes one event a second at most, with
//! everything that is new, and waits without a timer while nothing is.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use rusqlite::{Connection, Row};
use thrum_api::event::{MESSAGE_RECEIPTS, MessageReceipts, ReadReceipt, ReceivedUpTo, Route};
use thrum_api::limits::EVENT_MAX_BYTES;
use thrum_api::{DaemonId, Draft, EventId, Origin, Sequence, Timestamp};
use tokio::sync::watch;
use tokio::time::{Instant, sleep_until};
use tokio_util::sync::CancellationToken;
use tracing::warn;

use super::error::{AgentsError, log_unread, views};
use super::follow::{FollowerSignals, Progress};
use super::marks::{ReadMark, route_named};
use super::send::HEADER_MAX_BYTES;
use super::store::Store;
use super::threads::{Reader, Worker};
use crate::backoff::ExponentialBackoff;
use crate::log::column::{self, daemon_id, event_id, int, uint};
use crate::log::{Log, LogReader};
use crate::report::Chain;

/// Between two events.
pub(super) const PAUSE: Duration = Duration::from_secs(1);
/// Between failures.
const RETRY: ExponentialBackoff =
    ExponentialBackoff::new(Duration::from_secs(1), Duration::from_secs(60), 0);
/// Bytes of the body of one event at most.
const BODY_MAX_BYTES: usize = EVENT_MAX_BYTES - HEADER_MAX_BYTES;
/// Bytes of an id in a list.
const ID_BYTES: usize = 29;
/// Read marks that are looked at for one event: more than their ids fit into it.
const MARKS_MAX: usize = EVENT_MAX_BYTES / ID_BYTES + 1;

const UNTOLD: &str = "SELECT agent, origin, event_id, project, at, route, session, told
     FROM read_marks WHERE told = 0 LIMIT ?1";
const OWED: &str = "SELECT origin, epoch, up_to FROM owed";
const TOLD: &str =
    "UPDATE read_marks SET told = 1 WHERE event_id = ?1 AND origin = ?2 AND agent = ?3";

/// The task that writes receipts.
pub(super) struct ReceiptWriter {
    pub(super) log: Log,
    /// Peers know by themselves which events of them are here.
    pub(super) is_peer: Arc<dyn Fn(DaemonId) -> bool + Send + Sync>,
    pub(super) worker: Worker,
    pub(super) reader: Reader,
    pub(super) progress: watch::Receiver<Progress>,
    pub(super) signals: Arc<FollowerSignals>,
}

/// What is to be told.
#[derive(Default)]
pub(super) struct Due {
    pub(super) body: MessageReceipts,
    /// The marks of which it tells.
    marks: Vec<ReadMark>,
    /// There is more than fits into an event.
    pub(super) more: bool,
    /// Something can't be told before further events are digested.
    pub(super) waits: bool,
}

impl ReceiptWriter {
    /// Runs until it is cancelled or the log ends.
    pub(super) async fn run(mut self, closing: CancellationToken) {
        // What was told up to now is known once that is digested.
        let mut known = self.log.head().position.sequence;
        let mut earliest = Instant::now();
        let mut failures = 0;
        let mut waits = true;
        loop {
            let due = tokio::select! {
                () = closing.cancelled() => return,
                due = self.next(known, earliest, waits) => due,
            };
            let told = match due {
                Ok(due) => {
                    waits = due.waits;
                    self.tell(due).await
                }
                Err(error) => Err(error),
            };
            match told {
                Ok(None) => failures = 0,
                Ok(Some(at)) => {
                    failures = 0;
                    known = at;
                    earliest = Instant::now() + PAUSE;
                }
                Err(AgentsError::Stopping) => return,
                Err(error) => {
                    warn!("receipts for messages can't be written: {}", Chain(&error));
                    failures += 1;
                    earliest = Instant::now() + RETRY.delay(failures, 0);
                    self.signals.receipts.notify_one();
                }
            }
        }
    }

    /// Waits until there may be something to tell, and looks for it. `known`: what was told stands in the log up to here.
    /// `waits`: something is to be told once further events are digested.
    async fn next(
        &mut self,
        known: Sequence,
        earliest: Instant,
        waits: bool,
    ) -> Result<Due, AgentsError> {
        if waits {
            tokio::select! {
                () = self.signals.receipts.notified() => {}
                changed = self.progress.changed() => changed.map_err(|_| AgentsError::Stopping)?,
            }
        } else {
            self.signals.receipts.notified().await;
        }
        sleep_until(earliest).await;
        let digested = self.progress.wait_for(|now| now.has(known)).await;
        drop(digested.map_err(|_| AgentsError::Stopping)?);
        let (log, is_peer) = (self.log.reader(), Arc::clone(&self.is_peer));
        self.reader.call(move |store| store.receipts_due(&log, &*is_peer, known)).await
    }

    /// Writes what is due, and notes that it was told. Answers its position.
    async fn tell(&self, due: Due) -> Result<Option<Sequence>, AgentsError> {
        let Due { body, marks, more, .. } = due;
        if body.there.is_empty() && body.read.is_empty() {
            return Ok(None);
        }
        let draft = Draft {
            event_id: None,
            event_type: MESSAGE_RECEIPTS.to_owned(),
            project: None,
            body: serde_json::value::to_raw_value(&body).map_err(AgentsError::Body)?,
        };
        let refused =
            |source| AgentsError::Log { doing: "write receipts", source: Box::new(source) };
        let appended = self.log.append(vec![draft]).await.map_err(refused)?;
        let at = appended.first().ok_or(AgentsError::Stopping)?.sequence;
        self.worker.call(move |store| store.note_told(&marks)).await?;
        if more {
            self.signals.receipts.notify_one();
        }
        Ok(Some(at))
    }
}

impl Store {
    /// What is to be told now, as much as fits into an event. `known`: if the views are not so far, nothing.
    pub(super) fn receipts_due(
        &self,
        log: &LogReader,
        is_peer: &dyn Fn(DaemonId) -> bool,
        known: Sequence,
    ) -> Result<Due, AgentsError> {
        let cursor = self.cursor()?;
        let digested = cursor.map_or(Sequence::ZERO, |cursor| cursor.position.sequence);
        // They are being made anew: what was told already is not in them yet.
        if digested < known {
            return Ok(Due { waits: true, ..Due::default() });
        }
        let doing = views("look for receipts");
        let mut parcel = Parcel::new();
        let mut owed = origins_owed(&self.connection).map_err(&doing)?;
        owed.retain(|(origin, _)| !is_peer(origin.daemon));
        let origins: Vec<Origin> = owed.iter().map(|(origin, _)| *origin).collect();
        let held = log.held_up_to(&origins).map_err(log_unread)?;
        for ((origin, up_to), held) in owed.into_iter().zip(held) {
            // There is a hole before it. What fills that is digested, too.
            if held.0 < up_to {
                parcel.due.waits = true;
                continue;
            }
            parcel.add_there(ReceivedUpTo {
                origin_daemon: origin.daemon,
                origin_epoch: origin.epoch,
                origin_sequence: held,
            });
        }
        let mut marks = self.connection.prepare_cached(UNTOLD).map_err(&doing)?;
        let mut rows = marks.query([int(MARKS_MAX as u64)]).map_err(&doing)?;
        while let Some(row) = rows.next().map_err(&doing)? {
            if !parcel.add_read(ReadMark::read(row).map_err(&doing)?) {
                break;
            }
        }
        Ok(parcel.finish())
    }

    /// Notes that others were told of these.
    fn note_told(&mut self, marks: &[ReadMark]) -> Result<(), AgentsError> {
        if marks.is_empty() {
            return Ok(());
        }
        let doing = views("note what was told");
        let transaction = self.connection.transaction().map_err(&doing)?;
        {
            let mut told = transaction.prepare_cached(TOLD).map_err(&doing)?;
            for mark in marks {
                let key = rusqlite::params![mark.event_id, mark.origin, mark.agent];
                told.execute(key).map_err(&doing)?;
            }
        }
        transaction.commit().map_err(&doing)
    }
}

fn origins_owed(connection: &Connection) -> rusqlite::Result<Vec<(Origin, u64)>> {
    let owed = |row: &Row<'_>| {
        let origin = Origin { daemon: daemon_id(row.get(0)?), epoch: column::epoch(row.get(1)?) };
        Ok((origin, uint(row.get(2)?)))
    };
    connection.prepare_cached(OWED)?.query_map([], owed)?.collect()
}

/// What messages that were read at once, in one way, have in common.
type Group = (DaemonId, String, String, Route, Option<String>, i64);

/// An event that is being filled.
struct Parcel {
    due: Due,
    groups: BTreeMap<Group, Vec<EventId>>,
    room: usize,
}

impl Parcel {
    fn new() -> Self {
        let frame = serde_json::to_vec(&MessageReceipts::default()).map_or(0, |json| json.len());
        // The names of its two lists.
        let room = BODY_MAX_BYTES - frame - 64;
        Self { due: Due::default(), groups: BTreeMap::new(), room }
    }

    fn has_room(&mut self, bytes: usize) -> bool {
        match self.room.checked_sub(bytes) {
            Some(left) => {
                self.room = left;
                true
            }
            None => {
                self.due.more = true;
                false
            }
        }
    }

    fn add_there(&mut self, received: ReceivedUpTo) {
        if self.has_room(bytes_of(&received)) {
            self.due.body.there.push(received);
        }
    }

    /// False if it has no room.
    fn add_read(&mut self, mark: ReadMark) -> bool {
        let group = (
            daemon_id(mark.origin),
            mark.agent.clone(),
            mark.project.clone(),
            route_named(&mark.route),
            mark.session.clone(),
            mark.at,
        );
        let new = match self.groups.contains_key(&group) {
            true => 0,
            false => bytes_of(&receipt(group.clone(), Vec::new())),
        };
        if !self.has_room(new + ID_BYTES) {
            return false;
        }
        self.groups.entry(group).or_default().push(event_id(mark.event_id));
        self.due.marks.push(mark);
        true
    }

    fn finish(mut self) -> Due {
        self.due.more |= self.due.marks.len() >= MARKS_MAX;
        let read = self.groups.into_iter().map(|(group, ids)| receipt(group, ids));
        self.due.body.read = read.collect();
        self.due
    }
}

/// With the comma before the next one.
fn bytes_of(entry: &impl serde::Serialize) -> usize {
    serde_json::to_vec(entry).map_or(BODY_MAX_BYTES, |json| json.len() + 1)
}

fn receipt(group: Group, event_ids: Vec<EventId>) -> ReadReceipt {
    let (origin_daemon, agent, project, route, session, at) = group;
    ReadReceipt {
        agent,
        project: Some(project).filter(|name| !name.is_empty()),
        route,
        session,
        at: Timestamp::from_millis(at),
        origin_daemon,
        event_ids,
    }
}
