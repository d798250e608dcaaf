//! The methods that peers can call, and who may call them.

use std::net::SocketAddr;

use thrum_api::envelope::Request;
use thrum_api::peer::{
    PairRequest, PairRequestParams, Paired, PairedStatus, PeerInfo, SyncNotify, SyncPeerInfo,
    SyncPull, reason,
};
use thrum_api::{DaemonId, ErrorCode, Method, RpcError};
use tokio::sync::watch;

use crate::large;
use crate::log::Log;
use crate::metrics::PeerApiMetrics;
use crate::peer::{Pairing, PairingProof, Peer, RefusedToken, Registry, is_ours};
use crate::policy::Policy;
use crate::report::brief;
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
    /// Counts what is served and refused.
    pub metrics: std::sync::Arc<PeerApiMetrics>,
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

impl PeerApi {
    /// Checks that the caller of `pair.request` has the key of its id, and means this daemon. Before its code is looked
    /// at: what is refused here tells nothing about that.
    fn check_proof(&self, caller: &Caller, params: &PairRequestParams) -> Result<(), RpcError> {
        let refused = |message: String| {
            let who = caller.describe();
            tracing::warn!(about = %caller.address.ip(), "[pairing] {who} refused: {message}");
            Err(RpcError::new(ErrorCode::NOT_PROVED, message))
        };
        if params.host != self.daemon {
            let text = format!("this daemon is {}, not {}", self.daemon, params.host);
            return refused(text);
        }
        if !is_ours(&params.dialled, &self.tailnet.presence().borrow()) {
            return refused(format!("{} is no address of this machine", brief(&params.dialled)));
        }
        let proof = PairingProof {
            joining: params.id,
            accepting: self.daemon,
            code: params.code.as_ref(),
            address: &params.dialled,
        };
        match proof.verify_request(&params.signature) {
            Ok(()) => Ok(()),
            Err(error) => refused(format!("it does not prove that it is {}: {error}", params.id)),
        }
    }
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
        // It signs whom it asks to be paired with.
        let error = if joins { error.with("id", self.daemon.to_string()) } else { error };
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
            self.check_proof(caller, &params)?;
            let token = peer.token.clone();
            match &params.code {
                Some(code) => {
                    self.pairing.request(caller, peer, code, |peer| {
                        let holder = self.registry.holder_elsewhere(peer, &self.tailnet)?;
                        Ok(holder.map(|holder| self.sync.name_of(&holder)))
                    })?;
                }
                None => self.policy.request(caller, peer).await?,
            }
            let (id, name) = (self.daemon, self.name.to_string());
            let observed = caller.address.to_string();
            let proof = PairingProof {
                joining: params.id,
                accepting: id,
                code: params.code.as_ref(),
                address: &observed,
            };
            let signature = proof.sign_answer(self.log.key(), &token);
            let status = PairedStatus::Paired;
            let paired = Paired { status, token, id, name, observed, signature };
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
