//! What to do with a notification, and how urgent one of ours is.

use std::time::Duration;

use thrum_api::{DaemonId, EventId, Head, Origin, Place};

use super::Rules;

/// A notification, as far as it decides anything.
#[derive(Debug, Clone, Copy)]
pub struct Told<'a> {
    /// Where the caller's log ends.
    pub latest: Place,
    /// Where its window begins; None if it sent none, or sent one that was applied already.
    pub after: Option<Place>,
    /// The events of the window.
    pub window: &'a [EventId],
    /// Heads of the caller's whole log, if they say all of it.
    pub heads: Option<&'a [Head]>,
}

/// What a notification asks of us.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// Apply the window. With a checkpoint, that is all; without one, judge again without window.
    Apply {
        /// Where the checkpoint is afterwards.
        checkpoint: Option<Place>,
    },
    /// Nothing is missing here: only the checkpoint moves.
    Move(Place),
    /// Nothing is missing and the checkpoint is there already.
    Held,
    /// Pull.
    Lacking {
        /// Who created what is missing, as far as the heads tell: the triangle rule needs it.
        from: Vec<DaemonId>,
    },
}

/// Judges a notification by our checkpoint for the caller and by what of its heads is missing here
/// (docs/protocol.md, "The receiver"). `missing` is None exactly if there are no heads.
pub fn judge(checkpoint: Place, told: &Told<'_>, missing: Option<&[Origin]>) -> Verdict {
    if !told.window.is_empty() && told.after == Some(checkpoint) {
        // Everything up to the window's start is held, the window is all that the caller wrote
        // since, and of what it only relays nothing is missing: then its whole log is held, and
        // one transaction does instead of two.
        let covered = match (told.heads, missing) {
            (Some(heads), Some(missing)) => missing.iter().all(|origin| {
                heads
                    .iter()
                    .any(|head| head.origin() == *origin && told.window.contains(&head.event_id))
            }),
            _ => false,
        };
        return Verdict::Apply { checkpoint: covered.then_some(told.latest) };
    }
    match missing {
        Some([]) if told.latest == checkpoint => Verdict::Held,
        Some([]) if told.latest.sequence > checkpoint.sequence => Verdict::Move(told.latest),
        // The caller's log ends before the place up to which we took it over, or with another
        // event: news that was overtaken, or a log that was rolled back. A pull tells which.
        Some(origins) => {
            let mut from: Vec<DaemonId> = origins.iter().map(|origin| origin.daemon).collect();
            from.sort_unstable();
            from.dedup();
            Verdict::Lacking { from }
        }
        None => Verdict::Lacking { from: Vec::new() },
    }
}

/// What a peer's heads say of `own`, our origin in the present epoch. If we never wrote that event,
/// our log was rolled back since the peer got it.
pub fn head_of(own: Origin, heads: &[Head]) -> Option<Head> {
    heads.iter().find(|head| head.origin() == own).copied()
}

/// How long news may wait for more: none if there is anything of our own among it.
pub fn patience(own: bool, concerns_peer: bool, rules: &Rules) -> Duration {
    match (own, concerns_peer) {
        (true, _) => Duration::ZERO,
        (false, true) => rules.relay_delay,
        (false, false) => rules.echo_delay,
    }
}
