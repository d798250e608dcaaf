//! Receives a `sync.notify`: applies its events, and decides whether a pull is needed for the rest.

#[cfg(test)]
mod tests;

use thrum_api::limits::{NOTIFY_MAX_EVENTS, PULL_MAX_EVENTS};
use thrum_api::local::unsigned;
use thrum_api::peer::{Notified, NotifyParams};
use thrum_api::{DaemonId, ErrorCode, Head, LogPosition, Origin, RpcError, Sequence};

use super::ReplicaLog;
use super::replica::{add, log_failed, unproved};
use crate::large;
use crate::log::{Applied, Batch, Checkpoint, Failed, IncomingPage, LogTransaction};
use crate::sync::hub::Input;

/// What the verification of an event's run counts, at most, of what may be read at once.
const VERIFYING_BYTES: usize = 4096;

/// The result of a received notification.
pub struct Received {
    /// The answer. What was applied is on disk.
    pub answer: Result<Notified, RpcError>,
    /// The input for the hub.
    pub input: Option<Input>,
    /// What was applied of its events.
    pub applied: Applied,
}

/// Receives a peer's `sync.notify`.
pub async fn receive(log: &impl ReplicaLog, peer: DaemonId, mut params: NotifyParams) -> Received {
    if params.daemon_id != peer {
        let message = format!("daemon_id: the token is of {peer}");
        let error = RpcError::new(ErrorCode::INVALID_PARAMS, message);
        return Received { answer: Err(error), input: None, applied: Applied::default() };
    }
    if params.removed {
        let input = Some(Input::RemovedByPeer(peer));
        let answer = Ok(Notified::default());
        return Received { answer, input, applied: Applied::default() };
    }
    let events: usize = params.runs.iter().flatten().map(|run| run.events.len()).sum();
    // The writer takes them in one turn, in which others wait: no more than a page.
    if events > NOTIFY_MAX_EVENTS + PULL_MAX_EVENTS {
        let most = NOTIFY_MAX_EVENTS;
        let message = format!("runs: {events} events; at most {most}, and what proves them");
        let error = RpcError::new(ErrorCode::INVALID_PARAMS, message);
        return Received { answer: Err(error), input: None, applied: Applied::default() };
    }
    let mut notification = Notification::read(peer, &mut params);
    let latest = notification.latest.sequence;
    let bytes = notification.window.bytes();
    let heads = notification.heads.as_ref().map_or(0, Vec::len);
    match log.judge(bytes, heads, move |log| judge(log, &mut notification)).await {
        Ok(Judged { held, input, applied }) => {
            let known = u64::try_from(applied.skipped).unwrap_or(u64::MAX);
            let answer = match applied.refused {
                0 => Ok(Notified { held_seq: held, known }),
                // An honest peer's own log shows it then.
                refused => {
                    let message = format!("runs: {}: {refused}", unsigned("the notification"));
                    Err(RpcError::new(ErrorCode::INVALID_PARAMS, message))
                }
            };
            Received { answer, input: Some(input), applied }
        }
        // The hub pulls once our log works again. The peer only learns that something failed.
        Err(error) => Received {
            answer: Err(log_failed("sync.notify", peer, &error)),
            input: Some(Input::PullNeeded { peer, latest, creators: Vec::new() }),
            applied: Applied::default(),
        },
    }
}

/// A parsed notification.
struct Notification {
    /// The end of the sender's log.
    latest: LogPosition,
    /// Where its heads and its window of events begin.
    after: Option<LogPosition>,
    /// Its window of events.
    window: Batch,
    /// Heads that describe everything after that.
    heads: Option<Vec<Head>>,
}

impl Notification {
    /// Parses its events, which may be many.
    fn read(peer: DaemonId, params: &mut NotifyParams) -> Self {
        let events = params.runs.iter().flatten().flat_map(|run| &run.events);
        // Verifying a signature takes as long as reading some KiB.
        let bytes = events.map(|event| VERIFYING_BYTES + event.event.get().len()).sum();
        large::by_size(bytes, || Self::of(peer, params))
    }

    fn of(peer: DaemonId, params: &mut NotifyParams) -> Self {
        let runs = params.runs.take().unwrap_or_default();
        Self {
            latest: params.latest(),
            after: params.after(),
            window: Batch {
                peer,
                epoch: None,
                from: Checkpoint::default(),
                page: IncomingPage::read(runs),
                checkpoint: None,
                held: params.held_seq,
                is_whole: false,
            },
            heads: params.heads.take(),
        }
    }

    /// Whether the heads describe everything that a receiver with this checkpoint may lack. They do where it is at the
    /// position that they count from, with everything before that; those of the whole log always do.
    fn describes_all_after(&self, from: &Checkpoint) -> bool {
        self.heads.is_some()
            && (self.after == Some(LogPosition::START)
                || (self.after == Some(from.position) && !from.is_withheld))
    }

    /// Whether the sender's log ends at this checkpoint, so that nothing is missing: the hash shows that it is the log up
    /// to there.
    fn ends_at(&self, from: &Checkpoint) -> bool {
        self.latest == from.position && self.latest.hash.is_some() && !from.is_withheld
    }

    /// Whether the sender's log is the one that this checkpoint was taken of, as far as the notification shows.
    fn is_of(&self, checkpoint: LogPosition) -> bool {
        [Some(self.latest), self.after]
            .into_iter()
            .flatten()
            .all(|known| known.sequence != checkpoint.sequence || known.agrees_with(checkpoint))
    }
}

/// What became of a notification.
struct Judged {
    /// Up to here we hold the sender's log.
    held: Sequence,
    input: Input,
    applied: Applied,
}

/// Follows `decide` until nothing is left to do, in one transaction.
fn judge(
    log: &mut LogTransaction<'_, '_>,
    notification: &mut Notification,
) -> Result<Judged, Failed> {
    let (peer, latest) = (notification.window.peer, notification.latest.sequence);
    let mut applied = Applied::default();
    let mut has_window = !notification.window.page.is_empty();
    loop {
        let from = log.checkpoint(peer)?;
        // Where there is a window to apply, they are compared afterwards.
        let applies = has_window && notification.after == Some(from.position);
        let missing = match &notification.heads {
            Some(heads) if !applies && !notification.ends_at(&from) => Some(log.missing(heads)?),
            _ => None,
        };
        let is_whole = notification.after == Some(LogPosition::START);
        let (more, checkpoint) = match decide(&from, notification, has_window, missing.as_deref()) {
            Decision::Apply => {
                has_window = false;
                notification.window.from = from;
                let applied = log.apply(&notification.window)?;
                if applied.refused > 0 {
                    let failure = unproved(applied.refused);
                    let input = Input::NotificationRefused { peer, failure };
                    return Ok(Judged { held: Sequence::ZERO, input, applied });
                }
                (applied, None)
            }
            Decision::AdvanceCheckpoint(position) => {
                let (page, checkpoint) = (IncomingPage::default(), Some(position));
                let held = notification.window.held;
                let batch = Batch { peer, epoch: None, from, page, checkpoint, held, is_whole };
                (log.apply(&batch)?, checkpoint)
            }
            Decision::UpToDate => {
                let input = Input::Synced { peer, latest };
                return Ok(Judged { held: latest, input, applied });
            }
            Decision::Pull { creators } => {
                let input = Input::PullNeeded { peer, latest, creators };
                // A checkpoint of a log that the sender lost confirms nothing of this one.
                let confirms = notification.is_of(from.position) && !from.is_withheld;
                let held = if confirms { from.position.sequence } else { Sequence::ZERO };
                return Ok(Judged { held, input, applied });
            }
        };
        add(&mut applied, &more);
        // With a checkpoint, nothing of the sender's log is missing once these are stored.
        if checkpoint.is_some() && more.withheld == 0 {
            let input = Input::Synced { peer, latest };
            return Ok(Judged { held: latest, input, applied });
        }
    }
}

/// What a notification asks of us.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Decision {
    /// Apply the window, and decide again. That it holds the last event of each origin does not show that nothing else
    /// is missing: it has no events that came from us, and we may have lost one since.
    Apply,
    /// Nothing is missing: only move the checkpoint.
    AdvanceCheckpoint(LogPosition),
    /// Nothing is missing, and the checkpoint is at the end already.
    UpToDate,
    Pull {
        /// Which daemons created the missing events, as far as the heads show. The triangle rule needs it.
        creators: Vec<DaemonId>,
    },
}

/// Decides by our checkpoint for the sender and by the origins of its heads of which we lack events
/// (docs/protocol.md, "The receiver"). `missing` is None without heads, and where they don't matter. `has_window`: it has
/// a window that was not applied yet.
fn decide(
    from: &Checkpoint,
    notification: &Notification,
    has_window: bool,
    missing: Option<&[Origin]>,
) -> Decision {
    let (checkpoint, latest) = (from.position, notification.latest);
    let described = missing.filter(|_| notification.describes_all_after(from));
    if has_window && notification.after == Some(checkpoint) {
        return Decision::Apply;
    }
    if notification.ends_at(from) {
        return Decision::UpToDate;
    }
    match described {
        Some([]) if latest == checkpoint && !from.is_withheld => Decision::UpToDate,
        Some([]) if latest == checkpoint || latest.sequence > checkpoint.sequence => {
            Decision::AdvanceCheckpoint(latest)
        }
        // Mostly it counts from another position than our checkpoint. If nothing is missing, then the sender's log
        // ends before our checkpoint, or with another event there: the notification is old, or the log was rolled
        // back. A pull tells which.
        _ => {
            // A receiver that is behind the place lacks more than the heads show.
            let is_behind =
                notification.after.is_none_or(|after| checkpoint.sequence < after.sequence);
            let missing = missing.filter(|_| !is_behind).unwrap_or_default();
            let mut creators: Vec<DaemonId> = missing.iter().map(|origin| origin.daemon).collect();
            creators.sort_unstable();
            creators.dedup();
            Decision::Pull { creators }
        }
    }
}
