//! A backup: the file of `GET /backup`.

use std::io::{self, Write};

use hyper::{Request, StatusCode};
use thrum_api::Empty;
use thrum_api::envelope::{self, AnswerError};
use thrum_api::local::BACKUP_EVENTS_HEADER;

use super::requests::{broken, no_result, read_body};
use super::{Client, http, watched};
use crate::error::Error;

const METHOD: &str = "GET /backup";

/// What was received.
pub struct Received {
    /// How many events it holds.
    pub events: u64,
    /// Its size.
    pub bytes: u64,
}

impl Client {
    /// Asks for a backup and writes it. thrumd has checked it before the first byte comes.
    ///
    /// # Errors
    /// When the connection breaks before the end, when thrumd refuses, and when `to` can't be written.
    pub async fn backup(
        &mut self,
        to: &mut impl Write,
        written: impl Fn(io::Error) -> Error,
    ) -> Result<Received, Error> {
        let socket = self.path().to_owned();
        let sending = Box::pin(self.requests.send(Request::get("/backup"), "", METHOD));
        let (response, _) = watched(self.watch.as_ref(), &socket, sending).await?;
        let status = response.status();
        if !status.is_success() {
            let body = read_body(response, METHOD).await?;
            let source = match envelope::answer::<Empty>(&body) {
                // A thrumd that has no backups.
                _ if status == StatusCode::NOT_FOUND => AnswerError::Empty,
                answer => answer.err().unwrap_or(AnswerError::Empty),
            };
            return Err(no_result(METHOD, status, source));
        }
        let events = response.headers().get(BACKUP_EVENTS_HEADER);
        let events = events.and_then(|value| value.to_str().ok()?.parse().ok());
        let events = events.ok_or_else(|| no_result(METHOD, status, AnswerError::Empty))?;
        let mut bytes = 0;
        // One that ends early is an error: its length is known.
        let mut body = response.into_body();
        while let Some(block) =
            http::chunk(&mut body).await.map_err(|source| broken(METHOD, source))?
        {
            to.write_all(&block).map_err(&written)?;
            bytes += u64::try_from(block.len()).unwrap_or(0);
        }
        Ok(Received { events, bytes })
    }
}
