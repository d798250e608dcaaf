//! A limit of time for a peer that takes nothing of what is written to it.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Sleep, sleep};

/// How long something to write may wait until a part of it is taken.
const LIMIT: Duration = Duration::from_secs(30);

/// A stream whose writes fail if nothing is taken for a while. One on which there is nothing to write may stay.
#[derive(Debug)]
pub struct WriteLimit<S> {
    stream: S,
    /// While a write waits.
    waiting: Option<Pin<Box<Sleep>>>,
}

impl<S> WriteLimit<S> {
    /// The stream with the limit.
    pub const fn new(stream: S) -> Self {
        Self { stream, waiting: None }
    }

    /// What the stream says of a write; an error once it has said for too long that it has to wait.
    fn limited<T>(
        &mut self,
        context: &mut Context<'_>,
        said: Poll<io::Result<T>>,
    ) -> Poll<io::Result<T>> {
        if said.is_ready() {
            self.waiting = None;
            return said;
        }
        let waiting = self.waiting.get_or_insert_with(|| Box::pin(sleep(LIMIT)));
        ready!(waiting.as_mut().poll(context));
        Poll::Ready(Err(io::ErrorKind::TimedOut.into()))
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for WriteLimit<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(context, buffer)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for WriteLimit<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let said = Pin::new(&mut self.stream).poll_write(context, bytes);
        self.limited(context, said)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        parts: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let said = Pin::new(&mut self.stream).poll_write_vectored(context, parts);
        self.limited(context, said)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, duplex};
    use tokio::time::Instant;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn who_takes_nothing_is_given_up_and_who_is_slow_is_not() {
        let (stream, mut reader) = duplex(4);
        let (mut stream, begun) = (WriteLimit::new(stream), Instant::now());
        let write = async {
            stream.write_all(b"twelve bytes").await.unwrap();
            // Nothing to write is no reason.
            sleep(10 * LIMIT).await;
            stream.write_all(b"more").await.unwrap();
            let waits = Instant::now();
            let error = stream.write_all(b"taken by nobody").await.unwrap_err();
            (error.kind(), waits.elapsed().as_secs())
        };
        let read = async {
            let mut byte = [0];
            for _ in 0..12 {
                sleep(LIMIT * 9 / 10).await;
                reader.read_exact(&mut byte).await.unwrap();
            }
        };
        let (ended, ()) = tokio::join!(write, read);
        assert_eq!(ended, (io::ErrorKind::TimedOut, LIMIT.as_secs()));
        assert!(begun.elapsed() > 12 * LIMIT);
    }
}
