//! Calls to `thrumd` over its Unix socket.

mod backup;
mod connect;
mod responsiveness;
mod stream;
mod views;

use std::error::Error as _;
use std::io;
use std::io::ErrorKind::{BrokenPipe, ConnectionReset};
use std::path::Path;
use std::time::Duration;

use reqwest::header::CONTENT_TYPE;
use reqwest::{Request, Response, StatusCode};
use thrum_api::Method;
use thrum_api::envelope::{self, AnswerError};
use thrum_api::limits::LOCAL_ANSWER_MAX_BYTES;
use thrum_api::local::{Health, Status, StatusResult};
use thrum_api::method::Empty;
use tokio::time::{Instant, sleep, timeout};

use crate::endpoint::{Endpoint, Endpoints};
use crate::error::Error;
use crate::printer::{Notice, ViewsProgress};
pub use backup::Received;
use responsiveness::ResponsivenessWatch;

/// How often to send a request that no daemon has read. Each restart of thrumd may lose one.
const TRIES_MAX: u32 = 5;
/// How long to send a request again that was not answered: for as long as a service manager may take to
/// start the daemon again.
const REPEAT_TIMEOUT: Duration = Duration::from_secs(10);
const REPEAT_INTERVAL: Duration = Duration::from_millis(100);
/// Limit for the answer to another call meanwhile, after which the daemon counts as unresponsive.
const PROBE_TIMEOUT: Duration = Duration::from_secs(1);

/// A client of one daemon. Calls are made one after the other.
pub struct Client {
    endpoints: Endpoints,
    endpoint: Endpoint,
    http: reqwest::Client,
    watch: Option<ResponsivenessWatch>,
    views: Option<ViewsProgress>,
}

impl Client {
    /// The first daemon that accepts connections at these endpoints.
    ///
    /// # Errors
    /// The most helpful one if no endpoint accepts connections.
    pub async fn find(endpoints: &Endpoints) -> Result<Self, Error> {
        let endpoint = connect::find(endpoints).await?;
        let http =
            reqwest::Client::builder().no_proxy().unix_socket(endpoint.path.as_path()).build();
        let http = http.map_err(|error| Error::io("can't make an HTTP client", root(error)))?;
        Ok(Self { endpoints: endpoints.clone(), endpoint, http, watch: None, views: None })
    }

    /// The daemon behind this socket.
    ///
    /// # Errors
    /// When it does not accept connections.
    pub async fn open(path: &Path) -> Result<Self, Error> {
        let endpoints = Endpoints { socket: Some(path.to_owned()), ..Endpoints::default() };
        Self::find(&endpoints).await
    }

    /// Gives the notice, with this hint, when a call waits for an unresponsive daemon.
    #[must_use]
    pub fn watched(mut self, notice: Notice, hint: String) -> Self {
        self.watch = Some(ResponsivenessWatch::new(notice, hint));
        self
    }

    /// Shows how far the views are, when a call waits for them.
    #[must_use]
    pub fn showing(mut self, progress: ViewsProgress) -> Self {
        self.views = Some(progress);
        self
    }

    /// The socket of the daemon.
    pub fn path(&self) -> &Path {
        &self.endpoint.path
    }

    /// Calls a method and waits for the answer. Dropping the future closes the connection.
    ///
    /// # Errors
    /// When the connection breaks, the answer is invalid, or thrumd refuses.
    pub async fn call<M: Method>(&mut self, params: &M::Params) -> Result<M::Result, Error> {
        // On the heap: commands that make many calls would need more stack than there is.
        let call = Box::pin(self.ask::<M>(params));
        match self.views.as_ref().filter(|_| views::waits_for_views(M::NAME)) {
            Some(progress) => {
                let status = || Box::pin(status(self.path()));
                self.watched_call(views::over(progress, call, status)).await
            }
            None => self.watched_call(call).await,
        }
    }

    /// Calls a method that has the same effect if it is executed twice. If no answer comes because the daemon ends,
    /// the call is repeated until one answers.
    ///
    /// # Errors
    /// As [`Client::call`]; [`Error::Broken`] if a try may have been executed and none was confirmed.
    pub async fn call_again<M: Method>(&mut self, params: &M::Params) -> Result<M::Result, Error> {
        let mut failed = match self.call::<M>(params).await {
            Err(error) if error.may_pass() => error,
            answer => return answer,
        };
        let begin = Instant::now();
        while begin.elapsed() < REPEAT_TIMEOUT {
            sleep(REPEAT_INTERVAL).await;
            let error = match self.call::<M>(params).await {
                Ok(result) => return Ok(result),
                Err(error) => error,
            };
            match (&failed, error.may_pass()) {
                // It has not been started again, or has ended again.
                (Error::Broken { .. }, true) => {}
                (_, true) => failed = error,
                // A refusal now doesn't tell what became of the earlier try.
                (Error::Broken { .. }, false) => return Err(failed),
                (_, false) => return Err(error),
            }
        }
        Err(failed)
    }

    async fn watched_call<T>(&self, call: impl Future<Output = T>) -> T {
        match &self.watch {
            Some(watch) => watch.over(call, || is_unresponsive(self.path())).await,
            None => call.await,
        }
    }

    async fn ask<M: Method>(&self, params: &M::Params) -> Result<M::Result, Error> {
        let body = envelope::request::<M>(1, params)
            .map_err(|error| Error::io(format!("can't write {}", M::NAME), error.into()))?;
        let request = self.http.post("http://thrumd/rpc");
        let request = request.header(CONTENT_TYPE, "application/json").body(body);
        let response = self.send(request.build(), M::NAME).await?;
        let status = response.status();
        let body = read_body(response, M::NAME).await?;
        envelope::answer(&body).map_err(|source| no_result(M::NAME, status, source))
    }

    /// Sends a request, and sends it again if the daemon ended without reading it.
    async fn send(
        &self,
        request: Result<Request, reqwest::Error>,
        method: &'static str,
    ) -> Result<Response, Error> {
        let cant = || format!("can't send {method}");
        let request = request.map_err(|error| Error::io(cant(), root(error)))?;
        let mut tries = 1;
        loop {
            // A body of bytes can always be cloned.
            let this_try = request.try_clone().ok_or_else(|| {
                Error::io(cant(), io::Error::other("the request can't be sent again"))
            })?;
            match self.http.execute(this_try).await {
                Ok(response) => return Ok(response),
                Err(error) if error.is_connect() => {
                    let (at, source) = (&self.endpoint, root(error));
                    return Err(connect::failure(at, &self.endpoints, source).await);
                }
                Err(error) if tries == TRIES_MAX || !is_unread(&error) => {
                    return Err(broken(method, error));
                }
                Err(_) => tries += 1,
            }
        }
    }
}

/// The whole body of an answer. Whatever is behind the socket, it does not fill our memory.
async fn read_body(mut response: Response, method: &'static str) -> Result<Vec<u8>, Error> {
    let (mut body, limit) = (Vec::new(), LOCAL_ANSWER_MAX_BYTES);
    while let Some(bytes) = response.chunk().await.map_err(|error| broken(method, error))? {
        if body.len() + bytes.len() > limit {
            return Err(no_result(method, response.status(), AnswerError::TooLarge { limit }));
        }
        body.extend_from_slice(&bytes);
    }
    Ok(body)
}

/// Whether the socket is open but the daemon does not answer.
async fn is_unresponsive(socket: &Path) -> bool {
    let asked = async { Client::open(socket).await?.ask::<Health>(&Empty {}).await };
    match timeout(PROBE_TIMEOUT, asked).await {
        Err(_) => true,
        // The accept queue of the socket is full.
        Ok(Err(Error::Connect { source, .. })) => source.kind() == io::ErrorKind::WouldBlock,
        // It answers, or the socket is closed, which the call itself reports.
        Ok(_) => false,
    }
}

/// The status of the daemon, asked on a connection of its own. None if it doesn't come at once.
async fn status(socket: &Path) -> Option<StatusResult> {
    let asked = async { Client::open(socket).await?.ask::<Status>(&Empty {}).await };
    timeout(PROBE_TIMEOUT, asked).await.ok()?.ok()
}

/// The error of an answer without a result.
fn no_result(method: &'static str, status: StatusCode, source: AnswerError) -> Error {
    match source {
        AnswerError::Refused(error) => Error::Refused(error),
        source => Error::Answer { method, status: status.as_u16(), source },
    }
}

fn broken(method: &'static str, error: reqwest::Error) -> Error {
    Error::Broken { method, source: root(error) }
}

/// The innermost cause. The outer errors only say that a request failed.
fn root(error: reqwest::Error) -> io::Error {
    let mut cause: &dyn std::error::Error = &error;
    while let Some(next) = cause.source() {
        cause = next;
    }
    let kind = cause.downcast_ref::<io::Error>().map_or(io::ErrorKind::Other, io::Error::kind);
    io::Error::new(kind, cause.to_string())
}

/// Whether the daemon ended before it had read the whole request, so that a retry can't execute it
/// twice. Either the request was not sent at all, or the socket was reset: closing a Unix socket resets
/// the other end only if unread bytes were left, or at a later write.
fn is_unread(error: &reqwest::Error) -> bool {
    let mut cause = error.source();
    while let Some(error) = cause {
        let reset = error
            .downcast_ref::<io::Error>()
            .is_some_and(|error| matches!(error.kind(), ConnectionReset | BrokenPipe));
        if reset || error.downcast_ref::<hyper::Error>().is_some_and(hyper::Error::is_canceled) {
            return true;
        }
        cause = error.source();
    }
    false
}

#[cfg(test)]
mod tests {
    use std::io::{Read as _, Write as _};
    use std::os::unix::net::UnixListener;

    use super::*;

    /// The result of a request to a daemon that a thread plays.
    async fn ask(daemon: impl FnOnce(UnixListener) + Send + 'static) -> Result<u16, Error> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("s");
        let listener = UnixListener::bind(&path).unwrap();
        let serving = std::thread::spawn(|| {
            // `Client::open` connects once to probe.
            listener.accept().unwrap();
            daemon(listener);
        });
        let client = Client::open(&path).await.unwrap();
        let request = client.http.post("http://thrumd/rpc").body("{}");
        let answer = client.send(request.build(), "test").await?;
        serving.join().unwrap();
        Ok(answer.status().as_u16())
    }

    #[tokio::test]
    async fn a_request_that_no_daemon_has_read_is_sent_again() {
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
    async fn a_request_that_a_daemon_has_read_is_not_sent_again() {
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

    #[tokio::test]
    async fn a_socket_that_nobody_accepts_from_is_unresponsive_and_a_dead_one_is_not() {
        let folder = tempfile::tempdir().unwrap();
        let socket = folder.path().join("held.sock");
        let held = UnixListener::bind(&socket).unwrap();
        assert!(is_unresponsive(&socket).await);
        drop(held);
        assert!(!is_unresponsive(&socket).await, "it has died, which is another error");
    }
}
