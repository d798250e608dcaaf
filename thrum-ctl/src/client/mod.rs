//! Calls to `thrumd` over its Unix socket.

mod backup;
mod connect;
mod forward;
pub mod http;
mod metrics;
pub mod refusals;
mod requests;
mod responsiveness;
mod sandbox;
mod stream;
mod views;

use std::io;
use std::path::Path;
use std::time::Duration;

use thrum_api::Method;
use thrum_api::local::{Health, Status, StatusResult};
use thrum_api::method::Empty;
use tokio::time::{Instant, sleep, timeout};

use crate::endpoint::Endpoints;
use crate::error::Error;
use crate::printer::{Notice, ViewsProgress};
pub use backup::Received;
use requests::Requests;
use responsiveness::ResponsivenessWatch;
pub use stream::{Changes, Events};

/// How long to send a request again that was not answered: for as long as a service manager may take to
/// start the daemon again.
const REPEAT_TIMEOUT: Duration = Duration::from_secs(10);
const REPEAT_INTERVAL: Duration = Duration::from_millis(100);
/// Limit for the answer to another call meanwhile, after which the daemon counts as unresponsive.
const PROBE_TIMEOUT: Duration = Duration::from_secs(1);

/// A client of one daemon. Calls are made one after the other.
pub struct Client {
    requests: Requests,
    watch: Option<ResponsivenessWatch>,
    views: Option<ViewsProgress>,
}

impl Client {
    /// The first daemon that accepts connections at these endpoints.
    ///
    /// # Errors
    /// The most helpful one if no endpoint accepts connections.
    pub async fn find(endpoints: &Endpoints) -> Result<Self, Error> {
        let requests = Requests::find(endpoints).await?;
        Ok(Self { requests, watch: None, views: None })
    }

    /// As [`Client::find`], without looking for a reason if there is no daemon: that takes time.
    ///
    /// # Errors
    /// One that may say less than it could.
    pub async fn find_at_once(endpoints: &Endpoints) -> Result<Self, Error> {
        let requests = Requests::find_at_once(endpoints).await?;
        Ok(Self { requests, watch: None, views: None })
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
        self.requests.socket()
    }

    /// Returns when the connection of the last call has ended; at once if that call broke it.
    pub fn ended(&self) -> impl Future<Output = ()> + Send + use<> {
        self.requests.ended()
    }

    /// Calls a method and waits for the answer. Dropping the future closes the connection.
    ///
    /// # Errors
    /// When the connection breaks, the answer is invalid, or thrumd refuses.
    pub async fn call<M: Method>(&mut self, params: &M::Params) -> Result<M::Result, Error> {
        let socket = self.path().to_owned();
        // On the heap: commands that make many calls would need more stack than there is.
        let call = Box::pin(self.requests.ask::<M>(params));
        match self.views.as_ref().filter(|_| views::waits_for_views(M::NAME)) {
            Some(progress) => {
                let status = || Box::pin(status(&socket));
                watched(self.watch.as_ref(), &socket, views::over(progress, call, status)).await
            }
            None => watched(self.watch.as_ref(), &socket, call).await,
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
}

/// Waits for a call, and gives the watch's notice if the daemon is unresponsive.
async fn watched<T>(
    watch: Option<&ResponsivenessWatch>,
    socket: &Path,
    call: impl Future<Output = T>,
) -> T {
    match watch {
        Some(watch) => watch.over(call, || Box::pin(is_unresponsive(socket))).await,
        None => call.await,
    }
}

/// Whether the socket is open but the daemon does not answer.
async fn is_unresponsive(socket: &Path) -> bool {
    let asked = async { Client::open(socket).await?.requests.ask::<Health>(&Empty {}).await };
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
    let asked = async { Client::open(socket).await?.requests.ask::<Status>(&Empty {}).await };
    timeout(PROBE_TIMEOUT, asked).await.ok()?.ok()
}

#[cfg(test)]
mod tests {
    use std::os::unix::net::UnixListener;

    use super::*;

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
