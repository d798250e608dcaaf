//! The stream of events: server-sent events of `GET /events`.

use http_body_util::{BodyExt as _, Full};
use hyper::Request;
use hyper::body::{Bytes, Incoming};
use hyper::header::{ACCEPT, HOST};
use thrum_api::envelope::{self, AnswerError};
use thrum_api::local::EventListParams;
use thrum_api::{Empty, SequencedEvent};

use super::Client;
use crate::error::Error;

const STREAM: &str = "GET /events";

/// New events, one after the other.
pub struct Events {
    body: Incoming,
    lines: Lines,
    // Dropping it would close the connection.
    _client: Client,
}

impl Client {
    /// Streams the events that `params` ask for, and then every new one.
    ///
    /// # Errors
    /// When the connection breaks or thrumd refuses.
    pub async fn events(mut self, params: &EventListParams) -> Result<Events, Error> {
        let mut query = format!("/events?after={}", params.after);
        for (key, value) in [("type", &params.event_type), ("project", &params.project)] {
            if let Some(value) = value {
                query.push_str(&format!("&{key}={}", percent(value)));
            }
        }
        let request = Request::get(query)
            .header(HOST, "thrumd")
            .header(ACCEPT, "text/event-stream")
            .body(Full::new(Bytes::new()));
        let response = match self.watch.clone() {
            Some(watch) => watch.over(self.send(request, STREAM)).await?,
            None => self.send(request, STREAM).await?,
        };
        let status = response.status();
        if !status.is_success() {
            let broken = |source| Error::Broken { method: STREAM, source };
            let body = response.into_body().collect().await.map_err(broken)?.to_bytes();
            return Err(match envelope::answer::<Empty>(&body) {
                Err(AnswerError::Refused(error)) => Error::Refused(error),
                Err(source) => Error::Answer { method: STREAM, status: status.as_u16(), source },
                Ok(Empty {}) => Error::Answer {
                    method: STREAM,
                    status: status.as_u16(),
                    source: AnswerError::Empty,
                },
            });
        }
        Ok(Events { body: response.into_body(), lines: Lines::default(), _client: self })
    }
}

impl Events {
    /// The next event; none when thrumd ended the stream.
    ///
    /// # Errors
    /// When the connection breaks or what comes is no event.
    pub async fn next(&mut self) -> Result<Option<SequencedEvent>, Error> {
        loop {
            if let Some(data) = self.lines.next_data() {
                return serde_json::from_str(&data).map(Some).map_err(|error| Error::Answer {
                    method: STREAM,
                    status: 200,
                    source: AnswerError::Malformed(error),
                });
            }
            match self.body.frame().await {
                None => return Ok(None),
                Some(Err(source)) => return Err(Error::Broken { method: STREAM, source }),
                Some(Ok(frame)) => {
                    if let Some(bytes) = frame.data_ref() {
                        self.lines.push(bytes);
                    }
                }
            }
        }
    }
}

/// Cuts a stream of bytes into the data of server-sent events.
#[derive(Default)]
struct Lines {
    buffer: Vec<u8>,
    data: String,
}

impl Lines {
    fn push(&mut self, bytes: &[u8]) {
        self.buffer.extend_from_slice(bytes);
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

fn percent(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~/".contains(&byte) {
            out.push(char::from(byte));
        } else {
            out.push_str(&format!("%{byte:02X}"));
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_are_cut_wherever_the_bytes_were_split() {
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

    #[test]
    fn a_query_is_escaped() {
        assert_eq!(percent("a b&c=ü"), "a%20b%26c%3D%C3%BC");
    }
}
