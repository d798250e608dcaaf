//! HTTP over the Unix socket of a daemon, one request after the other.

use std::io;
use std::io::ErrorKind::{BrokenPipe, ConnectionReset};
use std::path::Path;

use http_body_util::{BodyExt as _, Full};
use hyper::body::{Bytes, Incoming};
use hyper::client::conn::http1::{self, SendRequest};
use hyper::header::HOST;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use tokio::net::UnixStream;
use tokio::sync::watch;

/// The body of a request.
pub type Body = Full<Bytes>;

/// An HTTP connection. It is closed when the future of a request is dropped, or a body before its end. Without the
/// connection, the body of an answer still comes to its end.
#[derive(Debug)]
pub struct Connection {
    requests: SendRequest<Body>,
    /// Its sender goes with the connection.
    end: watch::Receiver<()>,
}

impl Connection {
    /// Connects to a socket.
    ///
    /// # Errors
    /// When nothing accepts connections there.
    pub async fn open(socket: &Path) -> io::Result<Self> {
        let stream = UnixStream::connect(socket).await?;
        let (requests, connection) =
            http1::handshake(TokioIo::new(stream)).await.map_err(|error| root(&error))?;
        let (open, end) = watch::channel(());
        // It ends with the connection. Why it ended, the request under way is told, too.
        drop(tokio::spawn(async move {
            drop(connection.await);
            drop(open);
        }));
        Ok(Self { requests, end })
    }

    /// Returns when the connection has ended, whoever ended it.
    pub fn ended(&self) -> impl Future<Output = ()> + Send + use<> {
        let mut end = self.end.clone();
        async move { while end.changed().await.is_ok() {} }
    }

    /// Sends a request and waits for the head of the answer.
    ///
    /// # Errors
    /// When the connection breaks before.
    pub async fn send(&mut self, request: Request<Body>) -> hyper::Result<Response<Incoming>> {
        self.requests.ready().await?;
        self.requests.send_request(request).await
    }
}

/// A request with the header that HTTP requires.
///
/// # Errors
/// When path, host or a header have characters that they can't have.
pub fn request(
    builder: hyper::http::request::Builder,
    host: &str,
    body: impl Into<Body>,
) -> io::Result<Request<Body>> {
    builder.header(HOST, host).body(body.into()).map_err(io::Error::other)
}

/// The next part of a body; none at its end.
///
/// # Errors
/// When the connection breaks before.
pub async fn chunk(body: &mut Incoming) -> io::Result<Option<Bytes>> {
    while let Some(frame) = body.frame().await {
        // Other frames have no data.
        if let Ok(data) = frame.map_err(|error| root(&error))?.into_data() {
            return Ok(Some(data));
        }
    }
    Ok(None)
}

/// The whole body; none if it has more bytes than this, because whatever is behind the socket must not fill our memory.
///
/// # Errors
/// When the connection breaks before its end.
pub async fn whole(mut body: Incoming, limit: usize) -> io::Result<Option<Vec<u8>>> {
    let mut whole = Vec::new();
    while let Some(bytes) = chunk(&mut body).await? {
        if whole.len() + bytes.len() > limit {
            return Ok(None);
        }
        whole.extend_from_slice(&bytes);
    }
    Ok(Some(whole))
}

/// The innermost cause. The outer errors only say that a request failed.
pub fn root(error: &hyper::Error) -> io::Error {
    let mut cause: &dyn std::error::Error = error;
    while let Some(next) = cause.source() {
        cause = next;
    }
    let kind = cause.downcast_ref::<io::Error>().map_or(io::ErrorKind::Other, io::Error::kind);
    io::Error::new(kind, cause.to_string())
}

/// Whether the daemon ended before it had read the whole request, so that a retry can't execute it
/// twice. Either the request was not sent at all, or the socket was reset: closing a Unix socket resets
/// the other end only if unread bytes were left, or at a later write. In the moment between the two it only looks ended,
/// and the request counts as one that may have been read.
pub fn is_unread(error: &hyper::Error) -> bool {
    error.is_canceled()
        || error.is_closed()
        || matches!(root(error).kind(), ConnectionReset | BrokenPipe)
}
