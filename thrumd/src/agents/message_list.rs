//! Messages of a project or of all of them, and how far each got: for pages and dashboards.

use thrum_api::event::EventRef;
use thrum_api::local::{
    ListedMessage, Message, MessageDeliveriesParams, MessageDeliveriesResult, MessageDelivery,
    MessageListParams, MessageListResult,
};
use thrum_api::{LogPosition, Sequence, names};

use super::bitmaps::{self, ALL_PROJECTS};
use super::delivery::{FoundMessage, Summarizer};
use super::directory::find_project;
use super::error::{AgentsError, log_unread, views};
use super::inbox::INBOX_MAX_BYTES;
use super::message::{message, shown_bytes};
use super::reach::Machines;
use super::store::{Cursor, Store};
use super::{Agents, project};
use crate::log::column::{int, uint};
use crate::log::{LogHead, LogReader};

/// Messages in an answer, unless the caller sets a limit.
const LIST_DEFAULT: u32 = 50;
/// Messages in an answer at most.
const LIST_MAX: u32 = 200;
/// Positions that one call looks at to find messages that can still be read.
const EXAMINED_MAX: usize = 10_000;

/// Which messages are asked for. Project None means all projects.
pub(super) struct ListQuery {
    /// Whose read messages count as read; None: all do.
    pub(super) agent: Option<String>,
    pub(super) project: Option<String>,
    pub(super) from: Place,
    pub(super) limit: usize,
}

/// Where a page begins.
#[derive(Debug, Clone, Copy)]
pub(super) enum Place {
    /// Before a position, the newest first.
    Before(i64),
    /// After a position, the oldest first.
    After(i64),
}

/// An answer, and rows of the log that were found damaged on the way.
pub(super) struct Listed<T> {
    pub(super) result: T,
    pub(super) damaged: Vec<Sequence>,
}

/// A message of the log, as it is shown and as its delivery is judged.
pub(super) struct Found {
    pub(super) shown: Message,
    pub(super) sent: FoundMessage,
}

/// Messages as they are collected for an answer.
#[derive(Default)]
pub(super) struct Page {
    /// Their texts and recipients are shown, and have to fit into it.
    has_texts: bool,
    pub(super) messages: Vec<Found>,
    count: usize,
    bytes: usize,
    /// The last position that was read.
    last: i64,
    /// The next message has no place.
    pub(super) is_full: bool,
    pub(super) damaged: Vec<Sequence>,
}

impl Page {
    /// An empty one.
    pub(super) fn with_texts() -> Self {
        Self { has_texts: true, ..Self::default() }
    }
}

impl Agents {
    /// Messages of a project or of all, and how far each got.
    ///
    /// # Errors
    /// When a name is invalid, when a page is asked for before one position and after another, and when the views can't be
    /// brought up to the log.
    pub async fn message_list(
        &self,
        params: MessageListParams,
    ) -> Result<MessageListResult, AgentsError> {
        let from = match (params.before, params.after) {
            (Some(_), Some(_)) => return Err(AgentsError::BeforeAndAfter),
            (None, Some(after)) => Place::After(int(after.0)),
            (before, None) => Place::Before(before.map_or(i64::MAX, |before| int(before.0))),
        };
        let query = ListQuery {
            agent: params.agent.as_deref().map(names::agent).transpose()?,
            project: project(params.project)?,
            from,
            limit: page_limit(params.limit, LIST_DEFAULT, LIST_MAX),
        };
        let (log, machines) = (self.inner.log.reader(), self.machines_now());
        self.listed(move |store, head| store.message_list(&log, &query, &machines, head)).await
    }

    /// How far messages got, and whether they were read. What is not here (any more) is left out.
    ///
    /// # Errors
    /// When the name is invalid, when there are too many messages, and when the views can't be brought up to the log.
    pub async fn message_deliveries(
        &self,
        params: MessageDeliveriesParams,
    ) -> Result<MessageDeliveriesResult, AgentsError> {
        let agent = params.agent.as_deref().map(names::agent).transpose()?;
        let messages = params.messages;
        if messages.len() > LIST_MAX as usize {
            return Err(AgentsError::TooManyMessages { count: messages.len(), max: LIST_MAX });
        }
        let (log, machines) = (self.inner.log.reader(), self.machines_now());
        self.listed(move |store, head| {
            store.message_deliveries(&log, agent.as_deref(), &messages, &machines, head)
        })
        .await
    }

    /// Runs a query that lists messages on the views as they are at the end of the log.
    pub(super) async fn listed<T: Send + 'static>(
        &self,
        list: impl FnOnce(&Store, LogHead) -> Result<Listed<T>, AgentsError> + Send + 'static,
    ) -> Result<T, AgentsError> {
        let head = self.inner.log.head();
        self.digested(head.position.sequence).await?;
        let Listed { result, damaged } = self.read(move |store| list(store, head)).await?;
        self.inner.log.quarantine_damaged(damaged).await;
        Ok(result)
    }
}

impl Store {
    /// A page of messages. Those that the log has lost are left out.
    pub(super) fn message_list(
        &self,
        log: &LogReader,
        query: &ListQuery,
        machines: &Machines,
        head: LogHead,
    ) -> Result<Listed<MessageListResult>, AgentsError> {
        let doing = views("list messages");
        // Empty views of an empty log have none.
        let known = self.cursor()?;
        let known = known.unwrap_or(Cursor { epoch: head.epoch, position: LogPosition::START });
        let (mut page, mut next) = (Page::with_texts(), None);
        if let Some(project) = self.list_of(query.project.as_deref()).map_err(&doing)? {
            let (mut from, mut examined) = (query.from, 0);
            loop {
                // One more tells whether there is a next page.
                let room = query.limit + 1 - page.messages.len();
                let places = self.places(project, from, room).map_err(&doing)?;
                self.read_page(log, &places, query.limit, &mut page)?;
                examined += places.len();
                let is_end = places.len() < room && !page.is_full;
                if is_end {
                    break;
                }
                if page.is_full || examined >= EXAMINED_MAX {
                    next = Some(Sequence(uint(page.last)));
                    break;
                }
                from = from.moved_to(page.last);
            }
        }
        let mut summarizer = Summarizer::new(self, log, machines, head.position.sequence);
        let mut messages = Vec::new();
        for found in page.messages {
            messages.push(self.with_delivery(&mut summarizer, query.agent.as_deref(), found)?);
        }
        let (read_seq, epoch) = (known.position.sequence, known.epoch);
        let result = MessageListResult { messages, next, read_seq, epoch };
        Ok(Listed { result, damaged: page.damaged })
    }

    /// How far these messages got.
    pub(super) fn message_deliveries(
        &self,
        log: &LogReader,
        agent: Option<&str>,
        messages: &[EventRef],
        machines: &Machines,
        head: LogHead,
    ) -> Result<Listed<MessageDeliveriesResult>, AgentsError> {
        let doing = views("look how far messages got");
        let ids = messages.iter().map(|message| message.event_id);
        let mut places = Vec::new();
        for (message, with_id) in messages.iter().zip(log.find(ids).map_err(log_unread)?) {
            for event in with_id.iter().filter(|event| event.origin == message.origin_daemon) {
                let sequence = int(event.sequence.0);
                // A deleted one is in no list.
                if bitmaps::has(&self.connection, ALL_PROJECTS, sequence).map_err(&doing)? {
                    places.push(sequence);
                    break;
                }
            }
        }
        let mut page = Page::default();
        self.read_page(log, &places, places.len(), &mut page)?;
        let mut summarizer = Summarizer::new(self, log, machines, head.position.sequence);
        let mut deliveries = Vec::new();
        for found in page.messages {
            let ListedMessage { message, delivery, replies } =
                self.with_delivery(&mut summarizer, agent, found)?;
            let (read, message) = (message.read, message.event());
            deliveries.push(MessageDelivery { message, delivery, read, replies });
        }
        Ok(Listed { result: MessageDeliveriesResult { deliveries }, damaged: page.damaged })
    }

    /// The list of a project, or of all; None if nothing is known of the project.
    pub(super) fn list_of(&self, project: Option<&str>) -> rusqlite::Result<Option<i64>> {
        match project {
            Some(name) => find_project(&self.connection, name),
            None => Ok(Some(ALL_PROJECTS)),
        }
    }

    pub(super) fn places(
        &self,
        project: i64,
        from: Place,
        limit: usize,
    ) -> rusqlite::Result<Vec<i64>> {
        match from {
            Place::Before(at) => bitmaps::before(&self.connection, project, at, limit),
            Place::After(at) => bitmaps::after(&self.connection, project, at, limit),
        }
    }

    /// Reads messages from the log while they have a place.
    pub(super) fn read_page(
        &self,
        log: &LogReader,
        places: &[i64],
        limit: usize,
        page: &mut Page,
    ) -> Result<(), AgentsError> {
        let places = places.iter().map(|place| Sequence(uint(*place)));
        log.each_at(places, |sequence, event| {
            let shown = event.and_then(|event| message(event, true));
            let sent = event.and_then(|event| self.found_message(sequence, event));
            match shown.zip(sent.map(FoundMessage::without_text)) {
                Some((mut shown, sent)) => {
                    if !page.has_texts {
                        (shown.text, shown.to) = (String::new(), Vec::new());
                    }
                    page.bytes += shown_bytes(&shown);
                    let fits = page.count == 0 || page.bytes <= INBOX_MAX_BYTES;
                    if page.count >= limit || !fits {
                        page.is_full = true;
                        return false;
                    }
                    page.count += 1;
                    page.messages.push(Found { shown, sent });
                }
                None if event.is_some_and(|event| event.is_damaged()) => {
                    page.damaged.push(sequence);
                }
                None => {}
            }
            page.last = int(sequence.0);
            true
        })
        .map_err(log_unread)
    }

    /// A message, with how far it got and whether the agent has read it.
    pub(super) fn with_delivery(
        &self,
        summarizer: &mut Summarizer<'_>,
        agent: Option<&str>,
        found: Found,
    ) -> Result<ListedMessage, AgentsError> {
        let Found { shown: mut message, sent } = found;
        self.note_read(agent, &mut message)?;
        let is_first = message.thread.or(message.reply_to).is_none();
        let replies = is_first.then(|| self.replies(message.event())).transpose()?;
        Ok(ListedMessage { delivery: summarizer.summary(&sent)?, message, replies })
    }
}

impl Store {
    /// Notes whether an agent has read a message.
    pub(super) fn note_read(
        &self,
        agent: Option<&str>,
        message: &mut Message,
    ) -> Result<(), AgentsError> {
        if let Some(agent) = agent {
            let unread = self.is_unread(agent, message).map_err(views("look into an inbox"))?;
            message.read = !unread;
        }
        Ok(())
    }
}

impl Place {
    /// The same direction from a position on.
    pub(super) const fn moved_to(self, at: i64) -> Self {
        match self {
            Self::Before(_) => Self::Before(at),
            Self::After(_) => Self::After(at),
        }
    }
}

/// How many entries a page has at most.
pub(super) fn page_limit(asked: Option<u32>, default: u32, max: u32) -> usize {
    usize::try_from(asked.unwrap_or(default).clamp(1, max)).unwrap_or(usize::MAX)
}
