//! Whether the tailnet's policy may stand in for the pairing code.

use thrum_api::local::{PeerPolicyParams, PeerPolicyResult, TailnetKind};
use thrum_api::{ErrorCode, RpcError};

use super::{Surface, errors, peers};
use crate::peer::wrong_capability;

/// `peer.policy`. Turning it on turns sync on for good, as pairing does.
pub async fn policy(
    surface: &Surface,
    params: PeerPolicyParams,
) -> Result<PeerPolicyResult, RpcError> {
    let before = surface.registry.policy();
    let mut policy = before.clone();
    if let Some(capability) = params.capability {
        if let Some(why) = wrong_capability(&capability) {
            let message = format!("{capability:?} is no name of a capability: {why}");
            return Err(RpcError::new(ErrorCode::INVALID_PARAMS, message)
                .hint("for example thrum.dev/cap/pair"));
        }
        policy.capability = capability;
    }
    policy.on = params.on.unwrap_or(policy.on);
    let loopback = surface.config.tailnet == TailnetKind::Loopback;
    if loopback && params.on == Some(true) {
        return Err(RpcError::new(
            ErrorCode::REFUSED,
            "the loopback tailnet knows no identities, so that nobody can be paired by its policy",
        )
        .hint("set THRUM_TAILNET=tailscaled and restart thrumd, or pair with `thrum peer add`"));
    }
    if params.on == Some(true) {
        peers::turn_on(surface).await?;
    }
    if policy != before {
        surface.registry.set_policy(policy.clone()).await.map_err(errors::registry)?;
        let state = if policy.on { "on" } else { "off" };
        tracing::warn!("[pairing] Pairing by policy is {state}, by {}", policy.capability);
    }
    let peers = surface.registry.all().iter().filter(|peer| peer.by_policy.is_some()).count();
    Ok(PeerPolicyResult { on: policy.on && !loopback, capability: policy.capability, peers })
}
