//! What to do with a notification that a peer sent.

use thrum_api::{DaemonId, EventId, Head, LogPosition, Origin};

/// The parts of a notification that the decision depends on.
#[derive(Debug, Clone, Copy)]
pub struct Notification<'a> {
    /// The end of the sender's log.
    pub latest: LogPosition,
    /// Where its window of events begins; None if it has none, or one that is applied already.
    pub after: Option<LogPosition>,
    pub window: &'a [EventId],
    /// The heads of the sender's log, if they are complete.
    pub heads: Option<&'a [Head]>,
}

/// What a notification asks of us.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Decision {
    /// Apply the window. With a checkpoint that is all; without one, decide again without the window.
    Apply { checkpoint: Option<LogPosition> },
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
/// (docs/protocol.md, "The receiver"). `missing` is None exactly if there are no heads.
pub fn decide(
    checkpoint: LogPosition,
    notification: &Notification<'_>,
    missing: Option<&[Origin]>,
) -> Decision {
    if !notification.window.is_empty() && notification.after == Some(checkpoint) {
        // We hold everything before the window. If nothing beyond the window is missing either, then we
        // hold the sender's whole log, and one transaction is enough.
        let covered = match (notification.heads, missing) {
            (Some(heads), Some(missing)) => missing.iter().all(|origin| {
                heads.iter().any(|head| {
                    head.origin() == *origin && notification.window.contains(&head.event_id)
                })
            }),
            _ => false,
        };
        return Decision::Apply { checkpoint: covered.then_some(notification.latest) };
    }
    match missing {
        Some([]) if notification.latest == checkpoint => Decision::UpToDate,
        Some([]) if notification.latest.sequence > checkpoint.sequence => {
            Decision::AdvanceCheckpoint(notification.latest)
        }
        // If nothing is missing: the sender's log ends before our checkpoint, or with another event there.
        // Either the notification is old, or the log was rolled back. A pull tells which.
        Some(origins) => {
            let mut creators: Vec<DaemonId> = origins.iter().map(|origin| origin.daemon).collect();
            creators.sort_unstable();
            creators.dedup();
            Decision::Pull { creators }
        }
        None => Decision::Pull { creators: Vec::new() },
    }
}
