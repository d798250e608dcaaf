mod addresses;
mod behind;
mod broadcasts;
mod claims;
mod converging;
mod conversation_list;
mod conversations;
mod delivered;
mod filtered;
mod followed;
mod groups;
mod healing;
mod home;
mod joined;
mod listed;
mod marks;
mod origins;
mod presence;
mod receipts;
mod recipients;
mod registering;
mod search;
mod sessions;
mod tables;
mod telling;
mod turns;
mod waking;

use std::ops::{Deref, DerefMut};
use std::path::Path;

use rusqlite::{Connection, params};
use serde_json::json;
use tempfile::TempDir;
use thrum_api::event::Route;
use thrum_api::local::{InboxResult, MessageRef};
use thrum_api::{DaemonId, Epoch, EventId, LogPosition, Sequence, SequencedEvent, Timestamp};
use ulid::Ulid;

use super::error::AgentsError;
use super::inbox::InboxQuery;
use super::reading::Reading;
use super::store::{Cursor, Store};
use crate::keys::SecretKey;
use crate::log::LogReader;
use crate::log::column::int;

const PROJECT: &str = "github.com/acme/app";

/// The key of a daemon.
fn key(number: u8) -> SecretKey {
    SecretKey::from_seed(&[number; 32])
}

fn daemon(number: u8) -> DaemonId {
    key(number).id()
}

fn id(number: u64) -> EventId {
    EventId::from_ulid(Ulid::from(u128::from(number)))
}

/// The ids of this daemon and of a peer.
fn here() -> DaemonId {
    daemon(1)
}

fn there() -> DaemonId {
    daemon(2)
}

/// An event of `origin` at this sequence of the log; its id is the same number.
fn event(
    sequence: u64,
    origin: DaemonId,
    project: Option<&str>,
    event_type: &str,
    body: &serde_json::Value,
) -> SequencedEvent {
    let mut event = json!({
        "event_id": id(sequence), "origin_daemon": origin, "origin_epoch": Epoch::from_ulid(Ulid::from(9_u128)),
        "origin_sequence": sequence, "hlc": "0192f3a1b2c3-0004",
        "timestamp": "2020-06-24T16:00:00.123Z", "type": event_type, "body": body,
    });
    if let Some(project) = project {
        event["project"] = json!(project);
    }
    SequencedEvent {
        sequence: Sequence(sequence),
        event: serde_json::value::to_raw_value(&event).unwrap(),
    }
}

fn joined(sequence: u64, origin: DaemonId, agent: &str) -> SequencedEvent {
    event(sequence, origin, Some(PROJECT), "agent.joined", &json!({ "agent": agent }))
}

fn message_to(sequence: u64, origin: DaemonId, from: &str, to: &[&str]) -> SequencedEvent {
    let body = json!({ "from": from, "to": to, "text": format!("number {sequence}") });
    event(sequence, origin, Some(PROJECT), "message.sent", &body)
}

/// A receipt of `teller` that an agent of it has read messages of `origin`.
fn read_receipt(
    sequence: u64,
    teller: DaemonId,
    agent: &str,
    (origin, ids): (DaemonId, &[u64]),
) -> SequencedEvent {
    let ids: Vec<EventId> = ids.iter().copied().map(id).collect();
    let read = json!({
        "agent": agent, "project": PROJECT, "route": "wait", "session": format!("s-{sequence}"),
        "at": "2020-06-24T16:00:00.123Z", "origin_daemon": origin, "event_ids": ids,
    });
    event(sequence, teller, None, "message.receipts", &json!({ "read": [read] }))
}

/// A receipt of `teller` that it holds the events of a daemon up to a position.
fn there_receipt(sequence: u64, teller: DaemonId, of: DaemonId, up_to: u64) -> SequencedEvent {
    let there = json!({
        "origin_daemon": of, "origin_epoch": Epoch::from_ulid(Ulid::from(9_u128)),
        "origin_sequence": up_to,
    });
    event(sequence, teller, None, "message.receipts", &json!({ "there": [there] }))
}

fn message_to_all(sequence: u64, origin: DaemonId, from: &str) -> SequencedEvent {
    let body = json!({ "from": from, "all": true, "text": format!("number {sequence}") });
    event(sequence, origin, Some(PROJECT), "message.sent", &body)
}

fn start() -> Cursor {
    Cursor { epoch: Epoch::from_ulid(Ulid::from(9_u128)), position: LogPosition::START }
}

fn store(directory: &Path) -> Store {
    Store::open(directory.join("views.db"), here()).unwrap()
}

/// Views and a log of which a test writes the rows.
struct Views {
    store: Store,
    log: LogReader,
    rows: Connection,
    directory: TempDir,
}

impl Deref for Views {
    type Target = Store;

    fn deref(&self) -> &Store {
        &self.store
    }
}

impl DerefMut for Views {
    fn deref_mut(&mut self) -> &mut Store {
        &mut self.store
    }
}

impl Views {
    fn new() -> Self {
        Self::of(here())
    }

    /// The views of this daemon.
    fn of(daemon: DaemonId) -> Self {
        let directory = TempDir::new().unwrap();
        let (log, rows) = LogReader::of_new_log(directory.path());
        let store = Store::open(directory.path().join("views.db"), daemon).unwrap();
        Self { store, log, rows, directory }
    }

    /// Writes events to the log, unless it has them. `own`: they are written here, and not brought by a peer.
    fn write(&self, events: &[SequencedEvent], own: impl Fn(DaemonId) -> bool) {
        for SequencedEvent { sequence, event } in events {
            let parsed: thrum_api::Event = serde_json::from_str(event.get()).unwrap();
            let header = parsed.header;
            let insert =
                "INSERT OR IGNORE INTO events (sequence, event_id, origin, origin_sequence, previous,
                              source, timestamp, type, project, body, hash)
                 VALUES (?1, ?2, (SELECT id FROM origins WHERE daemon_id = ?7), ?1, zeroblob(32),
                         ?8, ?3, ?4, ?5, ?6, 0)";
            let new_origin =
                "INSERT OR IGNORE INTO origins (daemon_id, epoch, head, chain, top, forked, last, recent)
                 VALUES (?1, zeroblob(16), 0, zeroblob(32), 0, 0, 0, 0)";
            let origin = header.origin_daemon.to_bytes();
            self.rows.execute(new_origin, [origin]).unwrap();
            let source = i64::from(!own(header.origin_daemon));
            let (id, at) = (header.event_id.ulid().to_bytes(), header.timestamp.as_millis());
            let body = event.get().as_bytes();
            let (event_type, project) = (header.event_type, header.project);
            let row = params![int(sequence.0), id, at, event_type, project, body, origin, source];
            self.rows.execute(insert, row).unwrap();
        }
    }

    /// Writes events to the log, unless it has them, and digests what is after the cursor. Those of this daemon are
    /// written here.
    fn digest(&mut self, events: &[SequencedEvent], mut cursor: Cursor) -> Cursor {
        let daemon = self.store.daemon;
        self.write(events, |origin| origin == daemon);
        let last = events.last().unwrap().sequence;
        let end = LogPosition { sequence: last, ..LogPosition::START };
        while cursor.position.sequence < last {
            let digested = self.store.digest(&self.log, cursor, end).unwrap();
            assert_eq!(digested.damaged, []);
            cursor = digested.cursor;
        }
        cursor
    }

    /// An inbox, which is whole.
    fn inbox(&self, query: &InboxQuery) -> InboxResult {
        let answer = self.store.inbox(&self.log, query).unwrap();
        assert_eq!((answer.lost, answer.damaged), (Vec::new(), Vec::new()));
        answer.result
    }

    fn mark_read(&mut self, agent: &str, ids: &[EventId]) {
        let messages: Vec<_> = ids.iter().copied().map(by_id).collect();
        self.mark(agent, &messages).unwrap();
    }

    fn mark(&mut self, agent: &str, messages: &[MessageRef]) -> Result<(), AgentsError> {
        let found = self.log.find(messages.iter().map(|message| message.event_id)).unwrap();
        self.store.mark_read(&reading(agent), messages, &found).map(|_| ())
    }

    /// Sequences of the messages in an inbox, and of the unread ones among them.
    fn places(&self, agent: &str) -> (Vec<u64>, Vec<u64>) {
        let inbox = self.inbox(&query(agent, Some(PROJECT)));
        let all = inbox.messages.iter().map(|message| message.sequence.0).collect();
        let unread: Vec<u64> =
            inbox.messages.iter().filter(|message| !message.read).map(|m| m.sequence.0).collect();
        assert_eq!(inbox.unread, unread.len() as u64, "the counter is in step");
        (all, unread)
    }
}

/// A message by its id alone.
fn by_id(event_id: EventId) -> MessageRef {
    MessageRef { event_id, origin_daemon: None }
}

/// A reader that looked into its inbox.
fn reading(agent: &str) -> Reading {
    let at = Timestamp::from_millis(1_600_000_000_000);
    Reading {
        agent: agent.to_owned(),
        route: Route::Inbox,
        session: None,
        at,
        woken: Default::default(),
    }
}

/// How many events could not be digested.
fn undigested(store: &Store) -> i64 {
    store.connection.query_row("SELECT COUNT(*) FROM skipped", [], |row| row.get(0)).unwrap()
}

fn query(agent: &str, project: Option<&str>) -> InboxQuery {
    InboxQuery {
        agent: agent.to_owned(),
        project: project.map(str::to_owned),
        unread_only: false,
        read_only: false,
        limit: 1000,
        filter: None,
    }
}
