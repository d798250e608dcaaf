//! Limits on what a caller may cost. One value, so that tests can use short ones.

use std::time::Duration;

use thrum_api::limits::{ANONYMOUS_BODY_MAX_BYTES, PEER_BODY_MAX_BYTES};

use crate::backoff::ExponentialBackoff;
use crate::stop_limits::PEER_REQUESTS;

/// From 1 s to 30 s.
const REBIND: ExponentialBackoff =
    ExponentialBackoff::constant(Duration::from_secs(1), Duration::from_secs(30), 0);

/// The limits of the peer API. A stranger is a connection that has not shown a right token.
#[derive(Debug, Clone, Copy)]
pub(super) struct Limits {
    /// Connections at once. When there are more, the oldest stranger goes.
    pub(super) connections: usize,
    /// Connections beside them that have lost their slot and are about to be closed.
    pub(super) closing: usize,
    /// Strangers at once from one address. When there are more, its oldest one goes.
    pub(super) strangers_per_address: usize,
    /// Connections of one peer. When there are more, its oldest one goes.
    pub(super) connections_per_peer: usize,
    /// Requests of one peer that are worked on, or whose answers it has not taken, at once.
    pub(super) requests_per_peer: usize,
    /// Bytes of a request's head.
    pub(super) head_bytes: usize,
    /// Bytes of a body without a right token in its header.
    pub(super) stranger_body_bytes: usize,
    /// Bytes of a body with one.
    pub(super) peer_body_bytes: usize,
    /// From the end of the head to the end of the body.
    pub(super) body: Duration,
    /// From the last answer to a stranger (or the start of its connection) to its next request.
    pub(super) stranger_idle: Duration,
    /// The same for a peer, which reads the answer meanwhile. As long as its client waits for a page,
    /// and longer than the client keeps a connection for the next request.
    pub(super) peer_idle: Duration,
    /// To ask the tailnet who calls.
    pub(super) whois: Duration,
    /// To read on after an answer that came before the end of the body, so that it arrives.
    pub(super) linger: Duration,
    /// Bytes that are discarded meanwhile.
    pub(super) linger_bytes: u64,
    /// For requests in flight when the daemon stops.
    pub(super) grace: Duration,
    /// Between attempts to bind an address.
    pub(super) rebind: ExponentialBackoff,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connections: 256,
            closing: 32,
            strangers_per_address: 64,
            connections_per_peer: 16,
            requests_per_peer: 4,
            head_bytes: 16 * 1024,
            stranger_body_bytes: ANONYMOUS_BODY_MAX_BYTES,
            peer_body_bytes: PEER_BODY_MAX_BYTES,
            body: Duration::from_secs(15),
            stranger_idle: Duration::from_secs(10),
            peer_idle: Duration::from_secs(180),
            whois: Duration::from_secs(5),
            linger: Duration::from_secs(2),
            linger_bytes: 16 * 1024 * 1024,
            grace: PEER_REQUESTS,
            rebind: REBIND,
        }
    }
}
