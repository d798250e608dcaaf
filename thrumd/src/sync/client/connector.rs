//! The connector of hyper-util's pooled client, and the keys of its pool.

use std::collections::BTreeSet;
use std::io::{self, IoSlice};
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use futures_util::future::BoxFuture;
use http_body_util::Full;
use hyper::Uri;
use hyper::http::Extensions;
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::{CaptureConnection, Connected, Connection};
use hyper_util::rt::{TokioExecutor, TokioIo};
use parking_lot::Mutex;
use thrum_api::DaemonId;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::sync::watch;
use tokio::time::Instant;
use tower_service::Service;

use super::dial::{DialError, dial};
use crate::tailnet::{self, Tailnet};

/// A client with its own connection pool.
pub(super) type HttpClient = Client<Connector, Full<Bytes>>;

/// Idle connections kept for each peer. A pull and a notification may need two at once; the second is closed after
/// its use, since it would take a slot of the peer and shows nothing that the first doesn't.
const MAX_IDLE: usize = 1;

/// After this without a request, a connection that nothing watches is not used again: its other end may be gone.
pub(super) const UNWATCHED_IDLE: Duration = Duration::from_secs(30);

/// A client without any connections, for a peer, or for a machine that is none yet. Idle ones are kept until they end:
/// the kernel watches them ([`tcp`](crate::tailnet::tcp)), and the end of one tells that its peer may have died.
pub(super) fn new_client(
    tailnet: &Tailnet,
    peer: Option<DaemonId>,
    closed: &ConnectionsClosed,
    unwatched_idle: Duration,
) -> HttpClient {
    Client::builder(TokioExecutor::new())
        // Without a timer they stay open after that: the end of the peer's process is told all the same.
        .pool_idle_timeout((!tailnet.watches_connections()).then_some(unwatched_idle))
        .pool_max_idle_per_host(MAX_IDLE)
        .build(Connector { tailnet: tailnet.clone(), peer, closed: closed.clone() })
}

/// Receives the peers of connections that ended without our doing.
pub(super) type ConnectionsClosed = watch::Sender<BTreeSet<DaemonId>>;

/// The URI for a machine at these addresses. Its authority is the key in the pool, so that no connection is used for
/// other addresses.
pub(super) fn uri(addresses: &[SocketAddr]) -> String {
    let addresses: Vec<_> = addresses
        .iter()
        // Colons and brackets are reserved in a URI.
        .map(|address| format!("{}_{}", address.ip(), address.port()).replace(':', "-"))
        .collect();
    format!("http://{}/rpc", addresses.join(","))
}

/// The addresses in such a URI.
pub(super) fn addresses(uri: &Uri) -> Vec<SocketAddr> {
    let parse = |text: &str| {
        let (ip, port) = text.split_once('_')?;
        let ip: IpAddr = ip.replace('-', ":").parse().ok()?;
        Some(SocketAddr::new(ip, port.parse().ok()?))
    };
    uri.host().unwrap_or_default().split(',').filter_map(parse).collect()
}

/// Dials a peer through the tailnet: the first of its addresses that accepts a connection.
#[derive(Clone)]
pub(super) struct Connector {
    tailnet: Tailnet,
    peer: Option<DaemonId>,
    closed: ConnectionsClosed,
}

impl Service<Uri> for Connector {
    type Response = TokioIo<PeerStream>;
    type Error = DialError;
    type Future = BoxFuture<'static, Result<Self::Response, DialError>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), DialError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, uri: Uri) -> Self::Future {
        let Self { tailnet, peer, closed } = self.clone();
        Box::pin(async move {
            let (address, stream) = dial(&tailnet, &addresses(&uri)).await?;
            let connection = PeerConnection::to(address);
            Ok(TokioIo::new(PeerStream { stream, connection, of: peer, closed }))
        })
    }
}

/// Bytes that may come before the head of an answer is complete. Hyper takes any number of informational answers
/// (1xx) before it, and doesn't yield meanwhile. Some of the body may be read with the head.
const HEAD_MAX_BYTES: usize = 1024 * 1024;

/// Which connection carried a request.
#[derive(Clone)]
pub(super) struct PeerConnection {
    pub(super) address: SocketAddr,
    opened: Instant,
    /// When it took bytes of a request last.
    written: Arc<Mutex<Instant>>,
    /// Bytes that came since the request was written; None once the head of its answer is complete.
    head: Arc<Mutex<Option<usize>>>,
}

impl PeerConnection {
    fn to(address: SocketAddr) -> Self {
        let now = Instant::now();
        let (written, head) = (Arc::new(Mutex::new(now)), Arc::new(Mutex::new(Some(0))));
        Self { address, opened: now, written, head }
    }

    /// The connection that carries the request, once there is one.
    pub(super) fn of(captured: &CaptureConnection) -> Option<Self> {
        let mut extensions = Extensions::new();
        captured.connection_metadata().as_ref()?.get_extras(&mut extensions);
        extensions.remove()
    }

    /// A request is being written: this much of it was taken.
    fn wrote(&self, written: &Poll<io::Result<usize>>) {
        self.head.lock().get_or_insert(0);
        if matches!(written, Poll::Ready(Ok(1..))) {
            *self.written.lock() = Instant::now();
        }
    }

    /// When it took bytes of a request last.
    pub(super) fn written_at(&self) -> Instant {
        *self.written.lock()
    }

    /// The head of the answer is complete: what follows is its body, which has its own limit.
    pub(super) fn end_head(&self) {
        *self.head.lock() = None;
    }

    /// Counts bytes that came; an error if they are too many for a head.
    fn count(&self, bytes: usize) -> io::Result<()> {
        let Some(count) = &mut *self.head.lock() else { return Ok(()) };
        *count += bytes;
        match *count <= HEAD_MAX_BYTES {
            true => Ok(()),
            false => Err(io::Error::other(HeadTooLarge)),
        }
    }

    /// Whether it was opened before this moment and kept since.
    pub(super) fn was_kept_since(&self, moment: Instant) -> bool {
        self.opened < moment
    }
}

/// The head of an answer does not end.
#[derive(Debug, thiserror::Error)]
#[error("the head of its answer has more than {HEAD_MAX_BYTES} bytes")]
struct HeadTooLarge;

/// A stream to a peer, with the address that it is connected to. It reports that it ended.
pub(super) struct PeerStream {
    stream: tailnet::Connection,
    connection: PeerConnection,
    /// The peer, until the end was reported. None for a machine that is no peer.
    of: Option<DaemonId>,
    closed: ConnectionsClosed,
}

impl PeerStream {
    fn report_end(&mut self) {
        if let Some(peer) = self.of.take() {
            self.closed.send_if_modified(|peers| peers.insert(peer));
        }
    }
}

impl Connection for PeerStream {
    fn connected(&self) -> Connected {
        Connected::new().extra(self.connection.clone())
    }
}

impl AsyncRead for PeerStream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let (before, room) = (buffer.filled().len(), buffer.remaining() > 0);
        let read = ready!(Pin::new(&mut self.stream).poll_read(cx, buffer));
        let count = buffer.filled().len() - before;
        if read.is_err() || (room && count == 0) {
            self.report_end();
        }
        Poll::Ready(read.and_then(|()| self.connection.count(count)))
    }
}

impl AsyncWrite for PeerStream {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write(cx, bytes);
        self.connection.wrote(&written);
        written
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write_vectored(cx, slices);
        self.connection.wrote(&written);
        written
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
