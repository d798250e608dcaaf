//! State that connections share, and state that the requests of one connection share.

use std::net::IpAddr;
use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::idle_timer::IdleTimer;
use super::in_flight::InFlightRequests;
use super::limits::Limits;
use super::slots::{ConnectionSlot, ConnectionSlots};
use crate::log_rate_limit::LogRateLimiter;
use crate::metrics::PeerApiMetrics;
use crate::tailnet::Caller;

/// The state that all connections share.
pub(super) struct ServerState<H> {
    pub(super) handler: H,
    pub(super) limits: Limits,
    /// Connections and requests, which the stop waits for.
    pub(super) tasks: TaskTracker,
    pub(super) slots: Arc<ConnectionSlots>,
    pub(super) in_flight: Arc<InFlightRequests>,
    pub(super) refusal_logs: LogRateLimiter<IpAddr>,
    pub(super) metrics: Arc<PeerApiMetrics>,
    pub(super) stopping: CancellationToken,
    accept_permits: Arc<Semaphore>,
}

/// Permit to accept a connection, released when its socket is closed. None if the semaphore is closed,
/// which never happens.
pub(super) type AcceptPermit = Option<OwnedSemaphorePermit>;

/// The state that all requests of one connection share.
pub(super) struct ConnectionContext<H> {
    pub(super) server: Arc<ServerState<H>>,
    pub(super) caller: Caller,
    pub(super) slot: ConnectionSlot,
    pub(super) idle: IdleTimer,
}

impl<H> ServerState<H> {
    pub(super) fn new(handler: H, limits: Limits, metrics: Arc<PeerApiMetrics>) -> Arc<Self> {
        Arc::new(Self {
            handler,
            limits,
            tasks: TaskTracker::new(),
            slots: ConnectionSlots::new(limits),
            in_flight: Arc::default(),
            refusal_logs: LogRateLimiter::new(1),
            metrics,
            stopping: CancellationToken::new(),
            accept_permits: Arc::new(Semaphore::new(limits.connections + limits.closing)),
        })
    }

    /// Waits for a permit to open another socket.
    pub(super) async fn accept_permit(&self) -> AcceptPermit {
        Arc::clone(&self.accept_permits).acquire_owned().await.ok()
    }
}
