//! Judges how far a message got on its way to each recipient, and what keeps it.

use rusqlite::{OptionalExtension, params};
use thrum_api::event::{Reach, SessionInfo};
use thrum_api::local::{AgentState, DeliveryState, Obstacle, RecipientStatus};
use thrum_api::{DaemonId, Timestamp};

use super::super::reach::{Contact, Machines};
use super::super::sessions::live::AgentKey;
use super::super::store::Store;
use super::facts::Facts;
use super::recipients::Recipient;

const PRESENCE: &str = "SELECT sessions FROM presence WHERE inbox = ?1 AND origin = ?2";

/// As in `inbox`: none may scan rows whose number grows with the log.
#[cfg(test)]
pub(super) const QUERIES: &[&str] = &[PRESENCE];

/// Judges how far one message got.
pub(super) struct Judge<'a> {
    pub(super) store: &'a Store,
    pub(super) machines: &'a Machines,
    pub(super) facts: &'a Facts,
    /// Of the message.
    pub(super) project: &'a str,
}

impl Judge<'_> {
    /// How far it got on its way to a recipient.
    pub(super) fn state(&self, recipient: Recipient) -> (Recipient, RecipientStatus) {
        let facts = self.facts;
        let daemon = recipient.daemon;
        let here = daemon == Some(self.store.daemon);
        let read = facts.read(&recipient, self.store.daemon);
        let answer = facts.answer(&recipient);
        let confirmed = || {
            let peer = daemon.and_then(|daemon| self.machines.peers.get(&daemon));
            peer.is_some_and(|peer| peer.confirmed >= facts.sequence)
        };
        let received = || daemon.is_some_and(|daemon| facts.received.contains(&daemon));
        let state = if answer.is_some() {
            DeliveryState::Answered
        } else if read.is_some() {
            DeliveryState::Read
        } else if here || confirmed() || received() {
            DeliveryState::There
        } else {
            DeliveryState::Stored
        };
        let status = RecipientStatus {
            agent: recipient.agent.clone(),
            daemon_id: daemon,
            machine: None,
            state,
            read_at: read.map(|read| Timestamp::from_millis(read.at)),
            route: read.map(|read| read.route),
            session: read.and_then(|read| read.session.clone()),
            answered_at: answer.map(|answer| answer.at),
            answer: answer.map(|answer| answer.event),
            live: None,
            reach: None,
            obstacle: None,
            since: None,
            behind: None,
        };
        (recipient, status)
    }

    /// Whether it is on its way to a peer that can be reached.
    pub(super) fn is_under_way(&self, status: &RecipientStatus) -> bool {
        let peer = status.daemon_id.and_then(|daemon| self.machines.peers.get(&daemon));
        let reachable = peer.is_some_and(|peer| peer.unreachable_since.is_none());
        status.state == DeliveryState::Stored && reachable
    }

    /// With what the recipient does, and why the message did not get further yet.
    pub(super) fn explained(
        &self,
        recipient: &Recipient,
        mut status: RecipientStatus,
    ) -> rusqlite::Result<RecipientStatus> {
        let Some(daemon) = recipient.daemon else {
            status.obstacle = Some(Obstacle::UnknownName);
            return Ok(status);
        };
        let peer = self.machines.peers.get(&daemon);
        let contact = match daemon == self.store.daemon {
            true => Contact::Open,
            false => self.machines.contact(daemon),
        };
        if recipient.known {
            let (state, reach) = self.live_state(recipient, daemon)?;
            status.live = Some(match contact {
                Contact::Cut { .. } => AgentState::Unreachable,
                Contact::Open => state,
            });
            status.reach = reach;
        }
        if status.state >= DeliveryState::Read {
            return Ok(status);
        }
        if let Contact::Cut { since } = contact {
            status.since = since;
        }
        if status.state == DeliveryState::Stored {
            status.behind = peer.and_then(|peer| peer.lacks(self.facts.head));
        }
        status.obstacle = Some(match (contact, status.state, peer) {
            (Contact::Cut { .. }, ..) => Obstacle::Unreachable,
            (Contact::Open, DeliveryState::Stored, Some(_)) => Obstacle::Behind,
            (Contact::Open, DeliveryState::Stored, None) => Obstacle::Relayed,
            _ if !recipient.known => Obstacle::UnknownName,
            _ if status.live == Some(AgentState::Gone) => Obstacle::NoSession,
            _ => Obstacle::NotShown,
        });
        Ok(status)
    }
}

impl Judge<'_> {
    /// What an agent does, and the best way in which a message gets to an idle session of it: one of this machine now, others
    /// as their daemons told at last.
    fn live_state(
        &self,
        of: &Recipient,
        daemon: DaemonId,
    ) -> rusqlite::Result<(AgentState, Option<Reach>)> {
        let own = self.machines.own.as_ref().filter(|_| daemon == self.store.daemon);
        let key = AgentKey { project: self.project.to_owned(), agent: of.agent.clone() };
        let own = own.and_then(|sessions| {
            sessions.look(|book| Some((book.state(&key)?, book.reach(&key)?)))
        });
        match own {
            Some(state) => Ok(state),
            None => self.store.told_state(of.inbox, daemon),
        }
    }
}

impl Store {
    fn told_state(
        &self,
        inbox: Option<i64>,
        daemon: DaemonId,
    ) -> rusqlite::Result<(AgentState, Option<Reach>)> {
        let sessions: Option<String> = self
            .connection
            .prepare_cached(PRESENCE)?
            .query_row(params![inbox, daemon.to_bytes()], |row| row.get(0))
            .optional()?;
        let sessions = sessions.and_then(|json| serde_json::from_str(&json).ok());
        let sessions: Vec<SessionInfo> = sessions.unwrap_or_default();
        let reach = sessions.iter().filter_map(|session| session.reach).min();
        Ok((AgentState::of(&sessions), reach))
    }
}
