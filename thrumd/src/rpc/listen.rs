//! Listeners on the tailnet addresses, following them as they change.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::connection;
use super::limits::Limits;
use super::methods::Handler;
use super::state::{AcceptPermit, ServerState};
use crate::backoff::Failures;
use crate::clock::sleep_until;
use crate::message_id;
use crate::metrics::PeerApiMetrics;
use crate::tailnet::Presence;

type Accepted = io::Result<(TcpStream, SocketAddr)>;

/// Configuration of the listeners.
pub(super) struct ListenerConfig {
    /// The addresses of this machine in the tailnet.
    pub(super) presence: watch::Receiver<Presence>,
    /// The port; 0 picks a free one, and keeps it.
    pub(super) port: u16,
    /// Receives the addresses that are listened on.
    pub(super) bound: watch::Sender<Vec<SocketAddr>>,
    /// Receives why an address is not listened on.
    pub(super) problem: watch::Sender<Option<String>>,
    /// Ends the listeners.
    pub(super) stop: CancellationToken,
    /// Counts what is served and refused.
    pub(super) metrics: Arc<PeerApiMetrics>,
}

/// Serves until `stop` is cancelled.
pub(super) async fn run<H: Handler>(handler: H, limits: Limits, config: ListenerConfig) {
    let ListenerConfig { mut presence, port, bound, problem, stop, metrics } = config;
    let server = ServerState::new(handler, limits, metrics);
    let mut listeners = Listeners { port, open: Vec::new() };
    let mut failures = Failures::default();
    'serving: loop {
        let wanted = match &*presence.borrow_and_update() {
            Presence::Up { addresses, .. } => addresses.clone(),
            Presence::Waiting { .. } => Vec::new(),
        };
        let failed = listeners.follow(&wanted).await.err();
        let now_bound = listeners.addresses();
        bound.send_if_modified(|old| std::mem::replace(old, now_bound.clone()) != now_bound);
        report(&problem, failed);
        if problem.borrow().is_some() {
            failures.record(Instant::now(), &limits.rebind, 0);
        } else {
            failures.clear();
        }
        loop {
            tokio::select! {
                () = stop.cancelled() => break 'serving,
                () = changed(&mut presence) => break,
                () = sleep_until(failures.until()) => break,
                (permit, accepted) = next(&server, &listeners) => match accepted {
                    Ok((stream, remote)) => connection::accept(&server, stream, remote, permit),
                    Err(error) => pause_after(&error).await,
                },
            }
        }
    }
    drop(listeners);
    bound.send_replace(Vec::new());
    problem.send_replace(None);
    close(&server).await;
}

// A connection that lost its slot stays open until its task has run: only accept permits bound the
// number of open files.
async fn next<H: Handler>(
    server: &ServerState<H>,
    listeners: &Listeners,
) -> (AcceptPermit, Accepted) {
    let permit = server.accept_permit().await;
    (permit, listeners.accept().await)
}

async fn close<H: Handler>(server: &Arc<ServerState<H>>) {
    server.stopping.cancel();
    server.tasks.close();
    if tokio::time::timeout(server.limits.grace, server.tasks.wait()).await.is_err() {
        tracing::warn!("requests of peers were still under way at the end and are cut off");
        server.slots.revoke_all();
    }
}

struct Listeners {
    port: u16,
    open: Vec<(SocketAddr, TcpListener)>,
}

impl Listeners {
    /// Listens on these addresses and no others. On an error the others are listened on all the
    /// same.
    async fn follow(&mut self, wanted: &[IpAddr]) -> Result<(), String> {
        self.open.retain(|(address, _)| wanted.contains(&address.ip()));
        let mut result = Ok(());
        for ip in wanted {
            if self.open.iter().any(|(address, _)| address.ip() == *ip) {
                continue;
            }
            let address = SocketAddr::new(*ip, self.port);
            let opened = async {
                let listener = TcpListener::bind(address).await?;
                Ok((listener.local_addr()?, listener))
            };
            match opened.await {
                Ok((address, listener)) => {
                    tracing::info!(
                        journal.message_id = message_id::LISTENING,
                        "listening for peers on {address}"
                    );
                    self.port = address.port();
                    self.open.push((address, listener));
                }
                Err(error) => result = Err(reason(address, &error)),
            }
        }
        result
    }

    fn addresses(&self) -> Vec<SocketAddr> {
        self.open.iter().map(|(address, _)| *address).collect()
    }

    /// The next connection on any of them; waits forever while there are none.
    async fn accept(&self) -> Accepted {
        std::future::poll_fn(|cx| {
            for (_, listener) in &self.open {
                if let Poll::Ready(accepted) = listener.poll_accept(cx) {
                    return Poll::Ready(accepted);
                }
            }
            Poll::Pending
        })
        .await
    }
}

fn reason(address: SocketAddr, error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::AddrInUse => format!(
            "port {} on {} is taken by another program; stop it, or set THRUM_TS_PORT to a free \
             port",
            address.port(),
            address.ip()
        ),
        io::ErrorKind::PermissionDenied => {
            format!("not permitted to listen on {address}; set THRUM_TS_PORT to 1024 or more")
        }
        _ => format!("could not listen on {address}: {error}"),
    }
}

// Logged once for each reason, not for each attempt.
fn report(problem: &watch::Sender<Option<String>>, now: Option<String>) {
    let new = problem.send_if_modified(|old| std::mem::replace(old, now.clone()) != now);
    if let (true, Some(why)) = (new, &now) {
        tracing::error!(
            journal.message_id = message_id::NOT_LISTENING,
            "peers can't reach this machine: {why}; trying again"
        );
    }
}

async fn changed(presence: &mut watch::Receiver<Presence>) {
    if presence.changed().await.is_err() {
        // The tailnet has ended, so nothing changes any further.
        std::future::pending::<()>().await;
    }
}

async fn pause_after(error: &io::Error) {
    // A caller that disconnected before it was accepted is not our problem. Running out of file
    // descriptors is, and would happen again at once.
    if !matches!(error.kind(), io::ErrorKind::ConnectionAborted | io::ErrorKind::ConnectionReset) {
        tracing::warn!("could not accept a connection: {error}");
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
}
