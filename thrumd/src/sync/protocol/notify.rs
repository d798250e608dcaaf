//! What a notification to a peer contains, and whether it can wait.

use std::sync::Arc;

use thrum_api::peer::NotifyParams;
use thrum_api::{DaemonId, LogPosition};

use super::ReplicaLog;
use crate::log::{LogError, NewsRequest, Urgency};
use crate::sync::hub::{NotifyRequest, NotifyResult, Timing};

/// The notification that tells a peer that it was removed. `latest` is the end of our log.
pub fn removal_notice(daemon: DaemonId, latest: LogPosition, reason: Option<&str>) -> NotifyParams {
    let reason = reason.map(str::to_owned);
    NotifyParams { removed: true, reason, ..NotifyParams::of(daemon, latest) }
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
    let NotifyRequest { examined, sent, include_events, include_relayed, due } = wanted;
    let timing = *timing;
    let delay = move |urgency: Urgency| timing.notify_delay(urgency.own, urgency.concerns_peer);
    let waits = Arc::new(move |urgency| !due && !delay(urgency).is_zero());
    let request = NewsRequest { peer, examined, sent, relayed: include_relayed };
    let news = log.news(request, waits).await;
    let news = news.map_err(|error: LogError| NotifyResult::Failed(error.into()))?;
    let Some(content) = news.content else {
        return Err(NotifyResult::Deferred { delay: delay(news.urgency), examined: news.head });
    };
    let after = content.after;
    let runs = content.window.filter(|runs| include_events && after == sent && !runs.is_empty());
    Ok(NotifyParams {
        name: Some(name.to_owned()),
        after_seq: Some(after.sequence),
        after_hash: after.hash,
        heads: content.heads,
        runs,
        held_seq: content.held,
        ..NotifyParams::of(log.daemon(), news.head)
    })
}
