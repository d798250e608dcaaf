//! Sending messages, and joining: without waiting for the views.

use std::time::Duration;
use thrum_api::local::{Appended, MessageSendParams, MessageSendResult};
use thrum_api::{Draft, Sequence};

use super::Agents;
use super::digest::PAGE_EVENTS;
use super::error::AgentsError;
use super::send::{self, OutgoingMessage};
use crate::clock;

/// How long a message that is being sent waits for views that are nearly up to date, to say which recipients are
/// unknown.
const UNKNOWN_MAX: Duration = Duration::from_millis(100);
/// One that only waits joins again after this long, a day, so that it stays listed.
const SEEN_AGAIN_AFTER_MILLIS: u64 = 24 * 3600 * 1000;

impl Agents {
    /// Writes a message event (and `agent.joined` the first time that a name is used here). It doesn't wait for the
    /// views: while they are behind, it is not said which recipients are unknown, and a name may join once more.
    ///
    /// # Errors
    /// When names, text or recipients are invalid, and when the log refuses the event.
    pub async fn send(&self, params: MessageSendParams) -> Result<MessageSendResult, AgentsError> {
        let OutgoingMessage { from, project, to, draft } = OutgoingMessage::new(params)?;
        let head = self.inner.log.head().position.sequence;
        let current = self.inner.progress.borrow().has(head);
        let look = self.look_up(&project, &from, to).await?;
        let written = async {
            if look.known {
                self.append(vec![draft]).await
            } else {
                self.join(&project, &from, Some(draft)).await
            }
        };
        let unknown = async {
            if current {
                look.unknown
            } else {
                self.still_unknown(&project, look.unknown, head).await
            }
        };
        let (written, mut unknown) = tokio::join!(written, unknown);
        let written = written?;
        let written = written.last().ok_or(AgentsError::Stopping)?;
        // The first message of an agent may be to itself.
        unknown.retain(|name| *name != from);
        Ok(MessageSendResult {
            event_id: written.event_id,
            sequence: written.sequence,
            unknown,
            recipients: Vec::new(),
            total: 0,
        })
    }

    /// What the views say now of a sender and of recipients. While they can't be read, nobody is known.
    async fn look_up(
        &self,
        project: &str,
        from: &str,
        to: Vec<String>,
    ) -> Result<SenderLookup, AgentsError> {
        let (within, name, names) = (project.to_owned(), from.to_owned(), to.clone());
        let look = self.read(move |store| {
            let known = store.last_seen(&within, &name)?.is_some();
            Ok(SenderLookup { known, unknown: store.unknown(&within, &names)? })
        });
        match look.await {
            Err(AgentsError::Stopping) => Err(AgentsError::Stopping),
            look => Ok(look.unwrap_or(SenderLookup { known: false, unknown: Vec::new() })),
        }
    }

    /// Those of the names that are unknown also to views with everything up to `head`. Nobody, if those can't be
    /// had in a moment.
    async fn still_unknown(
        &self,
        project: &str,
        names: Vec<String>,
        head: Sequence,
    ) -> Vec<String> {
        let digested = self.digested_up_to().unwrap_or_default();
        if names.is_empty() || head.0.saturating_sub(digested.0) > PAGE_EVENTS as u64 {
            return Vec::new();
        }
        let project = project.to_owned();
        let look = async {
            self.digested(head).await?;
            self.read(move |store| store.unknown(&project, &names)).await
        };
        let looked = tokio::time::timeout(UNKNOWN_MAX, look).await;
        looked.unwrap_or(Ok(Vec::new())).unwrap_or_default()
    }

    /// Whether an agent was seen on this daemon: at any time, or within the last day.
    async fn was_seen(&self, project: &str, agent: &str, ever: bool) -> Result<bool, AgentsError> {
        let (project, agent) = (project.to_owned(), agent.to_owned());
        let seen = self.read(move |store| store.last_seen(&project, &agent)).await?;
        let counts = |at| ever || clock::now().millis_since(at) < SEEN_AGAIN_AFTER_MILLIS;
        Ok(seen.is_some_and(counts))
    }

    /// Writes that an agent has joined, unless it was seen lately, and `then` in the same append. With something to
    /// write that shows it anyway, unless it was ever seen. As far as the views know now: an agent joins again if
    /// they are behind and this process has not written that it joined.
    pub(super) async fn join(
        &self,
        project: &str,
        agent: &str,
        then: Option<Draft>,
    ) -> Result<Vec<Appended>, AgentsError> {
        let ever = then.is_some();
        if !ever && self.was_seen(project, agent, ever).await? {
            return Ok(Vec::new());
        }
        let mut joined = self.inner.joining.lock().await;
        joined.forget_digested(&self.inner.progress.borrow());
        let is_here = joined.contain(project, agent)
            || self.was_seen(project, agent, ever).await.unwrap_or(false);
        if is_here {
            drop(joined);
            return match then {
                Some(draft) => self.append(vec![draft]).await,
                None => Ok(Vec::new()),
            };
        }
        let mut drafts = vec![send::joined(project, agent)?];
        drafts.extend(then);
        let appended = self.append(drafts).await?;
        if let Some(event) = appended.first() {
            joined.add(project, agent, event.sequence);
        }
        Ok(appended)
    }

    async fn append(&self, drafts: Vec<Draft>) -> Result<Vec<Appended>, AgentsError> {
        let refused =
            |source| AgentsError::Log { doing: "write to the log", source: Box::new(source) };
        self.inner.log.append(drafts).await.map_err(refused)
    }
}

/// What the views say of a message that is being sent.
struct SenderLookup {
    /// The sender was seen on this daemon.
    known: bool,
    /// Recipients that were not seen in this project on any daemon.
    unknown: Vec<String>,
}
