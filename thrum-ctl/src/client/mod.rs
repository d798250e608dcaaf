//! Calls to `thrumd` over its Unix socket.

mod connect;

mod responsiveness;
mod stream;

use std::error::Error as _;
use std::io::ErrorKind::{BrokenPipe, ConnectionReset};
use std::path::{Path, PathBuf};

use http_body_util::{BodyExt as _, Full};
use hyper::body::{Bytes, Incoming};
use hyper::client::conn::http1::SendRequest;
use hyper::header::{CONTENT_TYPE, HOST};
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use thrum_api::Method;
use thrum_api::envelope::{self, AnswerError};

use crate::endpoint::Endpoints;
use crate::error::Error;
use crate::printer::Notice;
use responsiveness::ResponsivenessWatch;

/// How often a request is made that no daemon has read. Each restart of thrumd may miss one.
const TRIES_MAX: u32 = 5;

/// A connection to one daemon. Calls go one after the other.
pub struct Client {
    path: PathBuf,
    sender: SendRequest<Full<Bytes>>,
    watch: Option<ResponsivenessWatch>,
}

impl Client {
    /// The first daemon that answers in these endpoints.
    ///
    /// # Errors
    /// The most telling one of all endpoints.
    pub async fn find(endpoints: &Endpoints) -> Result<Self, Error> {
        let (path, stream) = connect::first(&endpoints.candidates()).await?;
        Self::over(path, stream).await
    }

    /// The daemon behind this very socket.
    ///
    /// # Errors
    /// When nobody answers there.
    pub async fn open(path: &Path) -> Result<Self, Error> {
        let endpoints = Endpoints { socket: Some(path.to_owned()), ..Endpoints::default() };
        Self::find(&endpoints).await
    }

    async fn over(path: PathBuf, stream: tokio::net::UnixStream) -> Result<Self, Error> {
        let (sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream))
            .await
            .map_err(|source| Error::Broken { method: "connect", source })?;
        // It ends with the sender; what broke it, the call that suffered tells.
        tokio::spawn(async move { drop(connection.await) });
        Ok(Self { path, sender, watch: None })
    }

    /// Tells by this notice if a call waits for a daemon that answers nobody.
    #[must_use]
    pub fn watched(mut self, notice: Notice, endpoints: Endpoints) -> Self {
        self.watch = Some(ResponsivenessWatch::new(notice, endpoints, self.path.clone()));
        self
    }

    /// The socket behind which this daemon is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Calls a method and waits for its answer. Giving up the future hangs up.
    ///
    /// # Errors
    /// When the connection breaks, the answer is none, or thrumd refuses.
    pub async fn call<M: Method>(&mut self, params: &M::Params) -> Result<M::Result, Error> {
        match self.watch.clone() {
            Some(watch) => watch.over(self.ask::<M>(params)).await,
            None => self.ask::<M>(params).await,
        }
    }

    async fn ask<M: Method>(&mut self, params: &M::Params) -> Result<M::Result, Error> {
        let body = envelope::request::<M>(1, params)
            .map_err(|error| Error::io(format!("can't write {}", M::NAME), error.into()))?;
        let request = Request::post("/rpc")
            .header(HOST, "thrumd")
            .header(CONTENT_TYPE, "application/json")
            .body(Full::new(Bytes::from(body)));
        let response = self.send(request, M::NAME).await?;
        let status = response.status().as_u16();
        let body = response
            .into_body()
            .collect()
            .await
            .map_err(|source| Error::Broken { method: M::NAME, source })?
            .to_bytes();
        match envelope::answer::<M::Result>(&body) {
            Ok(result) => Ok(result),
            Err(AnswerError::Refused(error)) => Err(Error::Refused(error)),
            Err(source) => Err(Error::Answer { method: M::NAME, status, source }),
        }
    }

    async fn send(
        &mut self,
        request: Result<Request<Full<Bytes>>, hyper::http::Error>,
        method: &'static str,
    ) -> Result<Response<Incoming>, Error> {
        let request = request.map_err(|error| {
            Error::io(format!("can't ask for {method}"), std::io::Error::other(error))
        })?;
        let broken = |source| Error::Broken { method, source };
        let mut tries = 1;
        loop {
            // The connection of an earlier call may have been closed meanwhile.
            if self.sender.ready().await.is_err() {
                self.connect_again().await?;
                self.sender.ready().await.map_err(broken)?;
            }
            match self.sender.try_send_request(request.clone()).await {
                Ok(response) => return Ok(response),
                Err(mut failed) => {
                    let again = failed.take_message().is_some() || unread(failed.error());
                    if !again || tries == TRIES_MAX {
                        return Err(broken(failed.into_error()));
                    }
                    tries += 1;
                    self.connect_again().await?;
                }
            }
        }
    }

    async fn connect_again(&mut self) -> Result<(), Error> {
        self.sender = Self::open(&self.path).await?.sender;
        Ok(())
    }
}

/// Whether the daemon went without having read the whole request, so that asking another one does
/// nothing twice. A Unix socket that is closed resets its other end only if it held bytes that nobody
/// read, or at a write after that; one that was read just ends.
fn unread(error: &hyper::Error) -> bool {
    let cause = error.source().and_then(|cause| cause.downcast_ref::<std::io::Error>());
    cause.is_some_and(|cause| matches!(cause.kind(), ConnectionReset | BrokenPipe))
}

#[cfg(test)]
mod tests {
    use std::io::{Read as _, Write as _};
    use std::os::unix::net::UnixListener;

    use super::*;

    /// What a call through a client gives; a thread is the daemon.
    async fn ask(daemon: impl FnOnce(UnixListener) + Send + 'static) -> Result<u16, Error> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("s");
        let listener = UnixListener::bind(&path).unwrap();
        let serving = std::thread::spawn(|| daemon(listener));
        let mut client = Client::open(&path).await.unwrap();
        let request = Request::post("/rpc").body(Full::new(Bytes::from_static(b"{}")));
        let answer = client.send(request, "test").await?;
        serving.join().unwrap();
        Ok(answer.status().as_u16())
    }

    #[tokio::test]
    async fn what_no_daemon_has_read_is_asked_of_the_next_one() {
        let answer = ask(|listener| {
            let (mut first, _) = listener.accept().unwrap();
            first.read_exact(&mut [0]).unwrap();
            drop(first);
            let (mut next, _) = listener.accept().unwrap();
            next.read_exact(&mut [0]).unwrap();
            next.write_all(b"HTTP/1.1 204 No Content\r\n\r\n").unwrap();
        });
        assert_eq!(answer.await.unwrap(), 204);
    }

    #[tokio::test]
    async fn what_a_daemon_has_read_is_not_asked_twice() {
        let answer = ask(|listener| {
            let (mut first, _) = listener.accept().unwrap();
            let mut seen = Vec::new();
            while !seen.ends_with(b"{}") {
                let mut byte = [0];
                first.read_exact(&mut byte).unwrap();
                seen.push(byte[0]);
            }
        });
        assert!(matches!(answer.await, Err(Error::Broken { .. })));
    }
}
