//! Pairing and peers. The first `peer add` or `peer join` turns sync on for good.

use thrum_api::local::{
    PeerAddResult, PeerEntry, PeerJoinParams, PeerJoinResult, PeerListResult, PeerRemoveParams,
    PeerRemoveResult, PeerResolveParams, PeerResolveResult, PeerSyncParams,
};
use thrum_api::{Empty, ErrorCode, RpcError};
use tokio_util::sync::CancellationToken;

use super::network::Link;
use super::{Network, Surface, errors};
use crate::config::SyncWish;
use crate::peer::identity;

/// `peer.add`. Opens nothing for a caller that has gone meanwhile.
pub async fn add(
    surface: &Surface,
    hung_up: &CancellationToken,
) -> Result<PeerAddResult, RpcError> {
    let join = turn_on(surface).await?.reachable().await?;
    if hung_up.is_cancelled() {
        return Err(RpcError::new(ErrorCode::REFUSED, "the caller has gone"));
    }
    surface.pairing.open(join)
}

/// `peer.resolve`
pub async fn resolve(
    surface: &Surface,
    params: PeerResolveParams,
) -> Result<PeerResolveResult, RpcError> {
    let link = allowed(surface)?;
    link.started().await;
    link.sync().resolve(&params.address).await
}

/// `peer.join`
pub async fn join(surface: &Surface, params: PeerJoinParams) -> Result<PeerJoinResult, RpcError> {
    let link = turn_on(surface).await?;
    // The other side calls us back on our listener: without one, pairing would be half a thing.
    link.reachable().await?;
    link.sync().join(&params.address, params.code).await
}

/// `peer.list`
pub async fn list(surface: &Surface) -> Result<PeerListResult, RpcError> {
    let mut peers = Vec::new();
    for peer in surface.registry.all() {
        let checkpoint = surface.log.checkpoint(peer.daemon_id).await.map_err(errors::log)?;
        peers.push(PeerEntry {
            daemon_id: peer.daemon_id,
            name: surface.name_of(&peer),
            address: peer.address,
            paired_at: peer.paired_at,
            last_sync: checkpoint.last_sync,
            by_policy: peer.by_policy,
        });
    }
    peers.sort_by(|a, b| (&a.name, a.daemon_id).cmp(&(&b.name, b.daemon_id)));
    Ok(PeerListResult {
        peers,
        pairing: surface.pairing.current(),
        last_pairing: surface.pairing.last(),
    })
}

/// `peer.remove`
pub async fn remove(
    surface: &Surface,
    params: PeerRemoveParams,
) -> Result<PeerRemoveResult, RpcError> {
    if let Some(link) = surface.network.on() {
        return link.sync().remove(&params.peer).await;
    }
    let peer = surface.find(&params.peer)?;
    surface.registry.remove(peer.daemon_id).await.map_err(errors::registry)?;
    let name = surface.name_of(&peer);
    Ok(PeerRemoveResult { daemon_id: peer.daemon_id, name, told: false })
}

/// `peer.sync`
pub async fn sync(surface: &Surface, params: PeerSyncParams) -> Result<Empty, RpcError> {
    let typed = params.peer.as_deref();
    let peer = typed.map(|typed| surface.find(typed)).transpose()?.map(|peer| peer.daemon_id);
    let link = surface.network.on().ok_or_else(|| {
        RpcError::new(ErrorCode::REFUSED, "sync is off on this machine")
            .hint("pair with another machine: `thrum peer add`")
    })?;
    link.sync().sync_now(peer);
    Ok(Empty {})
}

/// Turns sync on for good, unless it must not be on.
pub(super) async fn turn_on(surface: &Surface) -> Result<&Link, RpcError> {
    let link = allowed(surface)?;
    surface.registry.want_sync().await.map_err(errors::registry)?;
    link.turn_on();
    Ok(link)
}

fn allowed(surface: &Surface) -> Result<&Link, RpcError> {
    if surface.foreign {
        return Err(RpcError::new(
            ErrorCode::REFUSED,
            "this state directory came from another machine, and two machines with one identity \
             would damage each other's events",
        )
        .hint(identity::how_to_reset(&surface.config.state_dir)));
    }
    if surface.config.sync == SyncWish::Forbidden {
        return Err(RpcError::new(
            ErrorCode::REFUSED,
            "sync is forbidden on this machine (sync = false, THRUM_TS_ENABLED)",
        )
        .hint("take that setting away, or set it to true, and restart thrumd"));
    }
    match &surface.network {
        Network::Possible(link) => Ok(link),
        Network::Impossible(why) => {
            Err(RpcError::new(ErrorCode::REFUSED, format!("this machine can't sync: {why}")))
        }
    }
}
