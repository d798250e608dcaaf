//! `GET /events`: the events after a sequence, without a gap, as server-sent events.

use std::collections::VecDeque;
use std::sync::Arc;

use bytes::Bytes;
use futures_util::stream::{self, Stream};
use thrum_api::local::EventListParams;
use thrum_api::{ErrorCode, RpcError, Sequence, SequencedEvent};
use tokio::sync::watch;

use super::{AdminContext, errors};
use crate::log::LogHead;

/// Events read at once. Few, because each may have the maximum size.
const PAGE_EVENTS: u32 = 32;

/// Follows the log: reads pages until there are no more, then waits for the log to grow.
pub struct Follower {
    context: Arc<AdminContext>,
    head: watch::Receiver<LogHead>,
    params: EventListParams,
    ready: VecDeque<SequencedEvent>,
    /// The head before the last page was read, if that page reached the end of the log.
    read_up_to: Option<Sequence>,
}

impl Follower {
    /// A follower of the log.
    ///
    /// # Errors
    /// When `after` lies beyond the end of the log.
    pub fn new(context: Arc<AdminContext>, params: EventListParams) -> Result<Self, RpcError> {
        let head = context.log.head().position.sequence;
        if params.after > head {
            let message = format!("the log ends at {head}, before {}", params.after);
            return Err(RpcError::new(ErrorCode::OTHER_LOG, message)
                .with("head_seq", head.0)
                .hint("start again at 0, or at the end"));
        }
        Ok(Self {
            head: context.log.watch(),
            params,
            ready: VecDeque::new(),
            read_up_to: None,
            context,
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
            if self.context.stop.is_cancelled() {
                return None;
            }
            if let Some(read_up_to) = self.read_up_to {
                tokio::select! {
                    grown = self.head.wait_for(|head| head.position.sequence > read_up_to) => {
                        grown.ok()?;
                    }
                    () = self.context.stop.cancelled() => return None,
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
        // Taken before the page is read, so that a commit meanwhile leads to another read.
        let before = self.head.borrow_and_update().position.sequence;
        let mut params = self.params.clone();
        if !params.newest {
            params.limit = Some(PAGE_EVENTS);
        }
        let follows = self.read_up_to.is_some();
        let newest = follows.then(|| self.context.log.list_newest(&params)).flatten();
        let page = match newest {
            Some(page) => page,
            None => self.context.log.list(params).await.map_err(errors::log)?,
        };
        // `newest` applies to the first page only; what follows it is read in order.
        self.params.newest = false;
        self.params.after = self.params.after.max(page.next);
        self.read_up_to = (!page.more_available).then_some(before);
        self.ready.extend(page.events);
        Ok(())
    }
}

/// Writes one event as a server-sent event. Its id is its sequence, so that a reader who lost the
/// connection can resume.
fn frame(event: &SequencedEvent, out: &mut Vec<u8>) {
    let sequence = event.sequence;
    out.extend_from_slice(
        format!("id: {sequence}\ndata: {{\"sequence\":{sequence},\"event\":").as_bytes(),
    );
    // A line break can only stand between JSON tokens. It would end the field, so each line becomes
    // a field of its own; the reader joins them again with a line break.
    let text = event.event.get().replace("\r\n", "\n").replace('\r', "\n");
    out.extend_from_slice(text.replace('\n', "\ndata: ").as_bytes());
    out.extend_from_slice(b"}\n\n");
}
