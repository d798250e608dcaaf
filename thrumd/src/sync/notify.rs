//! Carries out one notification: reads the news and sends it, unless it can wait.

use thrum_api::DaemonId;
use thrum_api::peer::{Notified, NotifyParams, SyncNotify};
use tokio::time::Instant;

use super::client::{Bounds, Callee, ClientError};
use super::hub::{Failure, NotifyRequest, NotifyResult, Timing};
use super::protocol::notification;
use super::shared::Shared;
use crate::metrics::SyncRequest;
use crate::peer::Peer;

pub(super) async fn notify(
    shared: &Shared,
    id: DaemonId,
    wanted: NotifyRequest,
    timing: &Timing,
) -> NotifyResult {
    let Some(peer) = shared.registry.get(id) else {
        return NotifyResult::Failed(Failure::no_peer());
    };
    let result = match notification(&shared.log, id, &shared.name, wanted, timing).await {
        Ok(params) => send(shared, &peer, &params)
            .await
            .unwrap_or_else(|error| NotifyResult::Failed(error.failure())),
        Err(result) => result,
    };
    if let NotifyResult::Failed(failure) = &result {
        shared.metrics.notify_errors.inc(failure.kind.into());
    }
    result
}

async fn send(
    shared: &Shared,
    peer: &Peer,
    params: &NotifyParams,
) -> Result<NotifyResult, ClientError> {
    let addresses = shared.locate(peer).await?;
    shared.metrics.requests.inc(SyncRequest::Notify);
    let sent = Instant::now();
    let answer = shared
        .client
        .call::<SyncNotify>(Callee::Peer(peer), &addresses, params, Bounds::SMALL)
        .await
        .inspect_err(|error| shared.note_refusal(peer.daemon_id, error))?;
    shared.metrics.notify.observe(sent.elapsed());
    shared.answered(peer, &addresses, &answer).await;
    let (latest, Notified { held_seq: confirmed, known }) = (params.latest(), answer.result);
    Ok(NotifyResult::Answered { latest, confirmed, known })
}
