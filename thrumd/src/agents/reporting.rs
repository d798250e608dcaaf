//! Tells how far messages got: the calls of the local API.

use thrum_api::event::EventRef;
use thrum_api::local::{MessageSentParams, MessageSentResult};
use thrum_api::names;

use super::delivery::Delivery;
use super::error::{AgentsError, log_unread};
use super::reach::{Machines, MachinesNow};
use super::{Agents, limit};

/// Messages in an answer, unless the caller sets a limit.
const SENT_DEFAULT: u32 = 20;
/// Messages in an answer at most: each has up to 100 recipients.
const SENT_MAX: u32 = 200;

impl Agents {
    /// From now on, `now` tells how it is with other machines. Without it, none is a peer.
    pub fn know_machines(&self, now: MachinesNow) {
        // Only the first one counts; there is no other.
        drop(self.inner.machines.set(now));
    }

    /// How it is with other machines now.
    pub(super) fn machines_now(&self) -> Machines {
        let machines = self.inner.machines.get().map(|now| now()).unwrap_or_default();
        Machines { own: Some(self.inner.sessions.clone()), ..machines }
    }

    /// How far a message got that was sent on this machine.
    ///
    /// # Errors
    /// When there is no such message, and when the views can't be brought up to the log.
    pub async fn delivery(&self, message: EventRef) -> Result<Delivery, AgentsError> {
        let head = self.inner.log.head().position.sequence;
        self.digested(head).await?;
        let (log, machines) = (self.inner.log.reader(), self.machines_now());
        let delivery = self.read(move |store| {
            let found = log.find([message.event_id]).map_err(log_unread)?;
            let at = found.iter().flatten().find(|event| event.origin == message.origin_daemon);
            match at {
                Some(event) => store.delivery(&log, event.sequence, &machines, head),
                None => Ok(None),
            }
        });
        delivery.await?.ok_or(AgentsError::NotSentHere { event_id: message.event_id })
    }

    /// How far the messages of an agent got that were sent on this machine, the newest first.
    ///
    /// # Errors
    /// When a name is invalid, and when the views can't be brought up to the log.
    pub async fn sent(&self, params: MessageSentParams) -> Result<MessageSentResult, AgentsError> {
        let agent = names::agent(&params.agent)?;
        let project = names::project(&params.project)?;
        let page = (params.before, limit(params.limit.map(|it| it.min(SENT_MAX)), SENT_DEFAULT));
        let head = self.inner.log.head().position.sequence;
        self.digested(head).await?;
        let (log, machines) = (self.inner.log.reader(), self.machines_now());
        let messages = self
            .read(move |store| store.sent(&log, (&agent, &project), page, &machines, head))
            .await?;
        Ok(MessageSentResult { messages })
    }
}
