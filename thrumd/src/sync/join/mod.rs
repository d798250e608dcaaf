//! Pairing as the joining side sees it, and its end.

mod refusal;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use thrum_api::local::{PeerJoinResult, PeerRemoveResult, PeerResolveResult};
use thrum_api::peer::{
    NotifyParams, PairRequest, PairRequestParams, Paired, PeerInfo, PeerInfoParams, SyncNotify,
    SyncPeerInfo,
};
use thrum_api::{ErrorCode, PairingCode, RpcError, names};
use tokio::time::{Instant, sleep, timeout};

use refusal::{is_itself, refused, unreachable};

use super::client::{Answer, Bounds, ClientError};
use super::shared::{Message, Shared, chain};
use crate::clock;
use crate::peer::{Peer, RegistryError};
use crate::tailnet::{Presence, Target};

/// How long a goodbye may take.
const GOODBYE: Duration = Duration::from_secs(2);
/// The first authenticated request is tried this often: its loss would leave the pairing open.
const CONFIRM_TRIES: u32 = 3;

/// A daemon that runs for less may stand on a node that is as young, like a CI runner's: what the
/// policy grants it is still on its way to the others.
const NEWCOMER: Duration = Duration::from_secs(60);
/// How long we wait for that. Unit tests wait for what never comes.
const GRANT_PATIENCE: Duration = Duration::from_secs(if cfg!(test) { 2 } else { 10 });
const GRANT_LOOK: Duration = Duration::from_millis(250);

fn state_file(error: &RegistryError) -> RpcError {
    RpcError::new(ErrorCode::STORAGE, chain(error))
}

impl Shared {
    /// Whether we would answer at this port of this machine.
    fn is_ours(&self, address: SocketAddr, port: u16) -> bool {
        let own = match &*self.tailnet.presence().borrow() {
            Presence::Up { addresses, .. } => addresses.contains(&address.ip()),
            Presence::Waiting { .. } => false,
        };
        own && port != 0 && address.port() == port
    }

    async fn target(&self, address: &str) -> Result<Target, RpcError> {
        self.tailnet.wait_until_up().await;
        let target = self.tailnet.resolve(address).await.map_err(|source| {
            unreachable(address, &ClientError::Locate { peer: address.to_owned(), source })
        })?;
        let port = *self.port.borrow();
        if target.addresses.iter().any(|address| self.is_ours(*address, port)) {
            return Err(is_itself(address));
        }
        Ok(target)
    }
}

pub(super) async fn resolve(shared: &Shared, address: &str) -> Result<PeerResolveResult, RpcError> {
    let target = shared.target(address).await?;
    let begun = Instant::now();
    let (answered, by_policy) = loop {
        let (answered, by_policy) = probe(shared, address, &target).await?;
        let on_its_way = by_policy == Some(false)
            && shared.started.elapsed() < NEWCOMER
            && begun.elapsed() < GRANT_PATIENCE;
        if !on_its_way {
            break (answered, by_policy);
        }
        sleep(GRANT_LOOK).await;
    };
    Ok(PeerResolveResult {
        address: answered.to_string(),
        node_name: target.node.as_ref().map(|node| node.name.clone()),
        owner: target.node.and_then(|node| node.owner),
        same_owner: target.same_owner,
        by_policy,
    })
}

/// Who answers there, and whether the tailnet's policy lets us pair with it, as far as it knows.
async fn probe(
    shared: &Shared,
    address: &str,
    target: &Target,
) -> Result<(SocketAddr, Option<bool>), RpcError> {
    let params = PeerInfoParams::default();
    let probe = shared
        .client
        .call::<SyncPeerInfo>(address, &target.addresses, None, &params, Bounds::SMALL)
        .await;
    // Without a token a thrumd refuses, in words that nothing else would use.
    match probe {
        Err(ClientError::Refused { address, said }) => {
            Ok((address, said.member("policy").and_then(serde_json::Value::as_bool)))
        }
        // Nobody is there because we don't listen yet. Another daemon of this machine may have the
        // same port, so this is no reason not to ask.
        Err(ClientError::Connect { address: at, .. }) if shared.is_ours(at, shared.wanted_port) => {
            Err(is_itself(address))
        }
        Err(error) => Err(unreachable(address, &error)),
        Ok(Answer { address: at, .. }) => {
            let what = "an answer that needs a token without one".to_owned();
            Err(unreachable(address, &ClientError::NotAThrumd { address: at, what }))
        }
    }
}

/// Joins in a task of its own: a caller that hangs up must not leave half a pairing.
pub(super) async fn join(
    shared: &Arc<Shared>,
    address: &str,
    code: Option<PairingCode>,
) -> Result<PeerJoinResult, RpcError> {
    let target = shared.target(address).await?;
    let (work, typed) = (Arc::clone(shared), address.to_owned());
    let (answer, joined) = tokio::sync::oneshot::channel();
    shared.spawn(async move {
        // Nobody may be waiting any more.
        drop(answer.send(ask(&work, &typed, target, code).await));
    });
    joined.await.unwrap_or_else(|_| {
        Err(RpcError::new(ErrorCode::STOPPING, "the daemon is stopping; join again when it runs"))
    })
}

async fn ask(
    shared: &Arc<Shared>,
    typed: &str,
    target: Target,
    code: Option<PairingCode>,
) -> Result<PeerJoinResult, RpcError> {
    let params = PairRequestParams {
        code,
        id: shared.log.daemon(),
        name: shared.name.to_string(),
        addr: format!("{}:{}", shared.name, *shared.port.borrow()),
    };
    // Who gives up and joins again may find the first try still waiting for its answer.
    let _turn = shared.pairings.turn().await;
    // The token is bound to the node that asks, which is whose the connection is: an older one may
    // still be of the node that this machine was.
    shared.client.forget_connections();
    let answer = shared
        .client
        .call::<PairRequest>(typed, &target.addresses, None, &params, Bounds::SMALL)
        .await
        .map_err(|error| refused(typed, &error))?;
    let Answer { result: paired, address, .. } = answer;
    if paired.id == shared.log.daemon() {
        return Err(is_itself(typed));
    }
    shared.pairings.begin_join(paired.id);
    let joined = store_and_confirm(shared, typed, &target, &paired, address).await;
    shared.pairings.end_join(paired.id);
    shared.post(Message::Peers);
    joined
}

async fn store_and_confirm(
    shared: &Shared,
    typed: &str,
    target: &Target,
    paired: &Paired,
    address: SocketAddr,
) -> Result<PeerJoinResult, RpcError> {
    let id = paired.id;
    let name = names::daemon(&paired.name).map_or_else(|_| typed.to_owned(), str::to_owned);
    let peer = Peer {
        daemon_id: id,
        name: name.clone(),
        address: address.to_string(),
        node: target.node.as_ref().map(|node| node.stable_id.clone()),
        token: paired.token.clone(),
        paired_at: clock::now(),
        unconfirmed: true,
        removed_us: false,
        by_policy: None,
    };
    let stored = shared.pairings.store(peer.clone()).await;
    let renewed = stored.map_err(|error| state_file(&error))?;
    match first_request(shared, &peer, address).await {
        Ok(info) if info.result.id == id => {
            if !shared.pairings.confirm(id, peer.token.clone()).await {
                let message = format!("{typed} was removed from this machine while it was joined");
                return Err(RpcError::new(ErrorCode::REFUSED, message));
            }
            shared.traffic(id, |traffic| traffic.version = Some(info.result.version));
            let name = shared.name_of(&peer);
            tracing::info!("[pairing] Paired with {name} ({id}) at {address}");
            Ok(PeerJoinResult { daemon_id: id, name, address: address.to_string(), renewed })
        }
        Ok(_) | Err(ClientError::Refused { .. }) => {
            shared.pairings.undo(id, peer.token.clone()).await;
            Err(RpcError::new(
                ErrorCode::REFUSED,
                format!("{typed} took the code and then did not accept its own token; nothing was changed"),
            )
            .hint("on the other machine run `thrum peer add` and join again"))
        }
        // It may have arrived: the entry stays, and the next contact decides.
        Err(error) => Err(RpcError::new(
            ErrorCode::UNREACHABLE,
            format!("{typed} took the code and can't be reached since: {}", chain(&error)),
        )
        .hint("the pairing is completed when it can be reached again: see `thrum peer status`")),
    }
}

async fn first_request(
    shared: &Shared,
    peer: &Peer,
    address: SocketAddr,
) -> Result<Answer<PeerInfo>, ClientError> {
    let mut tries = 0;
    let at = [address];
    loop {
        let params = PeerInfoParams::default();
        let token = Some(&peer.token);
        let client = &shared.client;
        let asked = client.call::<SyncPeerInfo>(&peer.name, &at, token, &params, Bounds::SMALL);
        match asked.await {
            Err(error) if error.counts_for_backoff() && tries + 1 < CONFIRM_TRIES => {
                tries += 1;
                sleep(Duration::from_millis(200)).await;
            }
            outcome => return outcome,
        }
    }
}

pub(super) async fn remove(
    shared: &Arc<Shared>,
    typed: &str,
    why: Option<&'static str>,
) -> Result<PeerRemoveResult, RpcError> {
    let peer =
        shared.find(typed).map_err(|error| RpcError::new(ErrorCode::NOT_FOUND, chain(&error)))?;
    let id = peer.daemon_id;
    // First, so that a request of the peer which crosses the goodbye is refused and doesn't make it
    // believe that all is well.
    shared.registry.remove(id).await.map_err(|error| state_file(&error))?;
    let told = matches!(timeout(GOODBYE, say_goodbye(shared, &peer, why)).await, Ok(Ok(_)));
    shared.pairings.forget_replaced(id);
    shared.log.reset_checkpoint(id).await.map_err(|error| {
        RpcError::new(ErrorCode::STORAGE, format!("{} is removed: {}", peer.name, chain(&error)))
    })?;
    Ok(PeerRemoveResult { daemon_id: id, name: shared.name_of(&peer), told })
}

async fn say_goodbye(
    shared: &Shared,
    peer: &Peer,
    why: Option<&'static str>,
) -> Result<(), ClientError> {
    let head = shared.log.head().place;
    let params = NotifyParams {
        daemon_id: shared.log.daemon(),
        name: None,
        latest_seq: head.sequence,
        latest_id: head.event_id,
        after_seq: None,
        after_id: None,
        heads: None,
        events: None,
        removed: true,
        reason: why.map(str::to_owned),
        token: None,
    };
    let addresses = shared.locate(peer).await?;
    let token = Some(&peer.token);
    let client = &shared.client;
    client.call::<SyncNotify>(&peer.name, &addresses, token, &params, Bounds::SMALL).await?;
    Ok(())
}
