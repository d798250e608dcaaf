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
    inner: Mutex<Inner>,
}

#[derive(Default)]
struct Inner {
    idle: BTreeMap<SocketAddr, Vec<(Sender, Instant)>>,
    network: Network,
}

/// Which network a connection was made in: the number of those before it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Network(u64);

impl Pool {
    fn with<T>(&self, f: impl FnOnce(&mut Inner) -> T) -> T {
        f(&mut self.inner.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// The network of now. To be asked for before a connection is taken or made.
    pub(super) fn network(&self) -> Network {
        self.with(|inner| inner.network)
    }

    /// The connection to `address` that was used last, if it is young enough.
    pub(super) fn take(&self, address: SocketAddr) -> Option<Sender> {
        self.with(|inner| {
            let kept = inner.idle.get_mut(&address)?;
            kept.retain(|(sender, since)| !sender.is_closed() && since.elapsed() < AGE);
            kept.pop().map(|(sender, _)| sender)
        })
    }

    /// Keeps a connection for the next request, unless the network has changed since it was made: the
    /// other side knows us there by who we were.
    pub(super) fn put(&self, address: SocketAddr, sender: Sender, made_in: Network) {
        if sender.is_closed() {
            return;
        }
        self.with(|inner| {
            if inner.network != made_in {
                return;
            }
            let kept = inner.idle.entry(address).or_default();
            if kept.len() < KEPT {
                kept.push((sender, Instant::now()));
            }
        });
    }

    /// Closes every idle connection, and those in use once they are not: the network is another one
    /// now.
    pub(super) fn clear(&self) {
        self.with(|inner| {
            inner.idle.clear();
            inner.network.0 += 1;
        });
    }
}

#[cfg(test)]
mod tests {
    use hyper_util::rt::TokioIo;

    use super::*;

    #[tokio::test]
    async fn a_connection_that_was_in_use_when_the_network_changed_is_not_kept() {
        let (pool, address) = (Pool::default(), SocketAddr::from(([127, 0, 0, 1], 9100)));
        let (ours, _theirs) = tokio::io::duplex(1024);
        let (sender, connection) =
            hyper::client::conn::http1::handshake(TokioIo::new(ours)).await.unwrap();
        tokio::spawn(connection);
        let network = pool.network();
        pool.put(address, sender, network);
        let sender = pool.take(address).unwrap();
        pool.clear();
        pool.put(address, sender, network);
        assert!(pool.take(address).is_none());
    }
}
