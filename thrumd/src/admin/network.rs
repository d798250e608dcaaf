//! The connection to peers: the listener and sync, off until a person turns them on.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use thrum_api::local::TailnetKind;
use thrum_api::{ErrorCode, RpcError};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::metrics::PeerApiMetrics;
use crate::rpc;
use crate::sync::Sync;
use crate::tailnet::{Presence, Tailnet};

/// How long `peer add` and `peer join` wait for a tailnet that is starting: the login of a private
/// tailscaled takes some seconds.
const TAILNET_START_LIMIT: Duration = Duration::from_secs(15);
/// How long they then wait for the listener.
const LISTENER_LIMIT: Duration = Duration::from_secs(5);

/// The connection to peers, or why there is none.
pub enum Network {
    /// Sync can be turned on.
    Available(Box<PeerNetwork>),
    /// The tailnet kind can't be used; the text says why and what to do.
    Unavailable(String),
}

/// What a [`PeerNetwork`] is made of.
pub struct NetworkParts {
    /// The state that requests of peers are answered from.
    pub api: rpc::PeerApi,
    /// The port from the settings; 0 picks a free one.
    pub port: u16,
    /// Receives the port once the listener is bound. Sync sends it to peers.
    pub listening_port: watch::Sender<u16>,
}

/// The listener for peers, and sync.
pub struct PeerNetwork {
    parts: NetworkParts,
    on: AtomicBool,
    bound: watch::Sender<Vec<SocketAddr>>,
    stop: CancellationToken,
    tasks: TaskTracker,
}

impl Network {
    /// A connection to peers that is off.
    pub fn new(parts: NetworkParts) -> Self {
        Self::Available(Box::new(PeerNetwork {
            parts,
            on: AtomicBool::new(false),
            bound: watch::Sender::new(Vec::new()),
            stop: CancellationToken::new(),
            tasks: TaskTracker::new(),
        }))
    }

    /// The connection to peers, if it is turned on.
    pub fn enabled(&self) -> Option<&PeerNetwork> {
        self.available().filter(|network| network.on.load(Ordering::Acquire))
    }

    /// The connection to peers, on or off.
    pub fn available(&self) -> Option<&PeerNetwork> {
        match self {
            Self::Available(network) => Some(network),
            Self::Unavailable(_) => None,
        }
    }

    /// The addresses on which peers are served.
    pub fn listening(&self) -> Vec<SocketAddr> {
        self.available().map(|network| network.bound.borrow().clone()).unwrap_or_default()
    }

    /// Drains sync, then ends the listener and sync. Up to [`stop_limits::PEERS`](crate::stop_limits::PEERS).
    pub async fn close(&self) {
        let Some(network) = self.available() else { return };
        network.sync().drain().await;
        network.stop.cancel();
        network.tasks.close();
        // Both at once: a peer that still pulls must not delay the end of sync.
        tokio::join!(network.tasks.wait(), network.sync().close());
    }

    /// Leaves the tailnet: ends a private tailscaled.
    pub async fn leave(&self) {
        if let Some(network) = self.available() {
            network.tailnet().stop().await;
        }
    }
}

impl PeerNetwork {
    /// The running sync.
    pub fn sync(&self) -> &Sync {
        &self.parts.api.sync
    }

    /// The instruments of the peer API.
    pub fn api_metrics(&self) -> &Arc<PeerApiMetrics> {
        &self.parts.api.metrics
    }

    pub fn tailnet(&self) -> &Tailnet {
        &self.parts.api.tailnet
    }

    /// Watches the addresses on which peers are served.
    pub fn bound(&self) -> watch::Receiver<Vec<SocketAddr>> {
        self.bound.subscribe()
    }

    /// Starts the listener and sync. Does nothing the second time.
    pub fn turn_on(&self) {
        if self.on.swap(true, Ordering::AcqRel) {
            return;
        }
        self.tailnet().start();
        let mut bound = self.bound.subscribe();
        let port = self.parts.listening_port.clone();
        let stop = self.stop.clone();
        self.tasks.spawn(async move {
            loop {
                let first = bound.borrow_and_update().first().map_or(0, SocketAddr::port);
                port.send_replace(first);
                tokio::select! {
                    changed = bound.changed() => if changed.is_err() { return },
                    () = stop.cancelled() => return,
                }
            }
        });
        let (api, stop) = (self.parts.api.clone(), self.stop.clone());
        self.tasks.spawn(api.policy.clone().monitor(api.sync.clone(), stop.clone()));
        self.tasks.spawn(rpc::serve(api, self.parts.port, self.bound.clone(), stop));
        self.sync().enable();
    }

    /// Joins the tailnet and waits while it is starting.
    pub async fn started(&self) {
        self.tailnet().start();
        self.tailnet().wait_for_start(TAILNET_START_LIMIT).await;
    }

    /// Waits until peers can reach this machine. Returns the address to type on the other machine.
    ///
    /// # Errors
    /// When they can't: the tailnet isn't up, or the port is taken.
    pub async fn reachable(&self) -> Result<String, RpcError> {
        self.started().await;
        // Waits for the port, which pairing sends to the other machine.
        let mut port = self.parts.listening_port.subscribe();
        let mut problem = self.listener_problem();
        let (presence, limit) = (self.tailnet().presence(), tokio::time::sleep(LISTENER_LIMIT));
        if let Presence::Waiting { .. } = &*presence.borrow()
            && let Some(why) = self.obstacle()
        {
            return Err(unreachable(why));
        }
        tokio::select! {
            Ok(port) = port.wait_for(|port| *port != 0) => {
                let name = match &*presence.borrow() {
                    // Host names of the loopback kind can't be dialled.
                    _ if self.tailnet().kind() == TailnetKind::Loopback => "localhost".to_owned(),
                    Presence::Up { hostname, .. } => hostname.clone(),
                    Presence::Waiting { .. } => self.parts.api.name.to_string(),
                };
                Ok(format!("{name}:{}", *port))
            }
            Ok(why) = problem.wait_for(Option::is_some) => {
                Err(unreachable(why.clone().unwrap_or_default()))
            }
            () = limit => {
                let seconds = LISTENER_LIMIT.as_secs();
                Err(unreachable(format!("the listener did not start within {seconds} s")))
            }
        }
    }

    /// Why peers can't reach this machine although sync is on.
    pub fn obstacle(&self) -> Option<String> {
        match &*self.tailnet().presence().borrow() {
            Presence::Waiting { reason, .. } => Some(format!("the tailnet is not up: {reason}")),
            Presence::Up { .. } => self.parts.api.problem.borrow().clone(),
        }
    }

    /// Watches the problem of the listener, if it has one.
    pub fn listener_problem(&self) -> watch::Receiver<Option<String>> {
        self.parts.api.problem.subscribe()
    }
}

fn unreachable(why: String) -> RpcError {
    RpcError::new(ErrorCode::REFUSED, format!("other machines can't reach this one: {why}"))
        .hint("thrum status")
}
