//! Carries out one telling: reads the news, and sends it unless it can wait.

use std::sync::atomic::Ordering;

use thrum_api::peer::{NotifyParams, SyncNotify};
use thrum_api::{DaemonId, Place};

use super::client::{Bounds, ClientError};
use super::hub::{NotifyResult, Timing};
use super::pull::{gone, ours};
use super::shared::Shared;
use crate::log::News;
use crate::peer::Peer;

/// What the hub's action says.
pub(super) struct Telling {
    pub(super) unseen: Place,
    pub(super) held: Place,
    pub(super) window: bool,
    pub(super) due: bool,
}

pub(super) async fn tell(
    shared: &Shared,
    id: DaemonId,
    what: Telling,
    timing: &Timing,
) -> NotifyResult {
    let Some(peer) = shared.registry.get(id) else {
        return NotifyResult::Failed(gone());
    };
    let from = if what.due { what.held } else { what.unseen };
    let mut news = match shared.log.news(id, from).await {
        Ok(news) => news,
        Err(error) => return NotifyResult::Failed(ours(&error)),
    };
    if !what.due {
        let delay = timing.notify_delay(news.own, news.concerns_peer);
        if !delay.is_zero() {
            return NotifyResult::Deferred { delay, examined: news.head };
        }
        if what.unseen != what.held {
            news = match shared.log.news(id, what.held).await {
                Ok(news) => news,
                Err(error) => return NotifyResult::Failed(ours(&error)),
            };
        }
    }
    match send(shared, &peer, &what, news).await {
        Ok(end) => end,
        Err(error) => NotifyResult::Failed(error.failure()),
    }
}

async fn send(
    shared: &Shared,
    peer: &Peer,
    what: &Telling,
    news: News,
) -> Result<NotifyResult, ClientError> {
    let held = what.held;
    let window = news.window.filter(|events| what.window && !events.is_empty());
    let params = NotifyParams {
        daemon_id: shared.log.daemon(),
        name: Some(shared.name.to_string()),
        latest_seq: news.head.sequence,
        latest_id: news.head.event_id,
        after_seq: window.as_ref().map(|_| held.sequence),
        after_id: window.as_ref().and(held.event_id),
        heads: news.heads,
        events: window,
        removed: false,
        reason: None,
        token: None,
    };
    let addresses = shared.locate(peer).await?;
    shared.counters.notifies_sent.fetch_add(1, Ordering::Relaxed);
    let token = Some(&peer.token);
    let answer = shared
        .client
        .call::<SyncNotify>(&peer.name, &addresses, token, &params, Bounds::SMALL)
        .await
        .inspect_err(|error| shared.note_refusal(peer.daemon_id, error))?;
    shared.answered(peer, &addresses, &answer).await;
    Ok(NotifyResult::Answered { latest: news.head, confirmed: answer.result.held_seq })
}
