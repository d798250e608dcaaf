//! Calls to `thrumd` over its Unix socket.

mod connect;
pub mod place;
mod silence;
mod stream;

use std::path::{Path, PathBuf};

use http_body_util::{BodyExt as _, Full};
use hyper::body::{Bytes, Incoming};
use hyper::client::conn::http1::SendRequest;
use hyper::header::{CONTENT_TYPE, HOST};
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use thrum_api::Method;
use thrum_api::envelope::{self, AnswerError};

pub use connect::unit_installed;

use crate::error::Error;
use crate::printer::Notice;
use place::Places;
use silence::Watch;

/// A connection to one daemon. Calls go one after the other.
pub struct Client {
    path: PathBuf,
    sender: SendRequest<Full<Bytes>>,
    watch: Option<Watch>,
}

impl Client {
    /// The first daemon that answers in these places.
    ///
    /// # Errors
    /// The most telling one of all places.
    pub async fn find(places: &Places) -> Result<Self, Error> {
        let (path, stream) = connect::first(&places.in_order()).await?;
        Self::over(path, stream).await
    }

    /// The daemon behind this very socket.
    ///
    /// # Errors
    /// When nobody answers there.
    pub async fn open(path: &Path) -> Result<Self, Error> {
        let places = Places { socket: Some(path.to_owned()), ..Places::default() };
        Self::find(&places).await
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
    pub fn watched(mut self, notice: Notice, places: Places) -> Self {
        self.watch = Some(Watch::new(notice, places, self.path.clone()));
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
        // The connection of an earlier call may have been closed meanwhile.
        if self.sender.ready().await.is_err() {
            let again = Self::open(&self.path).await?;
            self.sender = again.sender;
            self.sender.ready().await.map_err(broken)?;
        }
        self.sender.send_request(request).await.map_err(broken)
    }
}
