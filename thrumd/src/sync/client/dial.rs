//! Connects to the first of a machine's addresses that accepts ("Happy Eyeballs", RFC 8305): if one
//! address family gets no answer, the other does not wait for it.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt as _;
use futures_util::stream::FuturesUnordered;
use tokio::time::{sleep, timeout};

use super::error::ClientError;
use crate::tailnet::{Connection, Tailnet};

/// How long a connection may take.
const CONNECT: Duration = Duration::from_secs(5);
/// Head start of an address over the next.
const HEAD_START: Duration = Duration::from_millis(250);

/// Why no address of a machine accepted a connection.
#[derive(Debug, Clone, thiserror::Error)]
pub(in crate::sync) enum DialError {
    /// The machine has no address.
    #[error("no address to connect to")]
    NoAddress,
    /// The first one's error.
    #[error("can't connect to {address}")]
    Connect {
        address: SocketAddr,
        /// Why it failed; None on a time-out ([`CONNECT`]).
        source: Option<Arc<io::Error>>,
    },
}

impl DialError {
    pub(in crate::sync) fn of(self, peer: &str) -> ClientError {
        match self {
            Self::NoAddress => ClientError::NotThere { peer: peer.to_owned() },
            Self::Connect { address, source: Some(source) } => {
                ClientError::Connect { address, source }
            }
            Self::Connect { address, source: None } => {
                ClientError::ConnectTimeout { address, after: CONNECT }
            }
        }
    }
}

/// Connects to the first of these addresses that accepts it.
pub(in crate::sync) async fn dial(
    tailnet: &Tailnet,
    addresses: &[SocketAddr],
) -> Result<(SocketAddr, Connection), DialError> {
    race(addresses, |address| tailnet.connect(address)).await
}

async fn race<T, F: Future<Output = io::Result<T>>>(
    addresses: &[SocketAddr],
    connect: impl Fn(SocketAddr) -> F,
) -> Result<(SocketAddr, T), DialError> {
    let attempt = |address: SocketAddr| {
        let connecting = timeout(CONNECT, connect(address));
        async move { (address, connecting.await) }
    };
    let mut coming = addresses.iter().copied();
    let mut running = FuturesUnordered::new();
    let mut failed: Vec<(SocketAddr, Option<Arc<io::Error>>)> = Vec::new();
    loop {
        running.extend(coming.next().map(attempt));
        tokio::select! {
            ended = running.next() => match ended {
                Some((address, Ok(Ok(connection)))) => return Ok((address, connection)),
                Some((address, Ok(Err(source)))) => failed.push((address, Some(Arc::new(source)))),
                Some((address, Err(_))) => failed.push((address, None)),
                None => break,
            },
            () = sleep(HEAD_START), if coming.len() > 0 => {}
        }
    }
    let first = addresses.iter().find_map(|address| {
        failed.iter().position(|(of, _)| of == address).map(|position| failed.swap_remove(position))
    });
    let Some((address, source)) = first else { return Err(DialError::NoAddress) };
    Err(DialError::Connect { address, source })
}

#[cfg(test)]
mod tests;
