//! `GET /events`: new events from a place on, without a gap, as server-sent events.

use std::collections::VecDeque;
use std::sync::Arc;

use bytes::Bytes;
use futures_util::stream::{self, Stream};
use thrum_api::local::EventListParams;
use thrum_api::{ErrorCode, RpcError, Sequence, SequencedEvent};
use tokio::sync::watch;

use super::{Surface, errors};
use crate::log::LogHead;

/// Events read at once. Small, because each may be as large as an event can be.
const PAGE_EVENTS: u32 = 32;

/// Reads pages until there are no more, then waits for the log to grow, and so on.
pub struct Follower {
    surface: Arc<Surface>,
    head: watch::Receiver<LogHead>,
    stop: watch::Receiver<bool>,
    params: EventListParams,
    ready: VecDeque<SequencedEvent>,
    /// The log's head before the last page was read, once that page was the last there was.
    seen: Option<Sequence>,
}

impl Follower {
    /// Follows the log as `params` ask.
    ///
    /// # Errors
    /// When the asked place lies beyond the log: what follows it can't be told.
    pub fn new(surface: Arc<Surface>, params: EventListParams) -> Result<Self, RpcError> {
        let head = surface.log.head().place.sequence;
        if params.after > head {
            let message = format!("the log ends at {head}, before {}", params.after);
            return Err(RpcError::new(ErrorCode::OTHER_LOG, message)
                .with("head_seq", head.0)
                .hint("begin again at 0, or at the end"));
        }
        Ok(Self {
            head: surface.log.watch(),
            stop: surface.stop.subscribe(),
            params,
            ready: VecDeque::new(),
            seen: None,
            surface,
        })
    }

    /// The events as bytes of a response. Ends when the daemon stops.
    pub fn into_stream(self) -> impl Stream<Item = Result<Bytes, RpcError>> {
        stream::unfold(self, |mut follower| async {
            let next = follower.next().await?;
            Some((next, follower))
        })
    }

    async fn next(&mut self) -> Option<Result<Bytes, RpcError>> {
        while self.ready.is_empty() {
            if *self.stop.borrow() {
                return None;
            }
            if let Some(seen) = self.seen {
                tokio::select! {
                    grown = self.head.wait_for(|head| head.place.sequence > seen) => {
                        grown.ok()?;
                    }
                    // An error means that the sender is gone, which is the end as well.
                    _ = self.stop.wait_for(|stop| *stop) => return None,
                }
            }
            if let Err(error) = self.read().await {
                return Some(Err(error));
            }
        }
        let mut chunk = Vec::new();
        for event in self.ready.drain(..) {
            frame(&event, &mut chunk);
        }
        Some(Ok(Bytes::from(chunk)))
    }

    async fn read(&mut self) -> Result<(), RpcError> {
        // Taken before the page is read: what is committed meanwhile makes us look again.
        let before = self.head.borrow_and_update().place.sequence;
        let mut params = self.params.clone();
        if !params.newest {
            params.limit = Some(PAGE_EVENTS);
        }
        let page = self.surface.log.list(params).await.map_err(errors::log)?;
        // The last ones are asked for once; from then on it is what comes after them.
        self.params.newest = false;
        self.params.after = self.params.after.max(page.next);
        self.seen = (!page.more_available).then_some(before);
        self.ready.extend(page.events);
        Ok(())
    }
}

/// One event in the form of server-sent events. Its id is its place, so that a reader who lost the
/// connection knows where to go on.
fn frame(event: &SequencedEvent, out: &mut Vec<u8>) {
    let sequence = event.sequence;
    out.extend_from_slice(
        format!("id: {sequence}\ndata: {{\"sequence\":{sequence},\"event\":").as_bytes(),
    );
    // A line break can only stand between the tokens of JSON. It would end the field, so it
    // becomes a field of its own, which the reader joins again with a line break.
    let text = event.event.get().replace("\r\n", "\n").replace('\r', "\n");
    out.extend_from_slice(text.replace('\n', "\ndata: ").as_bytes());
    out.extend_from_slice(b"}\n\n");
}
