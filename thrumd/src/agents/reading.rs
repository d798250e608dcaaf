//! Marks messages read by their reader.

use std::collections::BTreeSet;

use rusqlite::Connection;
use thrum_api::event::Route;
use thrum_api::local::MessageRef;
use thrum_api::{DaemonId, Timestamp};

use super::broadcasts;
use super::directory::{find_inbox, find_project, project_name};
use super::error::{AgentsError, views};
use super::inbox::count_down;
use super::marks::{ReadMark, route_name};
use super::store::Store;
use crate::log::FoundEvent;
use crate::log::column::int;

const DELIVERED: &str =
    "SELECT 1 FROM deliveries WHERE inbox = ?1 AND read IN (0, 1) AND sequence = ?2";

/// As in `inbox`: none may scan rows whose number grows with the log.
#[cfg(test)]
pub(super) const QUERIES: &[&str] = &[DELIVERED];

/// Who reads, and how.
pub(super) struct Reading {
    pub(super) agent: String,
    pub(super) route: Route,
    /// The session that the messages were shown to.
    pub(super) session: Option<String>,
    pub(super) at: Timestamp,
}

impl Store {
    /// Marks messages read by an agent, all or none. `found`: for each of them, the events with its id. Messages that it
    /// did not get or has read cost no write. Answers whether another daemon has to be told of any.
    pub(super) fn mark_read(
        &mut self,
        reading: &Reading,
        messages: &[MessageRef],
        found: &[Vec<FoundEvent>],
    ) -> Result<bool, AgentsError> {
        let here = self.daemon;
        let mut owes = false;
        let doing = views("mark messages read");
        let transaction = self.connection.transaction().map_err(&doing)?;
        for (message, with_id) in messages.iter().zip(found) {
            let mut delivered = Vec::new();
            let mut daemons = BTreeSet::new();
            for event in of_origin(message, with_id) {
                if let Some(delivery) = find(&transaction, &reading.agent, event).map_err(&doing)? {
                    delivered.push(delivery);
                    daemons.insert(event.origin);
                }
            }
            // Whoever gave an id alone meant one of them. If both were marked, nobody might ever read the other one.
            if daemons.len() > 1 {
                let (agent, daemons) = (reading.agent.clone(), daemons.len());
                return Err(AgentsError::AmbiguousId {
                    agent,
                    event_id: message.event_id,
                    daemons,
                });
            }
            for delivery in delivered {
                owes |= mark(&transaction, here, reading, &delivery).map_err(&doing)?;
            }
        }
        transaction.commit().map_err(&doing)?;
        Ok(owes)
    }
}

/// The events that a reader means by these messages. `found`: for each of them, the events with its id.
pub(super) fn meant<'a>(
    messages: &'a [MessageRef],
    found: &'a [Vec<FoundEvent>],
) -> impl Iterator<Item = &'a FoundEvent> {
    messages.iter().zip(found).flat_map(|(message, with_id)| of_origin(message, with_id))
}

/// Those of these events that are of the message's daemon, or all if it names none.
fn of_origin<'a>(
    message: &'a MessageRef,
    with_id: &'a [FoundEvent],
) -> impl Iterator<Item = &'a FoundEvent> {
    let is_meant = |event: &&FoundEvent| message.origin_daemon.is_none_or(|of| of == event.origin);
    with_id.iter().filter(is_meant)
}

/// A message in an inbox.
struct Delivery<'a> {
    inbox: i64,
    event: &'a FoundEvent,
}

/// Where the agent has this message; None if it did not get it.
fn find<'a>(
    connection: &Connection,
    agent: &str,
    event: &'a FoundEvent,
) -> rusqlite::Result<Option<Delivery<'a>>> {
    // An event with a name that is none was not digested.
    let Ok(project) = project_name(event.project.as_deref()) else {
        return Ok(None);
    };
    let Some(project) = find_project(connection, &project)? else { return Ok(None) };
    let Some(inbox) = find_inbox(connection, project, agent)? else { return Ok(None) };
    let sequence = int(event.sequence.0);
    let is_there = connection.prepare_cached(DELIVERED)?.exists([inbox, sequence])?
        || match broadcasts::number(connection, sequence)? {
            Some(number) => broadcasts::is_unread(connection, inbox, number)?,
            None => false,
        };
    Ok(is_there.then_some(Delivery { inbox, event }))
}

/// Answers whether the message's daemon has to be told.
fn mark(
    connection: &Connection,
    here: DaemonId,
    reading: &Reading,
    delivery: &Delivery<'_>,
) -> rusqlite::Result<bool> {
    let Delivery { inbox, event } = *delivery;
    if !is_read_now(connection, inbox, int(event.sequence.0))? {
        return Ok(false);
    }
    // The marks themselves tell it of messages that were sent here.
    let told = event.origin == here;
    let project = event.project.as_deref().map(|name| project_name(Some(name)));
    let mark = ReadMark {
        agent: reading.agent.clone(),
        origin: event.origin.to_bytes(),
        event_id: event.event_id.ulid().to_bytes(),
        project: project.and_then(Result::ok).unwrap_or_default(),
        at: reading.at.as_millis(),
        route: route_name(reading.route).to_owned(),
        session: reading.session.clone(),
        told,
    };
    mark.store(connection)?;
    Ok(!told)
}

/// Makes an unread message a read one. False if the inbox does not have it, or it was read before.
fn is_read_now(connection: &Connection, inbox: i64, sequence: i64) -> rusqlite::Result<bool> {
    let moved = connection
        .prepare_cached(
            "UPDATE deliveries SET read = 1 WHERE inbox = ? AND read = 0 AND sequence = ?",
        )?
        .execute([inbox, sequence])?;
    if moved > 0 {
        count_down(connection, inbox)?;
        return Ok(true);
    }
    let Some(number) = broadcasts::number(connection, sequence)? else { return Ok(false) };
    let settled = broadcasts::settle(connection, inbox, number)?;
    if settled {
        connection
            .prepare_cached("INSERT INTO deliveries (inbox, read, sequence) VALUES (?, 1, ?)")?
            .execute([inbox, sequence])?;
    }
    Ok(settled)
}
