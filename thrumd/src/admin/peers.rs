//! Pairing and peers. The first `peer add` or `peer join` turns sync on permanently.

use thrum_api::local::{
    PeerAddResult, PeerEntry, PeerJoinParams, PeerJoinResult, PeerListResult, PeerRemoveParams,
    PeerRemoveResult, PeerResolveParams, PeerResolveResult, PeerSyncParams,
};
use thrum_api::{Empty, ErrorCode, RpcError};
use tokio_util::sync::CancellationToken;

use super::network::PeerNetwork;
use super::{AdminContext, Network, errors};
use crate::config::SyncMode;
use crate::peer::{Peer, identity};

/// `peer.add`. Opens no session for a caller that has disconnected meanwhile.
pub async fn add(
    context: &AdminContext,
    disconnected: &CancellationToken,
) -> Result<PeerAddResult, RpcError> {
    let join = turn_on(context).await?.reachable().await?;
    if disconnected.is_cancelled() {
        return Err(RpcError::new(ErrorCode::REFUSED, "the caller has disconnected"));
    }
    context.pairing.open(join)
}

/// `peer.resolve`
pub async fn resolve(
    context: &AdminContext,
    params: PeerResolveParams,
) -> Result<PeerResolveResult, RpcError> {
    let network = allowed(context)?;
    network.started().await;
    network.sync().resolve(&params.address).await
}

/// `peer.join`
pub async fn join(
    context: &AdminContext,
    params: PeerJoinParams,
) -> Result<PeerJoinResult, RpcError> {
    let network = turn_on(context).await?;
    // The other side calls back on our listener: without one, only one direction would work.
    network.reachable().await?;
    network.sync().join(&params.address, params.code).await
}

/// `peer.list`
pub async fn list(context: &AdminContext) -> Result<PeerListResult, RpcError> {
    let mut peers = Vec::new();
    for peer in context.registry.all() {
        peers.push(entry(context, peer).await?);
    }
    peers.sort_by(|a, b| (&a.name, a.daemon_id).cmp(&(&b.name, b.daemon_id)));
    Ok(PeerListResult {
        peers,
        pairing: context.pairing.current(),
        last_pairing: context.pairing.last(),
    })
}

/// A peer as shown by `peer.list` and `peer.find`.
pub async fn entry(context: &AdminContext, peer: Peer) -> Result<PeerEntry, RpcError> {
    let checkpoint = context.log.checkpoint(peer.daemon_id).await.map_err(errors::log)?;
    Ok(PeerEntry {
        daemon_id: peer.daemon_id,
        name: context.name_of(&peer),
        address: peer.address,
        paired_at: peer.paired_at,
        last_sync: checkpoint.last_sync,
        by_policy: peer.by_policy,
    })
}

/// `peer.remove`
pub async fn remove(
    context: &AdminContext,
    params: PeerRemoveParams,
) -> Result<PeerRemoveResult, RpcError> {
    let peer = context.find(&params.peer)?;
    if let Some(network) = context.network.enabled() {
        return network.sync().remove(&peer.daemon_id.to_string()).await;
    }
    context.registry.remove(peer.daemon_id).await.map_err(errors::registry)?;
    let name = context.name_of(&peer);
    peer.log_removed(&name);
    context.log.forget_peer(peer.daemon_id).await.map_err(errors::log)?;
    Ok(PeerRemoveResult { daemon_id: peer.daemon_id, name, told: false })
}

/// `peer.sync`
pub async fn sync(context: &AdminContext, params: PeerSyncParams) -> Result<Empty, RpcError> {
    let typed = params.peer.as_deref();
    let peer = typed.map(|typed| context.find(typed)).transpose()?.map(|peer| peer.daemon_id);
    let network = context.network.enabled().ok_or_else(|| {
        RpcError::new(ErrorCode::REFUSED, "sync is off on this machine")
            .hint("pair with another machine: `thrum peer add`")
    })?;
    network.sync().sync_now(peer).await;
    Ok(Empty {})
}

/// Turns sync on permanently, unless it is forbidden.
pub(super) async fn turn_on(context: &AdminContext) -> Result<&PeerNetwork, RpcError> {
    let network = allowed(context)?;
    context.registry.want_sync().await.map_err(errors::registry)?;
    network.turn_on();
    Ok(network)
}

fn allowed(context: &AdminContext) -> Result<&PeerNetwork, RpcError> {
    if context.foreign {
        return Err(RpcError::new(
            ErrorCode::REFUSED,
            format!(
                "this state directory came from another machine, and two machines with one identity \
                 would damage each other's events; {}",
                identity::SAME_MACHINE
            ),
        )
        .hint(identity::how_to_reset(&context.config.state_dir)));
    }
    if context.config.sync == SyncMode::Forbidden {
        return Err(RpcError::new(
            ErrorCode::REFUSED,
            "sync is forbidden on this machine (sync = false, THRUM_TS_ENABLED)",
        )
        .hint("remove that setting, or set it to true, and restart thrumd"));
    }
    match &context.network {
        Network::Available(network) => Ok(network),
        Network::Unavailable(why) => {
            Err(RpcError::new(ErrorCode::REFUSED, format!("this machine can't sync: {why}")))
        }
    }
}
