//! The joining side of pairing, and the removal of a peer.

mod refusal;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use thrum_api::local::{PeerJoinResult, PeerRemoveResult, PeerResolveResult};
use thrum_api::peer::{PairRequest, Paired, PeerInfo, SyncNotify};
use thrum_api::{DaemonId, ErrorCode, PairingCode, RpcError, names};
use tokio::time::{Instant, sleep, timeout};

use refusal::{id_taken, in_between, is_itself, not_proved, refused, tailnet_down, unreachable};

use super::client::{Answer, Bounds, Callee, ClientError};
use super::protocol::removal_notice;
use super::shared::{Message, Shared, chain};
use crate::clock;
use crate::message_id;
use crate::peer::{PairingProof, Peer, RegistryError, may_be_ours, pair_request};
use crate::tailnet::{Presence, Target};

/// Time limit for notifying a removed peer.
const REMOVAL_NOTICE: Duration = Duration::from_secs(2);
/// Attempts of the first authenticated request. Its loss would leave the pairing unconfirmed.
const CONFIRM_TRIES: u32 = 3;

/// A daemon that has run for less may be on a node that just joined the tailnet, such as a CI runner. Its
/// grants may not have reached the other nodes yet.
const NEW_DAEMON: Duration = Duration::from_secs(60);
/// How long to wait for the grant. Short in unit tests, where it never arrives.
const GRANT_WAIT: Duration = Duration::from_secs(if cfg!(test) { 2 } else { 10 });
const GRANT_POLL: Duration = Duration::from_millis(250);

fn state_file(error: &RegistryError) -> RpcError {
    RpcError::new(ErrorCode::STORAGE, chain(error))
}

impl Shared {
    /// Whether this is our own listener.
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
        let Host { address: answered, by_policy, .. } = probe(shared, address, &target).await?;
        let grant_may_come = by_policy == Some(false)
            && shared.started.elapsed() < NEW_DAEMON
            && begun.elapsed() < GRANT_WAIT;
        if !grant_may_come {
            break (answered, by_policy);
        }
        sleep(GRANT_POLL).await;
    };
    Ok(PeerResolveResult {
        address: answered.to_string(),
        node_name: target.node.as_ref().map(|node| node.name.clone()),
        owner: target.node.and_then(|node| node.owner),
        same_owner: target.same_owner,
        by_policy,
    })
}

/// A daemon that can be joined.
struct Host {
    /// The address that answers.
    address: SocketAddr,
    /// Who it says it is.
    id: DaemonId,
    /// Whether the tailnet's policy lets us pair with it, as far as it knows.
    by_policy: Option<bool>,
}

async fn probe(shared: &Shared, address: &str, target: &Target) -> Result<Host, RpcError> {
    // A thrumd refuses a request without a token, with an error that no other program uses.
    match shared.peer_info(Callee::Stranger(address), &target.addresses).await {
        Err(ClientError::Refused { address: at, error }) => {
            let id = error.member("id").and_then(serde_json::Value::as_str);
            match id.and_then(|id| id.parse().ok()) {
                Some(id) => {
                    let by_policy = error.member("policy").and_then(serde_json::Value::as_bool);
                    Ok(Host { address: at, id, by_policy })
                }
                None => {
                    let what = "a refusal that does not say which daemon it is".to_owned();
                    Err(unreachable(address, &ClientError::NotAThrumd { address: at, what }))
                }
            }
        }
        // Nothing answers because we don't listen yet. This is only checked after a failure, because
        // another daemon of this machine may have the same port.
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

/// Joins in a separate task, so that a caller that disconnects doesn't leave half a pairing.
pub(super) async fn join(
    shared: &Arc<Shared>,
    address: &str,
    code: Option<PairingCode>,
) -> Result<PeerJoinResult, RpcError> {
    let target = shared.target(address).await?;
    let (work, typed) = (Arc::clone(shared), address.to_owned());
    let (answer, joined) = tokio::sync::oneshot::channel();
    shared.spawn(async move {
        // The caller may have stopped waiting.
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
    // A person who cancels and joins again may find the first attempt still waiting for its answer.
    let _lock = shared.pairings.join_lock().await;
    let Host { address, id: host, .. } = probe(shared, typed, &target).await?;
    let id = shared.log.daemon();
    if host == id {
        return Err(is_itself(typed));
    }
    let addr = format!("{}:{}", shared.name, *shared.port.borrow());
    let names = (shared.name.to_string(), addr);
    let params = pair_request(shared.log.key(), host, code, names, address.to_string());
    let answer = shared
        .client
        .call::<PairRequest>(Callee::Stranger(typed), &[address], &params, Bounds::SMALL)
        .await
        .map_err(|error| refused(typed, &error))?;
    let Answer { result: paired, address, .. } = answer;
    let proof = PairingProof {
        joining: id,
        accepting: host,
        code: params.code.as_ref(),
        address: &paired.observed,
    };
    if paired.id != host || proof.verify_answer(&paired.token, &paired.signature).is_err() {
        return Err(not_proved(typed, host));
    }
    if !may_be_ours(&paired.observed, &shared.tailnet.presence().borrow()) {
        return Err(in_between(typed, &paired.observed));
    }
    shared.pairings.begin_join(paired.id);
    let joined = store_and_confirm(shared, typed, &target, &paired, address).await;
    shared.pairings.end_join(paired.id);
    shared.post(Message::Peers).await;
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
    let name = names::daemon(&paired.name).unwrap_or_else(|_| typed.to_owned());
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
        former: Vec::new(),
    };
    // The host says which daemon it is, and must not take the place of another machine's.
    match shared.registry.holder_elsewhere(&peer, &shared.tailnet) {
        Ok(None) => {}
        Ok(Some(holder)) => {
            return Err(id_taken(typed, &shared.name_of(&holder), holder.daemon_id));
        }
        Err(error) => return Err(tailnet_down(typed, &error)),
    }
    let stored = shared.pairings.store(peer.clone()).await;
    let renewed = stored.map_err(|error| state_file(&error))?;
    match first_request(shared, &peer, address).await {
        Ok(info) if info.result.id == id => {
            let Some(replaced) = shared.pairings.confirm(id, peer.token.clone()).await else {
                let message = format!("{typed} was removed from this machine while it was joined");
                return Err(RpcError::new(ErrorCode::REFUSED, message));
            };
            shared.traffic(id, |traffic| traffic.told_version(info.result.version));
            let name = shared.name_of(&peer);
            tracing::info!(about = %id, journal.message_id = message_id::PAIRED, journal.peer = name, "[pairing] Paired with {name} ({id}) at {address}");
            let address = address.to_string();
            Ok(PeerJoinResult { daemon_id: id, name, address, renewed, replaced })
        }
        Ok(_) | Err(ClientError::Refused { .. }) => {
            shared.pairings.undo(id, peer.token.clone()).await;
            Err(RpcError::new(
                ErrorCode::REFUSED,
                format!(
                    "{typed} accepted the code and then refused its own token; nothing was changed"
                ),
            )
            .hint("on the other machine run `thrum peer add` and join again"))
        }
        // The request may have arrived, so the entry stays, and the next contact decides.
        Err(error) => Err(RpcError::new(
            ErrorCode::UNREACHABLE,
            format!("{typed} accepted the code and can't be reached since: {}", chain(&error)),
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
    loop {
        match shared.peer_info(Callee::Peer(peer), &[address]).await {
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
    // Removed before the peer is notified, so that a request that it makes meanwhile is refused.
    shared.registry.remove(id).await.map_err(|error| state_file(&error))?;
    if why.is_none() {
        peer.log_removed(&shared.name_of(&peer));
    }
    let notified =
        matches!(timeout(REMOVAL_NOTICE, notify_removed(shared, &peer, why)).await, Ok(Ok(_)));
    shared.client.keep_connections(|peer| *peer != id);
    shared.pairings.forget_replaced(id);
    shared.log.forget_peer(id).await.map_err(|error| {
        RpcError::new(ErrorCode::STORAGE, format!("{} is removed: {}", peer.name, chain(&error)))
    })?;
    Ok(PeerRemoveResult { daemon_id: id, name: shared.name_of(&peer), told: notified })
}

async fn notify_removed(
    shared: &Shared,
    peer: &Peer,
    why: Option<&'static str>,
) -> Result<(), ClientError> {
    let params = removal_notice(shared.log.daemon(), shared.log.head().position, why);
    let addresses = shared.locate(peer).await?;
    let (client, to) = (&shared.client, Callee::Peer(peer));
    client.call::<SyncNotify>(to, &addresses, &params, Bounds::SMALL).await?;
    Ok(())
}
