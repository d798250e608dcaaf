//! The connections of browsers.
//!
//! Everybody on this machine can connect, and no connection of somebody without the bearer may last: each has one answer
//! ([`super::routes`]), a limit for its request, and one for taking the answer.

use std::io;
use std::net::Ipv4Addr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;

use super::origin::Address;
use super::write_limit::WriteLimit;
use crate::error::Error;

/// How many connections are served at a time. Others wait in the system's queue.
const CONNECTIONS_MAX: usize = 128;
/// How long the head of a request may take; also how long a connection is kept without one.
const HEAD_LIMIT: Duration = Duration::from_secs(10);
/// How much of a request or an answer is held for a connection that is slow.
const BUFFER_MAX_BYTES: usize = 16 * 1024;
/// How long to wait after the system refused to accept, usually because file descriptors ran out.
const ACCEPT_RETRY: Duration = Duration::from_secs(1);

/// Listens on this port; 0 is a free one.
///
/// # Errors
/// When the port is taken, or may not be used.
pub async fn listen(port: u16) -> Result<(TcpListener, Address), Error> {
    let listening = async {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).await?;
        let address = Address(listener.local_addr()?.port());
        Ok((listener, address))
    };
    listening.await.map_err(|source: io::Error| match source.kind() {
        io::ErrorKind::AddrInUse => Error::failed(
            format!("another program listens on port {port} of 127.0.0.1"),
            "choose another one with --port N, or leave --port away for a free one",
        ),
        io::ErrorKind::PermissionDenied => Error::failed(
            format!("you are not allowed to listen on port {port}"),
            "choose one above 1023, or leave --port away for a free one",
        ),
        _ => Error::io(format!("can't listen on port {port} of 127.0.0.1"), source),
    })
}

/// Serves connections until the future is dropped.
pub async fn serve(listener: TcpListener, router: Router) {
    let permits = Arc::new(Semaphore::new(CONNECTIONS_MAX));
    let mut connections = tokio::task::JoinSet::new();
    loop {
        // Nobody closes it.
        let Ok(permit) = Arc::clone(&permits).acquire_owned().await else { return };
        while connections.try_join_next().is_some() {}
        match listener.accept().await {
            Ok((stream, _)) => {
                let serving = serve_connection(stream, router.clone());
                connections.spawn(async move {
                    serving.await;
                    drop(permit);
                });
            }
            // The browser has disconnected already.
            Err(error) if error.kind() == io::ErrorKind::ConnectionAborted => {}
            Err(_) => tokio::time::sleep(ACCEPT_RETRY).await,
        }
    }
}

async fn serve_connection(stream: TcpStream, router: Router) {
    // Without it, small lines wait for one another. It is only slower then.
    drop(stream.set_nodelay(true));
    let service = TowerToHyperService::new(router);
    let serving = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_LIMIT)
        .max_buf_size(BUFFER_MAX_BYTES)
        .serve_connection(TokioIo::new(WriteLimit::new(stream)), service);
    // Why it ended, the browser knows.
    drop(serving.await);
}
