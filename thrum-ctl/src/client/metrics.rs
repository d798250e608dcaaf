//! The text of `GET /metrics`.

use hyper::{Request, StatusCode};
use thrum_api::envelope::AnswerError;

use super::requests::{no_result, read_body};
use super::{Client, watched};
use crate::error::Error;

const METHOD: &str = "GET /metrics";

impl Client {
    /// The metrics of thrumd, in Prometheus's text format.
    ///
    /// # Errors
    /// When the connection breaks, and when what comes is not that.
    pub async fn metrics(&mut self) -> Result<String, Error> {
        let socket = self.path().to_owned();
        let sending = Box::pin(self.requests.send(Request::get("/metrics"), "", METHOD));
        let (response, _) = watched(self.watch.as_ref(), &socket, sending).await?;
        let status = response.status();
        let body = read_body(response, METHOD).await?;
        let text = String::from_utf8(body).ok().filter(|_| status == StatusCode::OK);
        text.ok_or_else(|| no_result(METHOD, status, AnswerError::Empty))
    }
}
