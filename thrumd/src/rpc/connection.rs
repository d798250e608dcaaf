//! One connection, from the question who calls to its end.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;

use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_util::sync::CancellationToken;

use super::crew::Crew;
use super::guard::{Quiet, Slots};
use super::idle::{Pace, Paced};
use super::limits::Limits;
use super::request;
use super::seats::{Seat, Seats};
use super::surface::Answer;
use crate::report::Chain;
use crate::tailnet::Caller;

/// What every connection shares.
pub(super) struct Hall<A> {
    pub(super) answer: A,
    pub(super) limits: Limits,
    pub(super) crew: Crew,
    pub(super) seats: Arc<Seats>,
    pub(super) slots: Arc<Slots>,
    pub(super) quiet: Quiet,
    pub(super) stopping: CancellationToken,
    doors: Arc<Semaphore>,
}

/// What a connection needs to be accepted; given back when its socket is closed. None once the
/// hall is shut, which it never is.
pub(super) type Door = Option<OwnedSemaphorePermit>;

/// What every request of one connection shares.
pub(super) struct Talk<A> {
    pub(super) hall: Arc<Hall<A>>,
    pub(super) caller: Caller,
    pub(super) seat: Seat,
    pub(super) pace: Arc<Pace>,
}

impl<A: Answer> Hall<A> {
    pub(super) fn new(answer: A, limits: Limits) -> Arc<Self> {
        Arc::new(Self {
            answer,
            limits,
            crew: Crew::default(),
            seats: Seats::new(limits),
            slots: Arc::default(),
            quiet: Quiet::default(),
            stopping: CancellationToken::new(),
            doors: Arc::new(Semaphore::new(limits.connections + limits.leaving)),
        })
    }

    /// Waits until another socket may be open.
    pub(super) async fn door(&self) -> Door {
        Arc::clone(&self.doors).acquire_owned().await.ok()
    }

    /// Serves a connection in a task of its own, or closes it at once if all seats are taken.
    pub(super) fn welcome(self: &Arc<Self>, stream: TcpStream, remote: SocketAddr, door: Door) {
        let Some(seat) = self.seats.take(remote.ip().to_canonical()) else {
            if self.quiet.allows(remote.ip()) {
                tracing::warn!("no seat for a connection from {remote}: all are taken by peers");
            }
            return;
        };
        let hall = Arc::clone(self);
        // Its end is counted by the crew.
        drop(self.crew.run(async move {
            hall.host(stream, remote, seat).await;
            drop(door);
        }));
    }

    async fn host(self: Arc<Self>, stream: TcpStream, remote: SocketAddr, seat: Seat) {
        let caller = tokio::select! {
            caller = tokio::time::timeout(self.limits.whois, self.answer.whois(remote)) => caller,
            () = seat.lost() => return,
            () = self.stopping.cancelled() => return,
        };
        // Nobody is served without an answer (fail closed).
        let why = match caller {
            Ok(Ok(caller)) => return self.converse(stream, caller, seat).await,
            Ok(Err(error)) => Chain(&error).to_string(),
            Err(_) => "the tailnet did not say in time who it is".to_owned(),
        };
        if self.quiet.allows(remote.ip()) {
            tracing::warn!("connection from {remote} refused: {why}");
        }
    }

    async fn converse(self: Arc<Self>, stream: TcpStream, caller: Caller, seat: Seat) {
        if let Err(error) = stream.set_nodelay(true) {
            tracing::debug!(%error, "no TCP_NODELAY");
        }
        let pace = Pace::new(self.limits);
        let io = TokioIo::new(Paced { stream, pace: Arc::clone(&pace) });
        let talk = Arc::new(Talk { hall: Arc::clone(&self), caller, seat, pace });
        let service = service_fn({
            let talk = Arc::clone(&talk);
            move |request| {
                let talk = Arc::clone(&talk);
                Box::pin(async move { Ok::<_, Infallible>(request::respond(talk, request).await) })
            }
        });
        let mut connection = http1::Builder::new()
            // Idle connections would fall under it too, and peers keep theirs: `Pace` does both.
            .header_read_timeout(None)
            .max_header_size(self.limits.head_bytes)
            .max_buf_size(2 * self.limits.head_bytes)
            .serve_connection(io, service);
        let mut used_up = pin!(talk.pace.used_up());
        let (mut stopping, mut idle_at_stop) = (false, false);
        loop {
            tokio::select! {
                biased;
                ended = std::future::poll_fn(|cx| connection.poll_without_shutdown(cx)) => {
                    if let Err(error) = ended {
                        tracing::debug!(caller = %talk.caller.describe(), "{}", Chain(&error));
                    }
                    break;
                }
                () = talk.seat.lost() => return,
                () = self.stopping.cancelled(), if !stopping => {
                    if talk.pace.is_fresh() {
                        return;
                    }
                    idle_at_stop = talk.pace.is_idle();
                    stopping = true;
                    std::pin::Pin::new(&mut connection).graceful_shutdown();
                }
                () = &mut used_up => return,
            }
        }
        let mut stream = connection.into_parts().io.into_inner().stream;
        if idle_at_stop {
            // Nobody waits for an answer, hence none can be lost: no need to wait for its caller.
            drop(stream.shutdown().await);
            return;
        }
        tokio::select! {
            () = say_goodbye(stream, self.limits.linger_bytes) => {}
            () = talk.seat.lost() => {}
            () = tokio::time::sleep(self.limits.linger) => {}
        }
    }
}

/// Ends our side and reads on until the caller has ended its own: closing with unread bytes would
/// reset the connection, and the last answer would be lost on its way.
async fn say_goodbye(mut stream: TcpStream, bytes: u64) {
    if stream.shutdown().await.is_err() {
        return;
    }
    match tokio::io::copy(&mut stream.take(bytes), &mut tokio::io::sink()).await {
        Ok(wasted) => tracing::trace!(wasted, "read on after the last answer"),
        Err(error) => tracing::trace!("while reading on after the last answer: {error}"),
    }
}
