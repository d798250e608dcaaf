//! How a peer is reached, for `thrum doctor` and `thrum peer status`.

use thrum_api::local::{
    PathToPeer, PeerCheckParams, PeerCheckResult, PeerPathParams, PeerPathResult,
};
use thrum_api::{ErrorCode, RpcError};

use super::Surface;

/// `peer.check`
pub async fn check(
    surface: &Surface,
    params: PeerCheckParams,
) -> Result<PeerCheckResult, RpcError> {
    let peer = surface.find(&params.peer)?;
    match surface.network.on() {
        Some(link) => Ok(link.sync().check(&peer).await),
        None => {
            Err(RpcError::new(ErrorCode::REFUSED, "sync is off on this machine")
                .hint("thrum status"))
        }
    }
}

/// `peer.path`
pub async fn path(surface: &Surface, params: PeerPathParams) -> Result<PeerPathResult, RpcError> {
    let peer = surface.find(&params.peer)?;
    let path = match (surface.network.on(), &peer.node) {
        (Some(link), Some(node)) => link.tailnet().path(node).await.map(PathToPeer::from),
        _ => None,
    };
    Ok(PeerPathResult { daemon_id: peer.daemon_id, path })
}
