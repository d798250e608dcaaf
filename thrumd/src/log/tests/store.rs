//! The synchronous core alone, on a database in memory.

use std::sync::atomic::{AtomicUsize, Ordering};

use rusqlite::Connection;
use thrum_api::{EventHeader, Timestamp};
use tracing_subscriber::Layer;
use tracing_subscriber::layer::SubscriberExt as _;
use ulid::Ulid;

use super::super::quarantine::QuarantineEntry;
use super::super::transaction::{Event as NewEvent, WriteTransaction};
use super::*;
use crate::keys::SecretKey;
use crate::metrics::QuarantineReason;
use crate::proof::{chain_next, chain_start};

/// Counts up: the same in each run.
struct Counter(u128);

impl Environment for Counter {
    fn event_id(&mut self) -> EventId {
        self.0 += 1;
        EventId::from_ulid(Ulid(self.0))
    }

    fn epoch(&mut self) -> Epoch {
        self.0 += 1;
        Epoch::from_ulid(Ulid(self.0))
    }

    fn now(&mut self) -> Timestamp {
        Timestamp::from_millis(1_800_000_000_000)
    }
}

fn store() -> LogStore {
    LogStore::open_in_memory(Arc::new(SecretKey::from_seed(&[1; 32])), Counter(0)).unwrap()
}

fn texts(store: &mut LogStore) -> Vec<String> {
    let list = store.list(&EventListParams::default()).unwrap();
    list.events.iter().map(|event| event.event.get().to_owned()).collect()
}

fn reopen(conn: Connection, ids: u128) -> LogStore {
    LogStore::open(conn, Arc::new(SecretKey::from_seed(&[1; 32])), Counter(ids)).unwrap()
}

#[test]
fn the_same_ids_and_time_give_the_same_bytes() {
    let run = || {
        let mut store = store();
        store.append(&[draft("one"), draft("two")]).unwrap();
        store.begin_epoch().unwrap();
        store.begin_epoch().unwrap();
        store.append(&[draft("three")]).unwrap();
        texts(&mut store)
    };
    assert_eq!(run().len(), 3);
    assert_eq!(run(), run());
}

#[test]
fn appended_events_survive_and_a_copy_is_a_separate_log() {
    let mut store = store();
    store.append(&[draft("one")]).unwrap();
    let head = store.head();
    let mut store = reopen(store.into_connection(), 1000);
    assert_eq!(store.head(), head);

    let name = "file:/copy-of-a-log?vfs=memdb";
    let copy = Connection::open(name).unwrap();
    store.connection().execute("VACUUM INTO ?1", [name]).unwrap();
    store.append(&[draft("two")]).unwrap();
    let mut copy = reopen(copy, 2000);
    assert_eq!(copy.head(), head);
    copy.append(&[draft("other")]).unwrap();
    assert_eq!(copy.head().position.sequence, store.head().position.sequence);
    assert_ne!(texts(&mut copy), texts(&mut store));
}

#[test]
fn a_transaction_that_fails_leaves_nothing_behind() {
    let mut store = store();
    store.append(&[draft("one")]).unwrap();
    let (head, before) = (store.head(), texts(&mut store));
    let pages = |store: &LogStore, pages: i64| {
        store.connection().pragma_update(None, "max_page_count", pages).unwrap();
    };
    pages(&store, 1);
    let large = draft(&"x".repeat(100_000));
    let full = store.append(std::slice::from_ref(&large)).unwrap_err();
    assert_eq!(full.fault(), Some(StorageFault::Full));
    assert_eq!((store.head(), texts(&mut store)), (head, before));
    pages(&store, 10_000);
    let written = store.append(&[large]).unwrap()[0];
    assert_eq!((written.sequence.0, written.origin_sequence.0), (2, 2));
}

#[test]
fn a_reader_gets_the_rest_of_a_damaged_log() {
    let mut store = store();
    store.append(&[draft("one"), draft("two"), draft("three")]).unwrap();
    store.connection().execute("UPDATE events SET body = x'00' WHERE sequence = 2", []).unwrap();
    store.connection().pragma_update(None, "query_only", true).unwrap();
    assert_eq!(texts(&mut store).len(), 2);
    assert_eq!(store.damaged_rows(), 0, "could not be moved");
    store.connection().pragma_update(None, "query_only", false).unwrap();
    assert_eq!(texts(&mut store).len(), 2);
    assert_eq!(store.damaged_rows(), 1);
}

/// Counts lines of the log.
#[derive(Clone, Default)]
struct Lines(Arc<AtomicUsize>);

impl<S: tracing::Subscriber> Layer<S> for Lines {
    fn on_event(
        &self,
        _event: &tracing::Event<'_>,
        _context: tracing_subscriber::layer::Context<'_, S>,
    ) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

#[test]
fn what_is_not_committed_is_not_logged() {
    let (mut store, lines, origin) = (store(), Lines::default(), new_origin());
    let events = [foreign(origin, 1), foreign(origin, 1)];
    let fork_and_quarantine = |write: &mut WriteTransaction<'_>| {
        for bytes in &events {
            let header: EventHeader = serde_json::from_str(bytes).unwrap();
            let previous = chain_start(&origin);
            let chain = chain_next(previous, bytes.as_bytes());
            let (bytes, source) = (bytes.as_bytes(), Some(origin.daemon));
            write.store(&NewEvent {
                header: &header,
                bytes,
                previous,
                chain,
                point: None,
                source,
            })?;
        }
        write.quarantine(&QuarantineEntry {
            peer: origin.daemon,
            sequence: Sequence(1),
            event_id: None,
            reason: "it is a test",
            kind: QuarantineReason::Damaged,
            bytes: b"x",
        })
    };
    let logged = || lines.0.swap(0, Ordering::Relaxed);
    tracing::subscriber::with_default(tracing_subscriber::registry().with(lines.clone()), || {
        let failed = store.transaction(|write| {
            fork_and_quarantine(write)?;
            Err::<(), _>(rusqlite::Error::InvalidQuery)
        });
        assert!(failed.is_err());
        assert_eq!(logged(), 0);
        store.transaction(fork_and_quarantine).unwrap();
        assert_eq!(logged(), 2, "the fork, and the quarantine");
        store.transaction(|_| Ok(())).unwrap();
        assert_eq!(logged(), 0);
    });
}
