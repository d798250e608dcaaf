//! Serves the connections of local programs, with a graceful end.
//!
//! Not axum's own loop: on shutdown it closes a connection of which it has read nothing, even if a
//! request has arrived already. A program that calls while the service restarts would lose its call.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use axum::{Extension, Router};
use hyper::server::conn::http1;
use hyper_util::rt::TokioIo;
use hyper_util::service::TowerToHyperService;
use rustix::net::{RecvFlags, recv};
use tokio::io::Interest;
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::rebind;
use super::socket::LocalSocket;
use crate::agents::LocalConnection;

/// How long a program that has just connected may take to send its first byte when the daemon stops.
/// It is about to send a request.
const FIRST_BYTE: Duration = Duration::from_millis(250);
/// How long to wait after the system refused to accept, usually because file descriptors ran out.
const ACCEPT_RETRY: Duration = Duration::from_secs(1);

/// Serves connections until `stop`, and then one request of each that is new or has begun one. A
/// connection that is idle between two requests is closed. Connections that wait in the queue are
/// served too, unless the service manager has the socket: then the next daemon serves them. A socket that
/// programs can't find any more is bound anew. `daemon` is cancelled when the daemon stops: then nobody's connection counts
/// as ended, because programs come back to the next one.
pub(super) async fn serve(
    socket: LocalSocket,
    router: Router,
    stop: &CancellationToken,
    daemon: &CancellationToken,
    limit: ConnectionLimit,
) {
    let (connections, ending) = (TaskTracker::new(), CancellationToken::new());
    let spawn = |(stream, permit): Accepted| {
        let serving = serve_connection(stream, router.clone(), ending.clone(), daemon.clone());
        connections.spawn(async move {
            serving.await;
            drop(permit);
        })
    };
    let mut bound_anew = rebind::keep_in_place(socket.file.place.clone(), socket.file.inherited);
    let LocalSocket { mut listener, mut file } = socket;
    loop {
        let accepted = tokio::select! {
            biased;
            () = stop.cancelled() => break,
            Some(new) = bound_anew.recv() => {
                file = new.file;
                let former = std::mem::replace(&mut listener, new.listener);
                limit.of_queued(queued(former)).for_each(|accepted| drop(spawn(accepted)));
                continue;
            }
            accepted = limit.accept(&listener) => accepted,
        };
        match accepted {
            Ok(accepted) => drop(spawn(accepted)),
            // The program has disconnected already.
            Err(error) if error.kind() == io::ErrorKind::ConnectionAborted => {}
            Err(error) => {
                tracing::error!("can't accept local programs for a moment: {error}");
                tokio::select! {
                    () = stop.cancelled() => break,
                    () = tokio::time::sleep(ACCEPT_RETRY) => {}
                }
            }
        }
    }
    // First, so that nothing is bound anew, and a new caller finds no daemon rather than one that closes the
    // connection.
    drop(bound_anew);
    let inherited = file.inherited;
    drop(file);
    ending.cancel();
    let left = if inherited { Vec::new() } else { queued(listener) };
    limit.of_queued(left).for_each(|accepted| drop(spawn(accepted)));
    connections.close();
    connections.wait().await;
}

/// How many connections of a socket are served at a time. Others wait in the system's queue.
#[derive(Clone)]
pub(super) struct ConnectionLimit(Option<Arc<Semaphore>>);

/// A connection, and what counts it.
type Accepted = (UnixStream, Option<OwnedSemaphorePermit>);

impl ConnectionLimit {
    /// As many as the system allows.
    pub(super) const NONE: Self = Self(None);

    pub(super) fn of(connections: usize) -> Self {
        Self(Some(Arc::new(Semaphore::new(connections))))
    }

    /// The next connection, when there is room for one more.
    async fn accept(&self, listener: &UnixListener) -> io::Result<Accepted> {
        let permit = match &self.0 {
            Some(room) => Some(Arc::clone(room).acquire_owned().await.map_err(io::Error::other)?),
            None => None,
        };
        Ok((listener.accept().await?.0, permit))
    }

    /// Those of the connections for which there is room.
    fn of_queued(&self, streams: Vec<UnixStream>) -> impl Iterator<Item = Accepted> {
        streams.into_iter().filter_map(|stream| match &self.0 {
            Some(room) => Some((stream, Some(Arc::clone(room).try_acquire_owned().ok()?))),
            None => Some((stream, None)),
        })
    }
}

/// Connections that were not accepted yet.
fn queued(listener: UnixListener) -> Vec<UnixStream> {
    // Asks the system: the runtime may not know of them yet.
    let Ok(listener) = listener.into_std() else { return Vec::new() };
    let accepted = std::iter::from_fn(|| listener.accept().ok());
    let ready = |(stream, _): (std::os::unix::net::UnixStream, _)| {
        stream.set_nonblocking(true).and_then(|()| UnixStream::from_std(stream)).ok()
    };
    accepted.filter_map(ready).collect()
}

/// Waits until there is something to read: a byte, the end or an error.
async fn first_byte(stream: &UnixStream) {
    let peek = || {
        let (seen, _) = recv(stream, [0_u8; 1].as_mut_slice(), RecvFlags::PEEK)?;
        Ok(seen)
    };
    // Readiness alone is only a hint.
    while stream.readable().await.is_ok()
        && stream
            .try_io(Interest::READABLE, peek)
            .is_err_and(|error| error.kind() == io::ErrorKind::WouldBlock)
    {}
}

/// The user of a connection's program, as the system tells. None if it can't.
#[derive(Debug, Clone, Copy)]
pub(super) struct Caller(Option<u32>);

impl Caller {
    /// Whether the program runs as root or as this daemon's own user.
    pub(super) fn owns_state(self) -> bool {
        let own = rustix::process::geteuid().as_raw();
        self.0.is_some_and(|user| user == 0 || user == own)
    }
}

async fn serve_connection(
    stream: UnixStream,
    router: Router,
    stop: CancellationToken,
    daemon: CancellationToken,
) {
    let caller = Caller(stream.peer_cred().ok().map(|program| program.uid()));
    let identity = LocalConnection::new();
    let router = router.layer(Extension(caller)).layer(Extension(identity.clone()));
    let late = async {
        stop.cancelled().await;
        tokio::time::sleep(FIRST_BYTE).await;
    };
    tokio::select! {
        biased;
        () = first_byte(&stream) => {}
        () = late => return,
    }
    let mut connection = std::pin::pin!(
        http1::Builder::new()
            // It would close idle connections too, and programs may keep theirs.
            .header_read_timeout(None)
            .serve_connection(TokioIo::new(stream), TowerToHyperService::new(router))
    );
    let ended = tokio::select! {
        // In this order: hyper must read that byte before its shutdown begins.
        biased;
        ended = connection.as_mut() => ended,
        () = stop.cancelled() => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = ended {
        tracing::debug!("a local connection ended: {error}");
    }
    // What ends because the daemon stops comes back in a moment.
    if !daemon.is_cancelled() {
        identity.close();
    }
}
