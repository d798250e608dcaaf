//! The peer surface: `POST /rpc` on the tailnet address, four methods, one place that checks the
//! token, and every limit that keeps a stranger from costing us anything.
//!
//! `listen` binds and accepts, `seats` says who may stay connected, `connection` speaks HTTP,
//! `request` checks what came in, `surface` answers.

mod connection;
mod crew;
mod guard;
mod idle;
mod limits;
mod listen;
mod request;
mod seats;
mod surface;
#[cfg(test)]
mod tests;

use thrum_api::DaemonId;
use tokio::sync::watch;

use crate::log::Log;
use crate::peer::{Pairing, Registry};
use crate::policy::Policy;
use crate::sync::Sync;
use crate::tailnet::Tailnet;
use limits::Limits;
use listen::Ears;

/// What the peer surface needs of the rest of the daemon.
#[derive(Clone)]
pub struct Surface {
    /// Who we are.
    pub daemon: DaemonId,
    /// What we call ourselves.
    pub name: std::sync::Arc<str>,
    /// For `sync.peer_info`.
    pub log: Log,
    /// Who is paired.
    pub registry: Registry,
    /// Who is pairing.
    pub pairing: Pairing,
    /// Who may pair by the tailnet's policy.
    pub policy: Policy,
    /// Pulls and notifications.
    pub sync: Sync,
    /// Who calls.
    pub tailnet: Tailnet,
    /// Told why peers can't reach us although the tailnet is up (the port is taken); None while
    /// they can.
    pub problem: watch::Sender<Option<String>>,
}

/// Serves peers on the tailnet addresses, following them as they change, until `stop` is true.
/// `port` 0 picks a free one; `bound` is told the real addresses (empty while there are none).
///
/// Ends when the requests under way are answered, or after 5 seconds.
///
/// # Panics
/// When a task of it panicked, after everything was closed: the service must not go on as if
/// nothing had happened.
pub async fn serve(
    surface: Surface,
    port: u16,
    bound: watch::Sender<Vec<std::net::SocketAddr>>,
    stop: watch::Receiver<bool>,
) {
    let (presence, problem) = (surface.tailnet.presence(), surface.problem.clone());
    let ears = Ears { presence, port, bound, problem, stop };
    listen::run(surface, Limits::default(), ears).await;
}
