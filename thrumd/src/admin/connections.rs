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

/// Serves whoever connects until `stop`, and then what was asked by then. Whoever has not been accepted
/// is left to the next daemon, if the service manager holds the socket.
pub(super) async fn serve(listener: UnixListener, router: Router, stop: CancellationToken) {
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
            Err(error) => {
                tracing::error!("can't accept local programs for a moment: {error}");
                tokio::select! {
                    () = stop.cancelled() => break,
                    () = tokio::time::sleep(REFUSED) => {}
                }
            }
        }
    }
    drop(listener);
    connections.close();
    connections.wait().await;
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
