//! A paired machine, as kept in the registry.

use std::net::SocketAddr;

use thrum_api::peer::PairRequestParams;
use thrum_api::{DaemonId, ErrorCode, RpcError, Timestamp, Token, names};

use crate::report::Chain;
use crate::tailnet::Caller;
use crate::{clock, ids, message_id};

/// A paired machine.
#[derive(Debug, Clone)]
pub struct Peer {
    /// The id of its daemon.
    pub daemon_id: DaemonId,
    /// The name that it reports.
    pub name: String,
    /// `ip:port` or `host:port` to dial.
    pub address: String,
    /// Its node in the tailnet (stable id), where there is one.
    pub node: Option<String>,
    /// The token that requests of either side carry.
    pub token: Token,
    /// When it was paired.
    pub paired_at: Timestamp,
    /// We joined it, and it has not accepted our token yet. If it refuses the token, the pairing
    /// was never completed and the entry is removed.
    pub unconfirmed: bool,
    /// It has removed us: it notified us, or refused our token.
    pub removed_us: bool,
    /// The capability by which it was paired without a code. It stays a peer as long as the
    /// tailnet's policy grants it that.
    pub by_policy: Option<String>,
    /// The last ids that this machine had when it was paired before, oldest first. It lost its state directory
    /// since then.
    pub former: Vec<DaemonId>,
}

impl Peer {
    /// Logs that a local program removed it. `name` is what it is called here.
    pub fn log_removed(&self, name: &str) {
        let id = self.daemon_id;
        tracing::info!(
            about = %id, journal.message_id = message_id::REMOVED, journal.peer = name,
            "[pairing] {name} ({id}) was removed by a local program"
        );
    }

    /// The peer that the caller of `pair.request` becomes: with a new token, at the address where
    /// it was observed, with the port that it declares, bound to its node.
    ///
    /// # Errors
    /// What to answer the caller: its params are invalid.
    pub fn requested(
        daemon: DaemonId,
        caller: &Caller,
        params: &PairRequestParams,
    ) -> Result<Self, RpcError> {
        let invalid = |message: String| RpcError::new(ErrorCode::INVALID_PARAMS, message);
        if params.id == daemon {
            return Err(invalid("this is the same daemon: it can't be paired with itself".into())
                .hint("run `thrum peer join` on the other machine, with this one's address"));
        }
        let name =
            names::daemon(&params.name).map_err(|error| invalid(format!("name: {error}")))?;
        let port = params.addr.rsplit_once(':').and_then(|(_, port)| port.parse().ok());
        let port = port.filter(|port| *port != 0).ok_or_else(|| {
            invalid("addr: must be host:port, where the joining daemon listens".into())
        })?;
        let token = ids::token().map_err(|error| {
            tracing::error!("can't create a token for a new peer: {}", Chain(&error));
            RpcError::new(ErrorCode::INTERNAL, "internal error")
        })?;
        Ok(Self {
            daemon_id: params.id,
            name,
            address: SocketAddr::new(caller.address.ip().to_canonical(), port).to_string(),
            node: caller.node.as_ref().map(|node| node.stable_id.clone()),
            token,
            paired_at: clock::now(),
            unconfirmed: false,
            removed_us: false,
            by_policy: None,
            former: Vec::new(),
        })
    }

    /// Whether both have a node, and not the same one.
    pub fn is_on_other_node(&self, other: &Self) -> bool {
        self.node.is_some() && other.node.is_some() && self.node != other.node
    }

    /// Whether this is the machine of `old` with a new daemon id: the same node and port, or without nodes the
    /// same name and address. Only one daemon can listen there, so `old` no longer exists.
    pub fn succeeds(&self, old: &Self) -> bool {
        let port = |peer: &Self| peer.address.rsplit_once(':').map(|(_, port)| port.to_owned());
        self.daemon_id != old.daemon_id
            && match (&self.node, &old.node) {
                (Some(node), Some(other)) => node == other && port(self) == port(old),
                (None, None) => self.name == old.name && self.address == old.address,
                _ => false,
            }
    }
}
