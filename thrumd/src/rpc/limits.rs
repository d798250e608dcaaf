//! Resource limits for callers. One value, so that tests can use short ones.

use std::time::Duration;

use thrum_api::limits::{ANONYMOUS_BODY_MAX_BYTES, PEER_BODY_MAX_BYTES};

use crate::backoff::ExponentialBackoff;
use crate::stop_limits::PEER_REQUESTS;

/// Of fewer, some limit below would be 0 or 1.
const CONNECTIONS_MIN: usize = 16;
/// Of which peers keep 896: each takes some kilobytes of memory.
const CONNECTIONS_MAX: usize = 1024;
/// Strangers don't get more than this, however many there may be.
const UNAUTHENTICATED_MAX: usize = 256;
const PER_ADDRESS_MAX: usize = 64;
const CLOSING_MAX: usize = 32;

/// From 1 s to 30 s.
const REBIND: ExponentialBackoff =
    ExponentialBackoff::new(Duration::from_secs(1), Duration::from_secs(30), 0);

/// The limits of the peer API. A connection is unauthenticated until it has presented a valid token.
#[derive(Debug, Clone, Copy)]
pub(super) struct Limits {
    /// Concurrent connections. Beyond this the oldest unauthenticated one is closed.
    pub(super) connections: usize,
    /// Those that all peers keep. Beyond this a peer that has several loses an idle one, or the new one ends with its
    /// answer, so that others still get a slot.
    pub(super) peer_connections: usize,
    /// Concurrent unauthenticated connections. Beyond this the oldest one is closed.
    pub(super) unauthenticated: usize,
    /// Further connections that have lost their slot and are about to be closed.
    pub(super) closing: usize,
    /// Concurrent unauthenticated connections from one address. Beyond this its oldest one is closed.
    pub(super) unauthenticated_per_address: usize,
    /// Connections of one peer. Beyond this the one that was idle for longest is closed.
    pub(super) connections_per_peer: usize,
    /// In-flight requests of one peer, including answers that it has not read.
    pub(super) requests_per_peer: usize,
    /// Bytes of a request's head.
    pub(super) head_bytes: usize,
    /// Bytes of a body without a valid token in its header.
    pub(super) unauthenticated_body_bytes: usize,
    /// Bytes of a body with one.
    pub(super) peer_body_bytes: usize,
    /// Between two pieces of a body, and for all of one without a valid token.
    pub(super) body: Duration,
    /// For all of one with a valid token: it may come over a slow uplink.
    pub(super) peer_body: Duration,
    /// From the last answer on an unauthenticated connection (or its start) to the next request.
    pub(super) unauthenticated_idle: Duration,
    /// For a peer to read an answer: as long as its client waits for a page.
    pub(super) peer_reading: Duration,
    /// To identify the caller.
    pub(super) whois: Duration,
    /// To linger after an answer that was sent before the end of the body, so that it arrives.
    pub(super) linger: Duration,
    /// Bytes to discard while lingering.
    pub(super) linger_bytes: u64,
    /// For requests in flight when the daemon stops.
    pub(super) grace: Duration,
    /// Between attempts to bind an address.
    pub(super) rebind: ExponentialBackoff,
}

impl Limits {
    /// The limits of a process that may have this many files open. A quarter of them is for this: our own connections
    /// to peers, local programs and the log need the others.
    pub(super) fn within(descriptors: usize) -> Self {
        let connections = (descriptors / 4).clamp(CONNECTIONS_MIN, CONNECTIONS_MAX);
        Self {
            connections,
            peer_connections: connections - connections / 8,
            unauthenticated: connections.min(UNAUTHENTICATED_MAX),
            closing: (connections / 8).min(CLOSING_MAX),
            unauthenticated_per_address: (connections / 4).min(PER_ADDRESS_MAX),
            connections_per_peer: 16,
            requests_per_peer: 4,
            head_bytes: 16 * 1024,
            unauthenticated_body_bytes: ANONYMOUS_BODY_MAX_BYTES,
            peer_body_bytes: PEER_BODY_MAX_BYTES,
            body: Duration::from_secs(15),
            peer_body: Duration::from_secs(180),
            unauthenticated_idle: Duration::from_secs(10),
            peer_reading: Duration::from_secs(180),
            whois: Duration::from_secs(5),
            linger: Duration::from_secs(2),
            linger_bytes: 16 * 1024 * 1024,
            grace: PEER_REQUESTS,
            rebind: REBIND,
        }
    }
}
