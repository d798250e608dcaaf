//! Streams of server-sent events: `GET /events` and `GET /changes`.

use std::marker::PhantomData;

use hyper::body::Incoming;
use hyper::header::ACCEPT;
use hyper::{Request, StatusCode};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde::de::DeserializeOwned;
use thrum_api::envelope::{self, AnswerError};
use thrum_api::limits::LOCAL_STREAM_EVENT_MAX_BYTES;
use thrum_api::local::{Change, EventListParams};
use thrum_api::{Empty, SequencedEvent};

use super::requests::{broken, no_result, read_body};
use super::{Client, http, watched};
use crate::error::Error;

const EVENTS: &str = "GET /events";
const CHANGES: &str = "GET /changes";
const LIMIT: usize = LOCAL_STREAM_EVENT_MAX_BYTES;

/// A stream of what thrumd sends one after the other.
pub struct Stream<T> {
    name: &'static str,
    body: Incoming,
    lines: Lines,
    item: PhantomData<fn() -> T>,
}

/// The events of the log.
pub type Events = Stream<SequencedEvent>;
/// What has changed.
pub type Changes = Stream<Change>;

impl Client {
    /// Streams the events that `params` select, and then every new one.
    ///
    /// # Errors
    /// When the connection breaks or thrumd refuses.
    pub async fn events(&mut self, params: &EventListParams) -> Result<Events, Error> {
        let mut query = format!("/events?after={}", params.after);
        for (key, value) in [("type", &params.event_type), ("project", &params.project)] {
            if let Some(value) = value {
                let value = utf8_percent_encode(value, NON_ALPHANUMERIC);
                query.push_str(&format!("&{key}={value}"));
            }
        }
        self.stream(EVENTS, query).await
    }

    /// Streams what changes. The first says that everything has.
    ///
    /// # Errors
    /// When the connection breaks or thrumd refuses.
    pub async fn changes(&mut self) -> Result<Changes, Error> {
        self.stream(CHANGES, "/changes".to_owned()).await
    }

    async fn stream<T>(&mut self, name: &'static str, path: String) -> Result<Stream<T>, Error> {
        let socket = self.path().to_owned();
        let request = Request::get(path).header(ACCEPT, "text/event-stream");
        let sending = Box::pin(self.requests.send(request, "", name));
        let (response, _) = watched(self.watch.as_ref(), &socket, sending).await?;
        let status = response.status();
        if !status.is_success() {
            let body = read_body(response, name).await?;
            let source = envelope::answer::<Empty>(&body).err().unwrap_or(AnswerError::Empty);
            return Err(no_result(name, status, source));
        }
        let (body, lines) = (response.into_body(), Lines::default());
        Ok(Stream { name, body, lines, item: PhantomData })
    }
}

impl<T: DeserializeOwned> Stream<T> {
    /// The next item, or none when thrumd ended the stream. Nothing is lost if the future is dropped.
    ///
    /// # Errors
    /// When the connection breaks or the data is not an item.
    pub async fn next(&mut self) -> Result<Option<T>, Error> {
        loop {
            if let Some(data) = self.lines.next_data() {
                return serde_json::from_str(&data).map(Some).map_err(|error| {
                    no_result(self.name, StatusCode::OK, AnswerError::Malformed(error))
                });
            }
            if self.lines.pending_bytes() > LIMIT {
                let source = AnswerError::TooLarge { limit: LIMIT };
                return Err(no_result(self.name, StatusCode::OK, source));
            }
            match http::chunk(&mut self.body).await {
                Ok(Some(bytes)) => self.lines.push(&bytes),
                Ok(None) => return Ok(None),
                Err(error) => return Err(broken(self.name, error)),
            }
        }
    }
}

/// Splits a stream of bytes into the data of server-sent events.
#[derive(Default)]
struct Lines {
    buffer: Vec<u8>,
    data: String,
}

impl Lines {
    fn push(&mut self, bytes: &[u8]) {
        self.buffer.extend_from_slice(bytes);
    }

    /// Bytes of an event that is not complete.
    fn pending_bytes(&self) -> usize {
        self.buffer.len() + self.data.len()
    }

    /// The data of the next complete event.
    fn next_data(&mut self) -> Option<String> {
        let mut start = 0;
        let mut found = None;
        while let Some(length) = self.buffer[start..].iter().position(|byte| *byte == b'\n') {
            let line = String::from_utf8_lossy(&self.buffer[start..start + length]);
            let line = line.trim_end_matches('\r');
            start += length + 1;
            if let Some(data) = line.strip_prefix("data:") {
                if !self.data.is_empty() {
                    self.data.push('\n');
                }
                self.data.push_str(data.strip_prefix(' ').unwrap_or(data));
            } else if line.is_empty() && !self.data.is_empty() {
                found = Some(std::mem::take(&mut self.data));
                break;
            }
        }
        self.buffer.drain(..start);
        found
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_are_found_wherever_the_bytes_are_split() {
        let text = ": hello\n\nid: 1\ndata: {\"a\":\ndata: 1}\n\nevent: x\r\ndata: two\r\n\r\nda";
        for split in 0..text.len() {
            let mut lines = Lines::default();
            let mut got = Vec::new();
            for part in [&text.as_bytes()[..split], &text.as_bytes()[split..]] {
                lines.push(part);
                got.extend(std::iter::from_fn(|| lines.next_data()));
            }
            assert_eq!(got, ["{\"a\":\n1}", "two"], "split at {split}");
        }
    }
}
