//! What a notification to a peer contains, and whether it can wait.

use thrum_api::peer::NotifyParams;
use thrum_api::{DaemonId, LogPosition};

use super::ReplicaLog;
use crate::log::LogError;
use crate::sync::hub::{NotifyRequest, NotifyResult, Timing};

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

/// Composes the notification of our news for a peer. `name` is the name of this daemon.
///
/// # Errors
/// The result if nothing is to be sent: the news may wait for more, or the log failed.
pub async fn notification(
    log: &impl ReplicaLog,
    peer: DaemonId,
    name: &str,
    wanted: NotifyRequest,
    timing: &Timing,
) -> Result<NotifyParams, NotifyResult> {
    let failed = |error: LogError| NotifyResult::Failed(error.into());
    let NotifyRequest { examined, sent, include_events, due } = wanted;
    let mut news = log.news(peer, if due { sent } else { examined }).await.map_err(failed)?;
    if !due {
        let delay = timing.notify_delay(news.own, news.concerns_peer);
        if !delay.is_zero() {
            return Err(NotifyResult::Deferred { delay, examined: news.head });
        }
        if examined != sent {
            news = log.news(peer, sent).await.map_err(failed)?;
        }
    }
    let events = news.window.filter(|events| include_events && !events.is_empty());
    Ok(NotifyParams {
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
    })
}
