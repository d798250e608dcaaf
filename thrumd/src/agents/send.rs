//! Outgoing messages: a caller's request becomes a checked draft of an event.

use std::collections::BTreeSet;

use serde::Serialize;
use thrum_api::event::{AGENT_JOINED, AgentJoined, MESSAGE_SENT, MessageSent};
use thrum_api::limits::{EVENT_MAX_BYTES, RECIPIENTS_MAX};
use thrum_api::local::MessageSendParams;
use thrum_api::names::NameError;
use thrum_api::{Address, Draft, names};

use super::error::AgentsError;
use crate::ids;

/// Bytes of an event without its body at most: ids, clock and the longest project name with every
/// character escaped.
const HEADER_MAX_BYTES: usize = 2048;

/// A message that was checked and can be written.
pub(super) struct OutgoingMessage {
    pub(super) from: String,
    pub(super) project: String,
    pub(super) to: Vec<String>,
    pub(super) draft: Draft,
}

impl OutgoingMessage {
    /// Checks a request. Recipients are kept once each, in the caller's order.
    pub(super) fn new(params: MessageSendParams) -> Result<Self, AgentsError> {
        let from = names::agent(&params.from)?;
        let project = names::project(&params.project)?;
        let to = unique_agents(&params.to)?;
        match (to.is_empty(), params.all) {
            (true, false) => return Err(AgentsError::NoRecipient),
            (false, true) => return Err(AgentsError::AllAndSome),
            _ if to.len() > RECIPIENTS_MAX => {
                return Err(AgentsError::TooManyRecipients { count: to.len() });
            }
            _ => {}
        }
        if params.text.trim().is_empty() {
            return Err(AgentsError::NoText);
        }
        let body = MessageSent {
            from: from.clone(),
            to: to.iter().map(|name| Address::agent(name)).collect::<Result<_, _>>()?,
            all: params.all,
            reply_to: params.reply_to,
            thread: params.reply_to,
            urgent: params.urgent,
            text: params.text,
        };
        let mut draft = draft(MESSAGE_SENT, &project, &body)?;
        let bytes = draft.body.get().len() + HEADER_MAX_BYTES;
        if bytes > EVENT_MAX_BYTES {
            return Err(AgentsError::TooLarge { bytes, max: EVENT_MAX_BYTES });
        }
        draft.event_id = Some(params.event_id.unwrap_or_else(ids::event));
        Ok(Self { from, project, to, draft })
    }
}

/// Checks names of agents; keeps each once, in the given order.
fn unique_agents(names: &[String]) -> Result<Vec<String>, NameError> {
    let mut known = BTreeSet::new();
    let mut unique = Vec::new();
    for name in names {
        let name = names::agent(name)?;
        if known.insert(name.clone()) {
            unique.push(name);
        }
    }
    Ok(unique)
}

/// The event `agent.joined`: the agent is on this machine.
pub(super) fn joined(project: &str, agent: &str) -> Result<Draft, AgentsError> {
    draft(
        AGENT_JOINED,
        project,
        &AgentJoined { agent: agent.to_owned(), machine: None, about: None },
    )
}

fn draft(event_type: &str, project: &str, body: &impl Serialize) -> Result<Draft, AgentsError> {
    let body = serde_json::value::to_raw_value(body).map_err(AgentsError::Body)?;
    Ok(Draft {
        event_id: None,
        event_type: event_type.to_owned(),
        project: Some(project.to_owned()),
        body,
    })
}
