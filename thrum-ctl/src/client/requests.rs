//! Requests to one daemon: each on the connection that is open, or else on a new one.

use std::io;
use std::path::Path;

use hyper::body::Incoming;
use hyper::header::CONTENT_TYPE;
use hyper::http::request::Builder;
use hyper::{Request, Response, StatusCode};
use thrum_api::Method;
use thrum_api::envelope::{self, AnswerError};
use thrum_api::limits::LOCAL_ANSWER_MAX_BYTES;

use super::connect;
use super::http::{self, Body, Connection};
use crate::endpoint::{Endpoint, Endpoints};
use crate::error::Error;

/// How often to send a request that no daemon has read. Each restart of thrumd may lose one.
const TRIES_MAX: u32 = 5;
/// What thrumd is called over HTTP. It listens to any name.
const HOST: &str = "thrumd";

/// Requests to one daemon.
pub(super) struct Requests {
    endpoints: Endpoints,
    endpoint: Endpoint,
    /// The open connection, unless it is in use. One whose request is dropped before the answer is closed.
    idle: Option<Connection>,
}

impl Requests {
    /// To the first daemon that accepts connections at these endpoints.
    ///
    /// # Errors
    /// As [`connect::find`].
    pub(super) async fn find(endpoints: &Endpoints) -> Result<Self, Error> {
        // On the heap: it needs much to explain why there is no daemon.
        let (endpoint, connection) = Box::pin(connect::find(endpoints)).await?;
        Ok(Self { endpoints: endpoints.clone(), endpoint, idle: Some(connection) })
    }

    /// As [`Requests::find`], without looking for a reason if there is no daemon.
    ///
    /// # Errors
    /// As [`connect::find_at_once`].
    pub(super) async fn find_at_once(endpoints: &Endpoints) -> Result<Self, Error> {
        let (endpoint, connection) = connect::find_at_once(endpoints).await?;
        Ok(Self { endpoints: endpoints.clone(), endpoint, idle: Some(connection) })
    }

    /// The socket of the daemon.
    pub(super) fn socket(&self) -> &Path {
        &self.endpoint.path
    }

    /// Returns when the connection that is open has ended; at once if none is.
    pub(super) fn ended(&self) -> impl Future<Output = ()> + Send + use<> {
        let ended = self.idle.as_ref().map(Connection::ended);
        async move {
            if let Some(ended) = ended {
                ended.await;
            }
        }
    }

    /// Calls a method.
    ///
    /// # Errors
    /// When the connection breaks, the answer is invalid, or thrumd refuses.
    pub(super) async fn ask<M: Method>(&mut self, params: &M::Params) -> Result<M::Result, Error> {
        let body = envelope::request::<M>(1, params)
            .map_err(|error| Error::io(format!("can't write {}", M::NAME), error.into()))?;
        let request = Request::post("/rpc").header(CONTENT_TYPE, "application/json");
        let (response, connection) = self.send(request, body, M::NAME).await?;
        let status = response.status();
        let body = read_body(response, M::NAME).await?;
        self.keep(connection);
        envelope::answer(&body).map_err(|source| no_result(M::NAME, status, source))
    }

    /// Keeps a connection for the next request: the body of its last answer was read.
    pub(super) fn keep(&mut self, connection: Connection) {
        self.idle = Some(connection);
    }

    /// Sends a request, and sends it again if the daemon ended without reading it. Answers with the connection, which
    /// is free for another request once the body is read.
    ///
    /// # Errors
    /// When the connection breaks, and when there is no new one.
    pub(super) async fn send(
        &mut self,
        request: Builder,
        body: impl Into<Body>,
        method: &'static str,
    ) -> Result<(Response<Incoming>, Connection), Error> {
        let request = http::request(request, HOST, body)
            .map_err(|error| Error::io(format!("can't send {method}"), error))?;
        let mut tries = 1;
        loop {
            let mut connection = match self.idle.take() {
                Some(connection) => connection,
                None => self.connect().await?,
            };
            match connection.send(request.clone()).await {
                Ok(response) => return Ok((response, connection)),
                Err(error) if tries == TRIES_MAX || !http::is_unread(&error) => {
                    return Err(broken(method, http::root(&error)));
                }
                Err(_) => tries += 1,
            }
        }
    }

    async fn connect(&self) -> Result<Connection, Error> {
        match Connection::open(&self.endpoint.path).await {
            Ok(connection) => Ok(connection),
            Err(source) => {
                Err(Box::pin(connect::failure(&self.endpoint, &self.endpoints, source)).await)
            }
        }
    }
}

/// The whole body of an answer.
///
/// # Errors
/// When the connection breaks, and when the body is larger than any answer.
pub(super) async fn read_body(
    response: Response<Incoming>,
    method: &'static str,
) -> Result<Vec<u8>, Error> {
    let (status, limit) = (response.status(), LOCAL_ANSWER_MAX_BYTES);
    let body = http::whole(response.into_body(), limit).await;
    body.map_err(|source| broken(method, source))?
        .ok_or_else(|| no_result(method, status, AnswerError::TooLarge { limit }))
}

/// The error of an answer without a result.
pub(super) fn no_result(method: &'static str, status: StatusCode, source: AnswerError) -> Error {
    match source {
        AnswerError::Refused(error) => Error::Refused(error),
        source => Error::Answer { method, status: status.as_u16(), source },
    }
}

/// The error of a connection that broke during a request.
pub(super) fn broken(method: &'static str, source: io::Error) -> Error {
    Error::Broken { method, source }
}

#[cfg(test)]
mod tests {
    use std::io::{Read as _, Write as _};
    use std::os::unix::net::{UnixListener, UnixStream};

    use thrum_api::Empty;
    use thrum_api::local::Shutdown;

    use super::*;

    /// The result of a request to a daemon that a thread plays.
    async fn ask(daemon: impl FnOnce(UnixListener) + Send + 'static) -> Result<u16, Error> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("s");
        let listener = UnixListener::bind(&path).unwrap();
        let serving = std::thread::spawn(|| daemon(listener));
        let endpoints = Endpoints { socket: Some(path), ..Endpoints::default() };
        let mut requests = Requests::find(&endpoints).await.unwrap();
        let (answer, _) = requests.send(Request::post("/rpc"), "{}", "test").await?;
        serving.join().unwrap();
        Ok(answer.status().as_u16())
    }

    /// Reads up to these bytes.
    fn read_to(stream: &mut UnixStream, end: &[u8]) {
        let mut seen = Vec::new();
        while !seen.ends_with(end) {
            let mut byte = [0];
            stream.read_exact(&mut byte).unwrap();
            seen.push(byte[0]);
        }
    }

    #[tokio::test]
    async fn calls_share_one_connection_and_one_that_is_dropped_closes_it() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("s");
        let listener = UnixListener::bind(&path).unwrap();
        let (read, was_read) = tokio::sync::oneshot::channel();
        let serving = std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            for _ in 0..2 {
                read_to(&mut stream, b"{}}");
                stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}").unwrap();
            }
            read_to(&mut stream, b"{}}");
            read.send(()).unwrap();
            assert_eq!(stream.read(&mut [0]).unwrap(), 0, "the end");
        });
        let endpoints = Endpoints { socket: Some(path), ..Endpoints::default() };
        let mut requests = Requests::find(&endpoints).await.unwrap();
        for _ in 0..2 {
            let error = requests.ask::<Shutdown>(&Empty {}).await.unwrap_err();
            assert!(matches!(error, Error::Answer { .. }), "{error:?}");
        }
        tokio::select! {
            answer = requests.ask::<Shutdown>(&Empty {}) => panic!("{answer:?}"),
            read = was_read => read.unwrap(),
        }
        tokio::task::spawn_blocking(|| serving.join().unwrap()).await.unwrap();
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
            read_to(&mut first, b"{}");
        });
        assert!(matches!(answer.await, Err(Error::Broken { .. })));
    }
}
