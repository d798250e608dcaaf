//! Connections to peers that are kept for the next request.
//!
//! Without timers: what is too old is dropped when the next request comes along. A pool that
//! cleans up by itself would wake an idle daemon.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use http_body_util::Full;
use hyper::client::conn::http1::SendRequest;
use tokio::time::Instant;

/// A connection on which requests can be sent, one after the other.
pub(super) type Sender = SendRequest<Full<Bytes>>;

/// Idle connections an address.
const KEPT: usize = 2;
/// An older one may be dead without our knowing, and finding out costs a time-out.
const AGE: Duration = Duration::from_secs(30);

/// Idle connections by address.
#[derive(Default)]
pub(super) struct Pool {
    idle: Mutex<BTreeMap<SocketAddr, Vec<(Sender, Instant)>>>,
}

impl Pool {
    fn with<T>(&self, f: impl FnOnce(&mut BTreeMap<SocketAddr, Vec<(Sender, Instant)>>) -> T) -> T {
        f(&mut self.idle.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// The connection to `address` that was used last, if it is young enough.
    pub(super) fn take(&self, address: SocketAddr) -> Option<Sender> {
        self.with(|idle| {
            let kept = idle.get_mut(&address)?;
            kept.retain(|(sender, since)| !sender.is_closed() && since.elapsed() < AGE);
            kept.pop().map(|(sender, _)| sender)
        })
    }

    /// Keeps a connection for the next request.
    pub(super) fn put(&self, address: SocketAddr, sender: Sender) {
        if sender.is_closed() {
            return;
        }
        self.with(|idle| {
            let kept = idle.entry(address).or_default();
            if kept.len() < KEPT {
                kept.push((sender, Instant::now()));
            }
        });
    }

    /// Closes every idle connection: the network is another one now.
    pub(super) fn clear(&self) {
        self.with(BTreeMap::clear);
    }
}
