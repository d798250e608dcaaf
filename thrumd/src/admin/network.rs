//! The way to peers: the listener and sync, off until someone turns them on.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use thrum_api::local::TailnetKind;
use thrum_api::{ErrorCode, RpcError};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::rpc;
use crate::sync::Sync;
use crate::tailnet::{Presence, Tailnet};

/// How long `peer add` and `peer join` wait for a tailnet that is only starting: a login of our own
/// tailscaled takes some seconds.
const START_LIMIT: Duration = Duration::from_secs(15);
/// How long they wait for the listener then.
const LISTENER_LIMIT: Duration = Duration::from_secs(5);

/// Peers' requests that are under way when the daemon stops get this long.
const GRACE: Duration = Duration::from_secs(1);

/// The way to peers, or why there is none.
pub enum Network {
    /// Sync can be turned on.
    Possible(Box<Link>),
    /// The tailnet kind can't be used; the words say why and what to do.
    Impossible(String),
}

/// What [`Network`] is made of.
pub struct NetworkParts {
    /// What peers are served with.
    pub surface: rpc::PeerApi,
    /// The wanted port; 0 picks one.
    pub port: u16,
    /// Told our port once we listen: what sync tells peers.
    pub listening_port: watch::Sender<u16>,
}

/// The listener and sync.
pub struct Link {
    parts: NetworkParts,
    on: AtomicBool,
    bound: watch::Sender<Vec<SocketAddr>>,
    stop: CancellationToken,
    tasks: TaskTracker,
}

impl Network {
    /// A network that is off.
    pub fn new(parts: NetworkParts) -> Self {
        Self::Possible(Box::new(Link {
            parts,
            on: AtomicBool::new(false),
            bound: watch::Sender::new(Vec::new()),
            stop: CancellationToken::new(),
            tasks: TaskTracker::new(),
        }))
    }

    /// The link, if it is turned on.
    pub fn on(&self) -> Option<&Link> {
        self.link().filter(|link| link.on.load(Ordering::Acquire))
    }

    /// The link, on or off.
    pub fn link(&self) -> Option<&Link> {
        match self {
            Self::Possible(link) => Some(link),
            Self::Impossible(_) => None,
        }
    }

    /// The addresses on which peers are served.
    pub fn listening(&self) -> Vec<SocketAddr> {
        self.link().map(|link| link.bound.borrow().clone()).unwrap_or_default()
    }

    /// Tells peers what they lack, then ends the listener and sync. 2.5 s at most.
    pub async fn close(&self) {
        let Some(link) = self.link() else { return };
        link.sync().say_last_words().await;
        link.stop.cancel();
        link.tasks.close();
        let served = async {
            if tokio::time::timeout(GRACE, link.tasks.wait()).await.is_err() {
                tracing::warn!("a peer's request was still under way when thrumd stopped");
            }
        };
        // At once: neither waits for the other, whoever still pulls from us.
        tokio::join!(served, link.parts.surface.sync.close());
    }

    /// Leaves the tailnet: ends a tailscaled of our own.
    pub async fn leave(&self) {
        if let Some(link) = self.link() {
            link.tailnet().stop().await;
        }
    }
}

impl Link {
    /// The running sync.
    pub fn sync(&self) -> &Sync {
        &self.parts.surface.sync
    }

    /// The tailnet.
    pub fn tailnet(&self) -> &Tailnet {
        &self.parts.surface.tailnet
    }

    /// Told the addresses on which peers are served, as they change.
    pub fn bound(&self) -> watch::Receiver<Vec<SocketAddr>> {
        self.bound.subscribe()
    }

    /// Starts the listener and sync. Does nothing the second time.
    pub fn turn_on(&self) {
        if self.on.swap(true, Ordering::AcqRel) {
            return;
        }
        self.tailnet().begin();
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
        let (surface, stop) = (self.parts.surface.clone(), self.stop.clone());
        self.tasks.spawn(surface.policy.clone().keep(surface.sync.clone(), stop.clone()));
        self.tasks.spawn(rpc::serve(surface, self.parts.port, self.bound.clone(), stop));
        self.sync().enable();
    }

    /// Goes into the tailnet, and waits while it is only starting.
    pub async fn started(&self) {
        self.tailnet().begin();
        self.tailnet().started(START_LIMIT).await;
    }

    /// Waits until peers can reach us. Answers with what to type on the other machine.
    ///
    /// # Errors
    /// Why they can't: the tailnet isn't up, or the port is taken.
    pub async fn reachable(&self) -> Result<String, RpcError> {
        self.started().await;
        // What sync tells peers, which follows the listener: pairing must not be ahead of it.
        let mut port = self.parts.listening_port.subscribe();
        let mut trouble = self.troubles();
        let (presence, limit) = (self.tailnet().presence(), tokio::time::sleep(LISTENER_LIMIT));
        if let Presence::Waiting { .. } = &*presence.borrow()
            && let Some(why) = self.obstacle()
        {
            return Err(unreachable(why));
        }
        tokio::select! {
            Ok(port) = port.wait_for(|port| *port != 0) => {
                let name = match &*presence.borrow() {
                    // Names of the loopback kind are only for show.
                    _ if self.tailnet().kind() == TailnetKind::Loopback => "localhost".to_owned(),
                    Presence::Up { hostname, .. } => hostname.clone(),
                    Presence::Waiting { .. } => self.parts.surface.name.to_string(),
                };
                Ok(format!("{name}:{}", *port))
            }
            Ok(why) = trouble.wait_for(Option::is_some) => {
                Err(unreachable(why.clone().unwrap_or_default()))
            }
            () = limit => {
                let seconds = LISTENER_LIMIT.as_secs();
                Err(unreachable(format!("the listener did not start within {seconds} s")))
            }
        }
    }

    /// Why nobody can reach us although we are on.
    pub fn obstacle(&self) -> Option<String> {
        match &*self.tailnet().presence().borrow() {
            Presence::Waiting { why, .. } => Some(format!("the tailnet is not up: {why}")),
            Presence::Up { .. } => self.parts.surface.problem.borrow().clone(),
        }
    }

    /// Told of the listener's troubles, as they come and go.
    pub fn troubles(&self) -> watch::Receiver<Option<String>> {
        self.parts.surface.problem.subscribe()
    }
}

fn unreachable(why: String) -> RpcError {
    RpcError::new(ErrorCode::REFUSED, format!("other machines can't reach this one: {why}"))
        .hint("thrum status")
}
