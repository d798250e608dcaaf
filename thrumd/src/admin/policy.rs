//! `peer.policy`: whether a grant in the tailnet's policy may replace the pairing code.

use thrum_api::local::{PeerPolicyParams, PeerPolicyResult, TailnetKind};
use thrum_api::{ErrorCode, RpcError};

use super::{AdminContext, errors, peers};
use crate::peer::wrong_capability;

/// `peer.policy`. Turning it on turns sync on permanently, as pairing does.
pub async fn policy(
    context: &AdminContext,
    params: PeerPolicyParams,
) -> Result<PeerPolicyResult, RpcError> {
    let before = context.registry.policy();
    let mut policy = before.clone();
    if let Some(capability) = params.capability {
        if let Some(why) = wrong_capability(&capability) {
            let message = format!("{capability:?} is not the name of a capability: {why}");
            return Err(RpcError::new(ErrorCode::INVALID_PARAMS, message)
                .hint("for example thrum.dev/cap/pair"));
        }
        policy.capability = capability;
    }
    policy.on = params.on.unwrap_or(policy.on);
    let loopback = context.config.tailnet == TailnetKind::Loopback;
    if loopback && params.on == Some(true) {
        return Err(RpcError::new(
            ErrorCode::REFUSED,
            "the loopback tailnet has no identities, so its policy can't pair machines",
        )
        .hint("set THRUM_TAILNET=tailscaled and restart thrumd, or pair with `thrum peer add`"));
    }
    if params.on == Some(true) {
        peers::turn_on(context).await?;
    }
    if policy != before {
        context.registry.set_policy(policy.clone()).await.map_err(errors::registry)?;
        let state = if policy.on { "on" } else { "off" };
        tracing::warn!("[pairing] Pairing by policy is {state}, capability {}", policy.capability);
    }
    let peers = context.registry.all().iter().filter(|peer| peer.by_policy.is_some()).count();
    Ok(PeerPolicyResult { on: policy.on && !loopback, capability: policy.capability, peers })
}
