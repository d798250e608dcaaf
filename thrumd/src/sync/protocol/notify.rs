//! What a notification to a peer contains, and whether it can wait.

use std::time::Duration;

use thrum_api::peer::{Notified, NotifyParams};
use thrum_api::{DaemonId, LogPosition};

use super::ReplicaLog;
use crate::log::LogError;
use crate::sync::hub::{NotifyRequest, NotifyResult, Timing};

/// What to do with our news.
#[derive(Debug)]
pub enum NotifyStep {
    /// Send this notification.
    Send(Box<NotifyParams>),
    /// Wait for more news.
    Defer {
        /// How long to wait.
        delay: Duration,
        /// The end of what was examined.
        examined: LogPosition,
    },
}

/// The notification that tells a peer that it was removed. `latest` is the end of our log.
pub fn removal_notice(daemon: DaemonId, latest: LogPosition, reason: Option<&str>) -> NotifyParams {
    NotifyParams {
        daemon_id: daemon,
        name: None,
        latest_seq: latest.sequence,
        latest_id: latest.event_id,
        after_seq: None,
        after_id: None,
        heads: None,
        events: None,
        removed: true,
        reason: reason.map(str::to_owned),
        token: None,
    }
}

/// Reads the news for a peer. `name` is the name of this daemon.
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

/// The result of an answer to a notification that ended at `latest`.
pub fn confirmed_by(answer: &Notified, latest: LogPosition) -> NotifyResult {
    NotifyResult::Answered { latest, confirmed: answer.held_seq }
}
