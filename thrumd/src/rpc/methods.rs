//! The methods that peers can call, and who may call them.

use std::net::SocketAddr;

use thrum_api::envelope::Request;
use thrum_api::peer::{
    PairRequest, Paired, PairedStatus, PeerInfo, SyncNotify, SyncPeerInfo, SyncPull, reason,
};
use thrum_api::{DaemonId, ErrorCode, Method, RpcError};
use tokio::sync::watch;

use crate::large;
use crate::log::Log;
use crate::peer::{Pairing, Peer, RefusedToken, Registry};
use crate::policy::Policy;
use crate::sync::Sync;
use crate::tailnet::{Caller, Tailnet, TailnetError};

/// What the peer API needs from the rest of the daemon.
#[derive(Clone)]
pub struct PeerApi {
    pub daemon: DaemonId,
    pub name: std::sync::Arc<str>,
    /// For `sync.peer_info`.
    pub log: Log,
    /// The paired machines.
    pub registry: Registry,
    /// Pairing by code.
    pub pairing: Pairing,
    /// Pairing by the tailnet's policy.
    pub policy: Policy,
    /// Pulls and notifications.
    pub sync: Sync,
    /// Identifies callers.
    pub tailnet: Tailnet,
    /// Why peers can't reach us although the tailnet is up (the port is taken); None while they can.
    pub problem: watch::Sender<Option<String>>,
}

/// The interface of the transport: [`PeerApi`], or a fake in tests.
pub(super) trait Handler: Send + std::marker::Sync + 'static {
    /// Identifies the caller of a connection.
    fn whois(
        &self,
        remote: SocketAddr,
    ) -> impl Future<Output = Result<Caller, TailnetError>> + Send;

    /// The peer with this token, if the caller may use it; else the error to answer.
    fn authenticate(
        &self,
        token: &str,
        caller: &Caller,
    ) -> impl Future<Output = Result<DaemonId, RpcError>> + Send;

    /// Whether a token that was valid a moment ago still is.
    fn is_still_valid(&self, token: &str, caller: &Caller) -> bool;

    /// Whether this daemon is still a peer.
    fn is_peer(&self, peer: DaemonId) -> bool;

    /// Changes whenever peers came or went.
    fn peers(&self) -> watch::Receiver<u64>;

    /// The error for a call without a token of a method that needs one.
    fn refuse(&self, method: &str, caller: &Caller) -> impl Future<Output = RpcError> + Send;

    /// The whole answer to a request, as bytes. `peer` is None for an unpaired caller, which can call only
    /// `pair.request`.
    fn answer(
        &self,
        caller: &Caller,
        peer: Option<DaemonId>,
        request: &Request<'_>,
    ) -> impl Future<Output = Result<Vec<u8>, RpcError>> + Send;
}

/// Whether unpaired callers may call it.
pub(super) fn is_open(method: &str) -> bool {
    method == PairRequest::NAME
}

/// The answer to a missing or wrong token.
pub(super) fn not_authenticated() -> RpcError {
    RpcError::new(ErrorCode::NOT_AUTHENTICATED, "no token, or not one of a paired machine")
        .hint("pair the two machines with `thrum peer add` and `thrum peer join`")
}

/// The answer to a valid token that was given to another node.
fn other_node() -> RpcError {
    RpcError::new(
        ErrorCode::NOT_AUTHENTICATED,
        "this token was given to another machine of the tailnet; one that was removed from the \
         tailnet and added again is another machine",
    )
    .with("reason", reason::OTHER_NODE)
    .hint("pair the two machines again with `thrum peer add` and `thrum peer join`")
}

impl Handler for PeerApi {
    async fn whois(&self, remote: SocketAddr) -> Result<Caller, TailnetError> {
        self.tailnet.whois(remote).await
    }

    async fn authenticate(&self, token: &str, caller: &Caller) -> Result<DaemonId, RpcError> {
        let peer = match self.registry.authenticate(token, caller) {
            Ok(peer) => {
                self.policy.admits(peer, caller).await?;
                peer
            }
            Err(RefusedToken::OtherNode) => return Err(other_node()),
            Err(RefusedToken::Unknown) => {
                let mut paired = self.pairing.confirm(token, caller).await;
                if paired.is_none() {
                    paired = self.policy.confirm(token, caller).await?;
                }
                let refusal = || self.policy.refusal(caller).unwrap_or_else(not_authenticated);
                paired.ok_or_else(refusal)?
            }
        };
        self.policy.let_in(caller);
        self.sync.heard_from(peer).await;
        Ok(peer)
    }

    fn is_still_valid(&self, token: &str, caller: &Caller) -> bool {
        self.registry.accepts(token, caller).is_some()
    }

    fn is_peer(&self, peer: DaemonId) -> bool {
        self.registry.get(peer).is_some()
    }

    fn peers(&self) -> watch::Receiver<u64> {
        self.registry.watch()
    }

    async fn refuse(&self, method: &str, caller: &Caller) -> RpcError {
        let error = not_authenticated();
        // Only a machine that is about to join asks this without a token.
        let joins = method == SyncPeerInfo::NAME;
        let offer = if joins { self.policy.offer(caller).await } else { None };
        match offer {
            Some(granted) => error.with("policy", granted),
            None => error,
        }
    }

    async fn answer(
        &self,
        caller: &Caller,
        peer: Option<DaemonId>,
        request: &Request<'_>,
    ) -> Result<Vec<u8>, RpcError> {
        if request.method == PairRequest::NAME {
            let params = request.params::<PairRequest>()?;
            let peer = Peer::requested(self.daemon, caller, &params)?;
            let token = peer.token.clone();
            match params.code {
                Some(code) => {
                    self.pairing.request(caller, peer, &code, |peer| {
                        let holder = self.registry.holder_elsewhere(peer, &self.tailnet)?;
                        Ok(holder.map(|holder| self.sync.name_of(&holder)))
                    })?;
                }
                None => self.policy.request(caller, peer).await?,
            }
            let (id, name) = (self.daemon, self.name.to_string());
            let paired = Paired { status: PairedStatus::Paired, token, id, name };
            return Ok(reply::<PairRequest>(request, &paired));
        }
        let peer = peer.ok_or_else(not_authenticated)?;
        match &*request.method {
            SyncPull::NAME => {
                let page = self.sync.serve_pull(peer, large::params::<SyncPull>(request)?).await?;
                Ok(reply::<SyncPull>(request, &page))
            }
            SyncNotify::NAME => {
                let params = large::params::<SyncNotify>(request)?;
                let notified = self.sync.serve_notify(peer, params).await?;
                Ok(reply::<SyncNotify>(request, &notified))
            }
            SyncPeerInfo::NAME => {
                request.params::<SyncPeerInfo>()?;
                let head = self.log.head();
                let info = PeerInfo {
                    id: self.daemon,
                    name: self.name.to_string(),
                    version: env!("CARGO_PKG_VERSION").to_owned(),
                    epoch: head.epoch,
                    head_seq: head.position.sequence,
                    more: Default::default(),
                };
                Ok(reply::<SyncPeerInfo>(request, &info))
            }
            unknown => Err(RpcError::new(
                ErrorCode::METHOD_NOT_FOUND,
                format!("no method {:?} here", unknown.chars().take(64).collect::<String>()),
            )),
        }
    }
}

fn reply<M: Method>(request: &Request<'_>, result: &M::Result) -> Vec<u8> {
    large::response(request.id.as_ref(), result)
}
