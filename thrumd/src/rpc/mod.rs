//! The peer API: `POST /rpc` on the tailnet address, four methods, one place that checks the token, and
//! limits on every resource that an unpaired caller can use.
//!
//! `listen` binds and accepts, `slots` decides which connections stay open, `connection` speaks HTTP,
//! `request` checks requests, `methods` answers them.

mod connection;
mod idle_timer;
mod in_flight;
mod limits;
mod listen;
mod methods;
mod refusal;
mod request;
mod slots;
mod state;
#[cfg(test)]
mod tests;

use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use limits::Limits;
use listen::ListenerConfig;
pub use methods::PeerApi;

use crate::descriptors;

/// Serves peers on the tailnet addresses, following them as they change, until `stop` is cancelled.
/// `port` 0 picks a free one; `bound` gets the real addresses (empty while there are none).
///
/// Ends when the requests in flight are answered, or after 5 seconds.
pub async fn serve(
    api: PeerApi,
    port: u16,
    bound: watch::Sender<Vec<std::net::SocketAddr>>,
    stop: CancellationToken,
) {
    let (presence, problem) = (api.tailnet.presence(), api.problem.clone());
    let metrics = api.metrics.clone();
    let config = ListenerConfig { presence, port, bound, problem, stop, metrics };
    listen::run(api, Limits::within(descriptors::limit()), config).await;
}
