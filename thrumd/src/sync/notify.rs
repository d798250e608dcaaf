//! Carries out one notification: reads the news and sends it, unless it can wait.

use std::sync::atomic::Ordering;

use thrum_api::peer::{NotifyParams, SyncNotify};
use thrum_api::{DaemonId, LogPosition};

use super::client::{Bounds, ClientError};
use super::hub::{NotifyRequest, NotifyResult, Timing};
use super::protocol::{NotifyStep, confirmed_by, next_step};
use super::shared::{Shared, local_failure, no_peer};
use crate::peer::Peer;

pub(super) async fn notify(
    shared: &Shared,
    id: DaemonId,
    wanted: NotifyRequest,
    timing: &Timing,
) -> NotifyResult {
    let Some(peer) = shared.registry.get(id) else {
        return NotifyResult::Failed(no_peer());
    };
    match next_step(&shared.log, id, &shared.name, wanted, timing).await {
        Ok(NotifyStep::Defer { delay, examined }) => NotifyResult::Deferred { delay, examined },
        Ok(NotifyStep::Send(params)) => send(shared, &peer, &params)
            .await
            .unwrap_or_else(|error| NotifyResult::Failed(error.failure())),
        Err(error) => NotifyResult::Failed(local_failure(&error)),
    }
}

async fn send(
    shared: &Shared,
    peer: &Peer,
    params: &NotifyParams,
) -> Result<NotifyResult, ClientError> {
    let addresses = shared.locate(peer).await?;
    shared.counters.notifies_sent.fetch_add(1, Ordering::Relaxed);
    let token = Some(&peer.token);
    let answer = shared
        .client
        .call::<SyncNotify>(&peer.name, &addresses, token, params, Bounds::SMALL)
        .await
        .inspect_err(|error| shared.note_refusal(peer.daemon_id, error))?;
    shared.answered(peer, &addresses, &answer).await;
    let latest = LogPosition { sequence: params.latest_seq, event_id: params.latest_id };
    Ok(confirmed_by(&answer.result, latest))
}
