//! One connection, from accepting it to its end.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;

use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use super::idle_timer::IdleTimer;
use super::methods::Handler;
use super::request;
use super::slots::ConnectionSlot;
use super::state::{AcceptPermit, ConnectionContext, ServerState};
use crate::metrics::Refusal;
use crate::report::Chain;
use crate::tailnet::{Caller, tcp};

/// Serves a connection in a separate task, or closes it at once if peers have all slots.
pub(super) fn accept<H: Handler>(
    server: &Arc<ServerState<H>>,
    stream: TcpStream,
    remote: SocketAddr,
    permit: AcceptPermit,
) {
    let Some(slot) = server.slots.take(remote.ip().to_canonical()) else {
        if server.refusal_logs.allows(remote.ip()) {
            tracing::warn!(about = %remote.ip(), "connection from {remote} refused: peers use all connections");
        }
        return;
    };
    let task = identify(Arc::clone(server), stream, remote, slot);
    server.tasks.spawn(async move {
        task.await;
        drop(permit);
    });
}

/// Identifies the caller with `whois`, before any byte is read.
async fn identify<H: Handler>(
    server: Arc<ServerState<H>>,
    stream: TcpStream,
    remote: SocketAddr,
    slot: ConnectionSlot,
) {
    let caller = tokio::select! {
        caller = tokio::time::timeout(server.limits.whois, server.handler.whois(remote)) => caller,
        () = slot.revoked() => return,
        () = server.stopping.cancelled() => return,
    };
    // Without an answer the caller is not served (fail closed).
    let why = match caller {
        Ok(Ok(caller)) => return serve_connection(server, stream, caller, slot).await,
        Ok(Err(error)) => Chain(&error).to_string(),
        Err(_) => "the tailnet did not say in time who it is".to_owned(),
    };
    server.metrics.refusals.inc(Refusal::NotIdentified);
    if server.refusal_logs.allows(remote.ip()) {
        tracing::warn!(about = %remote.ip(), "connection from {remote} refused: {why}");
    }
}

async fn serve_connection<H: Handler>(
    server: Arc<ServerState<H>>,
    stream: TcpStream,
    caller: Caller,
    slot: ConnectionSlot,
) {
    if let Err(error) = tcp::set_options(&stream) {
        tracing::debug!(%error, "TCP options were refused");
    }
    let limits = server.limits;
    let idle = IdleTimer::new(limits);
    let context = Arc::new(ConnectionContext { server: Arc::clone(&server), caller, slot, idle });
    let service = service_fn({
        let context = Arc::clone(&context);
        move |request| {
            let context = Arc::clone(&context);
            Box::pin(async move { Ok::<_, Infallible>(request::respond(&context, request).await) })
        }
    });
    let mut connection = http1::Builder::new()
        // `IdleTimer` does that.
        .header_read_timeout(None)
        .max_header_size(limits.head_bytes)
        .max_buf_size(2 * limits.head_bytes)
        .serve_connection(TokioIo::new(stream), service);
    let mut peers = server.handler.peers();
    let mut expired = pin!(context.idle.expired());
    let (mut stopping, mut idle_at_stop) = (false, false);
    loop {
        tokio::select! {
            biased;
            ended = std::future::poll_fn(|cx| connection.poll_without_shutdown(cx)) => {
                if let Err(error) = ended {
                    tracing::debug!(caller = %context.caller.describe(), "{}", Chain(&error));
                }
                break;
            }
            () = context.slot.revoked() => return,
            () = server.stopping.cancelled(), if !stopping => {
                if context.idle.is_fresh() {
                    return;
                }
                idle_at_stop = context.idle.idle_since().is_some();
                stopping = true;
                std::pin::Pin::new(&mut connection).graceful_shutdown();
            }
            Ok(()) = peers.changed() => {
                // The connection of one that was removed is a stranger's again.
                peers.mark_unchanged();
                if context.slot.peer().is_some_and(|peer| !server.handler.is_peer(peer)) {
                    context.slot.unassign();
                    context.idle.set_peer(false);
                }
            }
            () = &mut expired => return,
        }
    }
    let mut stream = connection.into_parts().io.into_inner();
    if idle_at_stop {
        // No answer is pending, so none can be lost: no need to linger.
        drop(stream.shutdown().await);
        return;
    }
    tokio::select! {
        () = linger(stream, limits.linger_bytes) => {}
        () = context.slot.revoked() => {}
        () = tokio::time::sleep(limits.linger) => {}
    }
}

/// Ends our side and reads on until the caller has ended its own. Closing with unread bytes would
/// reset the connection, and the last answer could be lost on its way.
async fn linger(mut stream: TcpStream, bytes: u64) {
    if stream.shutdown().await.is_err() {
        return;
    }
    match tokio::io::copy(&mut stream.take(bytes), &mut tokio::io::sink()).await {
        Ok(discarded) => tracing::trace!(discarded, "read on after the last answer"),
        Err(error) => tracing::trace!("while reading on after the last answer: {error}"),
    }
}
