//! Reachability checks of a peer, for `thrum doctor` and `thrum peer status`.

use thrum_api::local::{
    PathToPeer, PeerCheckParams, PeerCheckResult, PeerPathParams, PeerPathResult,
};
use thrum_api::{ErrorCode, RpcError};

use super::AdminContext;

/// `peer.check`
pub async fn check(
    context: &AdminContext,
    params: PeerCheckParams,
) -> Result<PeerCheckResult, RpcError> {
    let peer = context.find(&params.peer)?;
    match context.network.enabled() {
        Some(network) => Ok(network.sync().check(&peer).await),
        None => {
            Err(RpcError::new(ErrorCode::REFUSED, "sync is off on this machine")
                .hint("thrum status"))
        }
    }
}

/// `peer.path`
pub async fn path(
    context: &AdminContext,
    params: PeerPathParams,
) -> Result<PeerPathResult, RpcError> {
    let peer = context.find(&params.peer)?;
    let path = match (context.network.enabled(), &peer.node) {
        (Some(network), Some(node)) => network.tailnet().path(node).await.map(PathToPeer::from),
        _ => None,
    };
    Ok(PeerPathResult { daemon_id: peer.daemon_id, path })
}
