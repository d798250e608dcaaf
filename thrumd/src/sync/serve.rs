//! Serves requests of peers: `protocol` answers them, and the hub gets the resulting inputs.

use std::sync::Arc;

use thrum_api::peer::{Notified, NotifyParams, PullPage, PullParams};
use thrum_api::{DaemonId, RpcError};
use tokio::time::Instant;

use super::client::known_reason;
use super::protocol::{self, receive};
use super::shared::{Message, Shared};

pub(super) async fn pull(
    shared: &Arc<Shared>,
    peer: DaemonId,
    params: PullParams,
) -> Result<PullPage, RpcError> {
    let (answer, input) = protocol::serve(&shared.log, peer, params).await;
    if let Some(input) = input {
        shared.post(Message::Input(input)).await;
    }
    answer
}

pub(super) async fn notify(
    shared: &Arc<Shared>,
    peer: DaemonId,
    mut params: NotifyParams,
) -> Result<Notified, RpcError> {
    if params.daemon_id == peer && params.removed {
        let why = params.reason.as_deref().and_then(known_reason);
        shared.traffic(peer, |traffic| traffic.refusal = why);
    } else if params.daemon_id == peer
        && let (Some(name), Some(known)) = (&params.name, shared.registry.get(peer))
    {
        shared.follow_name(&known, name).await;
    }
    shared.traffic(peer, |traffic| {
        if traffic.leaves_events(Instant::now()) {
            params.runs = None;
        }
    });
    let received = receive(&shared.log, peer, params).await;
    if received.applied.refused > 0 {
        shared.traffic(peer, |traffic| traffic.sent_unsigned = Some(Instant::now()));
    }
    shared.count(peer, &received.applied);
    shared.log_synced("sync.notify", peer, &received.applied);
    if let Some(input) = received.input {
        shared.post(Message::Input(input)).await;
    }
    received.answer
}
