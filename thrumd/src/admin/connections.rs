//! The connections of local programs, to an end in good order.
//!
//! Not axum's own loop: told to end, it closes a connection of which it has read nothing, also where
//! its request has come already. A program that calls while the service restarts would be hung up on.

use std::io;
use std::time::Duration;

use axum::Router;
use hyper::server::conn::http1;
use hyper_util::rt::TokioIo;
use hyper_util::service::TowerToHyperService;
use rustix::net::{RecvFlags, recv};
use tokio::io::Interest;
use tokio::net::{UnixListener, UnixStream};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// How long a program that has just connected has for its first byte when the daemon stops. It is
/// about to ask: nobody connects for anything else.
const FIRST_BYTE: Duration = Duration::from_millis(250);
/// How long nobody is accepted after the system refused it, for want of file descriptors mostly.
const REFUSED: Duration = Duration::from_secs(1);

/// Serves whoever connects until `stop`, and then one request of each that is new or has begun one. A
/// connection that is idle between two requests is closed. Whoever has not been accepted yet is served
/// too, unless `held`: then the service manager has the socket, and the next daemon serves them.
pub(super) async fn serve(
    listener: UnixListener,
    held: bool,
    router: Router,
    stop: CancellationToken,
) {
    let connections = TaskTracker::new();
    loop {
        let accepted = tokio::select! {
            biased;
            () = stop.cancelled() => break,
            accepted = listener.accept() => accepted,
        };
        match accepted {
            Ok((stream, _)) => {
                connections.spawn(converse(stream, router.clone(), stop.clone()));
            }
            // It has hung up already.
            Err(error) if error.kind() == io::ErrorKind::ConnectionAborted => {}
            Err(error) => {
                tracing::error!("can't accept local programs for a moment: {error}");
                tokio::select! {
                    () = stop.cancelled() => break,
                    () = tokio::time::sleep(REFUSED) => {}
                }
            }
        }
    }
    for stream in if held { Vec::new() } else { left(listener) } {
        connections.spawn(converse(stream, router.clone(), stop.clone()));
    }
    connections.close();
    connections.wait().await;
}

/// Those who have connected and were not accepted yet.
fn left(listener: UnixListener) -> Vec<UnixStream> {
    // Asked directly: the runtime may not have heard of them.
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
    // Readiness alone is a hint.
    while stream.readable().await.is_ok()
        && stream
            .try_io(Interest::READABLE, peek)
            .is_err_and(|error| error.kind() == io::ErrorKind::WouldBlock)
    {}
}

async fn converse(stream: UnixStream, router: Router, stop: CancellationToken) {
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
            // Idle connections would fall under it too, and programs may keep theirs.
            .header_read_timeout(None)
            .serve_connection(TokioIo::new(stream), TowerToHyperService::new(router))
    );
    let ended = tokio::select! {
        // In this order: hyper has read that byte before it is told to end.
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
}
