//! When a connection has been silent, or slow with a request's head, for too long.

use std::io;
use std::pin::{Pin, pin};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Instant, Sleep};

use super::guard::lock;
use super::limits::Limits;

/// What a connection is doing, as far as its time limits go.
pub(super) struct Pace {
    limits: Limits,
    state: Mutex<State>,
}

struct State {
    last_progress: Instant,
    // A head has begun to arrive.
    head_since: Option<Instant>,
    // Requests whose answer is not handed over yet; they have time limits of their own.
    open: u32,
    requests: u64,
    peer: bool,
}

/// A request that has not been answered; dropped with its answer's body.
pub(super) struct OpenRequest(Arc<Pace>);

impl Pace {
    pub(super) fn new(limits: Limits) -> Arc<Self> {
        let (last_progress, head_since) = (Instant::now(), None);
        let state = State { last_progress, head_since, open: 0, requests: 0, peer: false };
        Arc::new(Self { limits, state: Mutex::new(state) })
    }

    /// A head has arrived whole.
    pub(super) fn request(self: &Arc<Self>) -> OpenRequest {
        let mut state = lock(&self.state);
        state.head_since = None;
        state.open += 1;
        state.requests += 1;
        OpenRequest(Arc::clone(self))
    }

    /// The connection belongs to a peer: it may be idle for longer.
    pub(super) fn is_peer(&self) {
        lock(&self.state).peer = true;
    }

    /// No request has come whole yet.
    pub(super) fn is_fresh(&self) -> bool {
        lock(&self.state).requests == 0
    }

    /// Nothing is being answered, and no part of a request has come.
    pub(super) fn is_idle(&self) -> bool {
        let state = lock(&self.state);
        state.open == 0 && state.head_since.is_none()
    }

    fn progress(&self, read: bool) {
        let (mut state, now) = (lock(&self.state), Instant::now());
        state.last_progress = now;
        if read && state.open == 0 {
            state.head_since.get_or_insert(now);
        }
    }

    fn deadline(&self) -> Instant {
        let Limits { head, stranger_idle, peer_idle, .. } = self.limits;
        let state = lock(&self.state);
        let idle = if state.peer { peer_idle } else { stranger_idle };
        match (state.open, state.head_since) {
            (0, Some(since)) => since + head,
            (0, None) => state.last_progress + idle,
            // Looked at again later; the request under way bounds itself.
            _ => Instant::now() + idle,
        }
    }

    /// Returns when the connection has used up its time. Polled with it in one task, so that every
    /// change of the deadline is seen.
    pub(super) async fn used_up(&self) {
        let mut sleep = pin!(tokio::time::sleep_until(self.deadline()));
        std::future::poll_fn(|cx| self.poll_used_up(sleep.as_mut(), cx)).await;
    }

    fn poll_used_up(&self, mut sleep: Pin<&mut Sleep>, cx: &mut Context<'_>) -> Poll<()> {
        let deadline = self.deadline();
        // A later deadline is only looked at when the timer fires: no reset for each byte.
        if deadline < sleep.deadline() {
            sleep.as_mut().reset(deadline);
        }
        while sleep.as_mut().poll(cx).is_ready() {
            let deadline = self.deadline();
            if deadline <= Instant::now() {
                return Poll::Ready(());
            }
            sleep.as_mut().reset(deadline);
        }
        Poll::Pending
    }
}

impl Drop for OpenRequest {
    fn drop(&mut self) {
        let mut state = lock(&self.0.state);
        state.open = state.open.saturating_sub(1);
        state.last_progress = Instant::now();
    }
}

/// A byte stream whose progress is watched.
pub(super) struct Paced<S> {
    pub(super) stream: S,
    pub(super) pace: Arc<Pace>,
}

impl<S: AsyncRead + Unpin> AsyncRead for Paced<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let result = Pin::new(&mut self.stream).poll_read(cx, buffer);
        if buffer.filled().len() > before {
            self.pace.progress(true);
        }
        result
    }
}

impl<S> Paced<S> {
    fn wrote(&self, result: Poll<io::Result<usize>>) -> Poll<io::Result<usize>> {
        if let Poll::Ready(Ok(1..)) = result {
            self.pace.progress(false);
        }
        result
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Paced<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let result = Pin::new(&mut self.stream).poll_write(cx, bytes);
        self.wrote(result)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let result = Pin::new(&mut self.stream).poll_write_vectored(cx, slices);
        self.wrote(result)
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
