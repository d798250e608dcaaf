//! Outgoing events: a caller's request becomes a checked draft of an event.

use std::collections::BTreeSet;

use serde::Serialize;
use thrum_api::event::{
    AGENT_JOINED, AGENT_REMOVED, AgentJoined, AgentRemoved, EventRef, MESSAGE_DELETED,
    MESSAGE_SENT, MessageDeleted, MessageSent,
};
use thrum_api::limits::{EVENT_MAX_BYTES, MESSAGE_TEXT_MAX_BYTES, RECIPIENTS_MAX};
use thrum_api::local::MessageSendParams;
use thrum_api::{Address, AddressError, Draft, EventId, names};

use super::error::AgentsError;
use crate::ids;

/// Bytes of an event without its body at most: ids, clock and the longest project name with every
/// character escaped.
pub(super) const HEADER_MAX_BYTES: usize = 2048;

/// A recipient as a caller names it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Target {
    /// An address as it stands in events.
    Exactly(Address),
    /// `@name`: the group of that name, or else the agent.
    GroupOrAgent(String),
}

impl Target {
    /// The name after an `@`.
    pub(super) fn marked(&self) -> Option<String> {
        match self {
            Self::GroupOrAgent(name) => Some(name.clone()),
            Self::Exactly(_) => None,
        }
    }
}

impl Target {
    fn parse(text: &str) -> Result<Self, AgentsError> {
        match text.parse()? {
            Address::Group(name) => Ok(Self::GroupOrAgent(name)),
            agent => Ok(Self::Exactly(agent)),
        }
    }
}

/// A message that was checked.
pub(super) struct OutgoingMessage {
    pub(super) from: String,
    pub(super) project: String,
    /// The recipients, once each, in the caller's order.
    pub(super) to: Vec<Target>,
    pub(super) all: bool,
    pub(super) reply_to: Option<EventRef>,
    pub(super) thread: Option<EventRef>,
    urgent: bool,
    automatic: bool,
    text: String,
    event_id: EventId,
}

impl OutgoingMessage {
    /// Checks a request. An answer needs no recipients.
    pub(super) fn new(params: MessageSendParams) -> Result<Self, AgentsError> {
        let from = names::agent(&params.from)?;
        let project = names::project(&params.project)?;
        let mut known = BTreeSet::new();
        let mut to = Vec::new();
        for text in &params.to {
            let target = Target::parse(text)?;
            if known.insert(target.clone()) {
                to.push(target);
            }
        }
        match (to.is_empty(), params.all) {
            (true, false) if params.reply_to.is_none() => return Err(AgentsError::NoRecipient),
            (false, true) => return Err(AgentsError::AllAndSome),
            _ if to.len() > RECIPIENTS_MAX => {
                return Err(AgentsError::TooManyRecipients { count: to.len() });
            }
            _ => {}
        }
        if params.text.trim().is_empty() {
            return Err(AgentsError::NoText);
        }
        let bytes = params.text.len();
        if bytes > MESSAGE_TEXT_MAX_BYTES {
            return Err(AgentsError::TextTooLarge { bytes });
        }
        Ok(Self {
            from,
            project,
            to,
            all: params.all,
            reply_to: params.reply_to,
            thread: None,
            urgent: params.urgent,
            automatic: false,
            text: params.text,
            event_id: params.event_id.unwrap_or_else(ids::event),
        })
    }

    /// A message that this daemon writes for an agent.
    pub(super) fn automatic(from: &str, project: &str, text: String) -> Self {
        Self {
            from: from.to_owned(),
            project: project.to_owned(),
            to: Vec::new(),
            all: false,
            reply_to: None,
            thread: None,
            urgent: false,
            automatic: true,
            text,
            event_id: ids::event(),
        }
    }

    /// The event, to these recipients.
    pub(super) fn into_draft(self, to: Vec<Address>) -> Result<Draft, AgentsError> {
        let body = MessageSent {
            automatic: self.automatic,
            from: self.from,
            to,
            all: self.all,
            reply_to: self.reply_to,
            thread: self.thread,
            urgent: self.urgent,
            text: self.text,
        };
        let mut draft = draft(MESSAGE_SENT, Some(&self.project), &body)?;
        // Escapes take up to six bytes for one.
        let bytes = draft.body.get().len() + HEADER_MAX_BYTES;
        if bytes > EVENT_MAX_BYTES {
            return Err(AgentsError::TooLarge { bytes, max: EVENT_MAX_BYTES });
        }
        draft.event_id = Some(self.event_id);
        Ok(draft)
    }
}

impl From<AddressError> for AgentsError {
    fn from(error: AddressError) -> Self {
        match error {
            AddressError::Name(error) => Self::Name(error),
            AddressError::Daemon(error) => Self::Machine(error),
        }
    }
}

/// The event `agent.joined`: the agent is on this machine.
pub(super) fn joined(project: &str, body: &AgentJoined) -> Result<Draft, AgentsError> {
    draft(AGENT_JOINED, Some(project), body)
}

/// The event `agent.removed`.
pub(super) fn removed(project: &str, agent: &str) -> Result<Draft, AgentsError> {
    draft(AGENT_REMOVED, Some(project), &AgentRemoved { agent: agent.to_owned() })
}

/// The event `message.deleted`, for a message of this project.
pub(super) fn deleted(
    project: Option<&str>,
    from: &str,
    event_id: EventId,
) -> Result<Draft, AgentsError> {
    draft(MESSAGE_DELETED, project, &MessageDeleted { from: from.to_owned(), event_id })
}

/// An event of this type.
pub(super) fn draft(
    event_type: &str,
    project: Option<&str>,
    body: &impl Serialize,
) -> Result<Draft, AgentsError> {
    let body = serde_json::value::to_raw_value(body).map_err(AgentsError::Body)?;
    Ok(Draft {
        event_id: None,
        event_type: event_type.to_owned(),
        project: project.map(str::to_owned),
        body,
    })
}
