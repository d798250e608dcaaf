//! A message as readers see it, made of its event in the log.

use std::collections::BTreeSet;

use serde::Deserialize;
use thrum_api::event::MessageSent;
use thrum_api::local::Message;
use thrum_api::{Address, DaemonId, Timestamp, names};

use super::directory::project_name;
use crate::log::StoredEvent;

#[derive(Deserialize)]
struct ParsedEvent {
    origin_daemon: DaemonId,
    body: MessageSent,
}

/// The message of this event; None if it is none (any more).
pub(super) fn message(event: &StoredEvent<'_>, read: bool) -> Option<Message> {
    let ParsedEvent { origin_daemon, body } = serde_json::from_slice(event.json).ok()?;
    Some(Message {
        event_id: event.event_id?,
        sequence: event.sequence,
        from: names::agent(&body.from).ok()?,
        origin_daemon,
        machine: None,
        to: unique(&body.to),
        all: body.all,
        reply_to: body.reply_to,
        thread: body.thread,
        urgent: body.urgent,
        automatic: body.automatic,
        text: body.text,
        project: Some(project_name(event.project).ok()?).filter(|name| !name.is_empty()),
        timestamp: Timestamp::from_millis(event.timestamp),
        read,
    })
}

/// What a message takes of an answer: its text, and its recipients, of whom other machines may name many.
pub(super) fn shown_bytes(message: &Message) -> usize {
    message.text.len() + message.to.iter().map(String::len).sum::<usize>()
}

/// Each address once, in the given order.
fn unique(addresses: &[Address]) -> Vec<String> {
    let mut known = BTreeSet::new();
    let new = addresses.iter().filter(|address| known.insert(*address));
    new.map(ToString::to_string).collect()
}
