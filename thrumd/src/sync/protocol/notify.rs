//! What a notification to a peer says, and whether it can wait.

use std::time::Duration;

use thrum_api::peer::{Notified, NotifyParams};
use thrum_api::{DaemonId, Place};

use super::ReplicaLog;
use crate::log::LogError;
use crate::sync::hub::{NotifyResult, Timing};

/// What the hub wants (`Action::Notify`).
#[derive(Debug, Clone, Copy)]
pub struct NotifyRequest {
    /// News up to here was examined before.
    pub examined: Place,
    /// The peer was sent our log up to here.
    pub sent: Place,
    /// Our own events after it may go along.
    pub include_events: bool,
    /// Notify in any case.
    pub due: bool,
}

/// What to do about our news.
#[derive(Debug)]
pub enum NotifyStep {
    /// Send this.
    Send(Box<NotifyParams>),
    /// Nothing yet.
    Defer {
        /// The news can wait this long for more.
        delay: Duration,
        /// The end of what was examined.
        examined: Place,
    },
}

/// Reads the news for a peer. `name` is what this daemon calls itself.
///
/// # Errors
/// When the log fails.
pub async fn next_step(
    log: &impl ReplicaLog,
    peer: DaemonId,
    name: &str,
    wanted: NotifyRequest,
    timing: &Timing,
) -> Result<NotifyStep, LogError> {
    let NotifyRequest { examined, sent, include_events, due } = wanted;
    let mut news = log.news(peer, if due { sent } else { examined }).await?;
    if !due {
        let delay = timing.notify_delay(news.own, news.concerns_peer);
        if !delay.is_zero() {
            return Ok(NotifyStep::Defer { delay, examined: news.head });
        }
        if examined != sent {
            news = log.news(peer, sent).await?;
        }
    }
    let events = news.window.filter(|events| include_events && !events.is_empty());
    Ok(NotifyStep::Send(Box::new(NotifyParams {
        daemon_id: log.daemon(),
        name: Some(name.to_owned()),
        latest_seq: news.head.sequence,
        latest_id: news.head.event_id,
        after_seq: events.as_ref().map(|_| sent.sequence),
        after_id: events.as_ref().and(sent.event_id),
        heads: news.heads,
        events,
        removed: false,
        reason: None,
        token: None,
    })))
}

/// What the peer confirmed by its answer to a notification that ended at `latest`.
pub fn confirmed_by(answer: &Notified, latest: Place) -> NotifyResult {
    NotifyResult::Answered { latest, confirmed: answer.held_seq }
}
