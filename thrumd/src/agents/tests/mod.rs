mod behind;
mod followed;
mod healing;
mod home;
mod tables;

use std::path::Path;

use serde_json::json;
use tempfile::TempDir;
use thrum_api::{DaemonId, Epoch, EventId, LogPosition, Sequence, SequencedEvent};
use ulid::Ulid;

use super::inbox::InboxQuery;
use super::store::{Cursor, Store};

const PROJECT: &str = "github.com/acme/app";

fn daemon(number: u128) -> DaemonId {
    DaemonId::from_ulid(Ulid::from(number))
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
        "timestamp": "2026-11-24T16:00:00.123Z", "type": event_type, "body": body,
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

fn message_to_all(sequence: u64, origin: DaemonId, from: &str) -> SequencedEvent {
    let body = json!({ "from": from, "all": true, "text": format!("number {sequence}") });
    event(sequence, origin, Some(PROJECT), "message.sent", &body)
}

fn start() -> Cursor {
    Cursor { epoch: Epoch::from_ulid(Ulid::from(9_u128)), position: LogPosition::START }
}

fn store(directory: &Path) -> Store {
    Store::open(directory.join("views.db"), here(), Vec::new()).unwrap()
}

fn new_store() -> (TempDir, Store) {
    let directory = TempDir::new().unwrap();
    let store = store(directory.path());
    (directory, store)
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
    }
}

/// Sequences of the messages in an inbox, and of the unread ones among them.
fn places(store: &Store, agent: &str) -> (Vec<u64>, Vec<u64>) {
    let inbox = store.inbox(&query(agent, Some(PROJECT))).unwrap();
    let all = inbox.messages.iter().map(|message| message.sequence.0).collect();
    let unread: Vec<u64> =
        inbox.messages.iter().filter(|message| !message.read).map(|m| m.sequence.0).collect();
    assert_eq!(inbox.unread, unread.len() as u64, "the counter is in step");
    (all, unread)
}
