//! Tests of the log, on real files.

mod append;
mod changed;
mod damage;
mod figures;
mod files;
pub(crate) mod foreign;
mod group;
mod heal;
mod list;
mod news;
mod open;
mod origins;
mod page;
mod peers;
mod proofs;
mod random;
mod recent;
mod store;

use std::path::Path;

use rusqlite::Connection;
use serde_json::value::RawValue;
use tempfile::TempDir;
use thrum_api::peer::Run;
use thrum_api::{
    DaemonId, Draft, Epoch, Event, EventId, Head, LogPosition, Origin, Sequence, SequencedEvent,
};

use super::types::{NewsContent, Page};
use super::*;
use crate::storage::StorageFault;
use crate::{ids, testing};
pub(super) use foreign::{batch, foreign, foreign_with_id, new_origin, raw_batch};

/// A daemon's log in its own directory.
pub(super) struct World {
    pub(super) dir: TempDir,
    pub(super) daemon: DaemonId,
    pub(super) log: Log,
}

impl World {
    pub(super) fn new() -> Self {
        let dir = TempDir::new().unwrap();
        let daemon = testing::daemon();
        let (log, database_was_lost) =
            Log::open(dir.path(), testing::key_of(daemon), false).unwrap();
        assert!(!database_was_lost);
        Self { dir, daemon, log }
    }

    /// Closes and opens again, with `between` in between.
    pub(super) async fn reopen(&mut self, between: impl FnOnce(&Path)) -> bool {
        self.log.close().await.unwrap();
        between(self.dir.path());
        let (log, database_was_lost) =
            Log::open(self.dir.path(), testing::key_of(self.daemon), true).unwrap();
        self.log = log;
        database_was_lost
    }

    pub(super) fn origin(&self) -> Origin {
        Origin { daemon: self.daemon, epoch: self.log.head().epoch }
    }

    pub(super) async fn say(&self, text: &str) -> Appended {
        self.log.append(vec![draft(text)]).await.unwrap()[0]
    }

    pub(super) async fn say_many(&self, count: usize) -> Vec<Appended> {
        let drafts = (0..count).map(|n| draft(&format!("event {n}"))).collect();
        self.log.append(drafts).await.unwrap()
    }

    /// Another connection to the database, to inspect and damage it.
    pub(super) fn sql(&self) -> rusqlite::Connection {
        rusqlite::Connection::open(self.dir.path().join("log.db")).unwrap()
    }

    pub(super) async fn all(&self) -> Vec<SequencedEvent> {
        let mut events = Vec::new();
        let mut after = LogPosition::START;
        loop {
            let page = page(self, after, 1000, vec![]).await;
            events.extend(page.runs);
            after = page.next;
            if !page.more_available {
                return events_of(events);
            }
        }
    }

    /// The text of every event's bytes, in order of their ids.
    pub(super) async fn contents(&self) -> Vec<String> {
        let events = self.all().await;
        let mut texts: Vec<String> =
            events.iter().map(|event| event.event.get().to_owned()).collect();
        texts.sort();
        texts
    }

    /// The news for a peer after a position, and how urgent it is.
    pub(super) async fn news(&self, peer: DaemonId, after: LogPosition) -> (NewsContent, Urgency) {
        let request = NewsRequest { peer, examined: after, sent: after, relayed: false };
        let news = self.log.news(request, Arc::new(|_| false)).await.unwrap();
        (news.content.unwrap(), news.urgency)
    }

    /// The origins of these heads of which something is missing here.
    pub(super) async fn missing(&self, heads: Vec<Head>) -> Vec<Origin> {
        self.log.judge(0, 0, move |log| log.missing(&heads)).await.unwrap()
    }

    /// The heads of all origins that can be sent.
    pub(super) async fn heads(&self) -> Vec<Head> {
        self.log.heads(Sequence::ZERO).await.unwrap()
    }

    /// Pulls everything from another log as sync would, with `have`, until there is no more.
    pub(super) async fn pull_from(&self, peer: &World) -> Applied {
        let mut sum = Applied::default();
        loop {
            let from = self.log.checkpoint(peer.daemon).await.unwrap();
            let have = self.log.heads(from.held).await.unwrap();
            let request = PageRequest { peer: self.daemon, after: from.position, limit: 7, have };
            let page = match peer.log.page(request).await.unwrap() {
                PageAnswer::Page(page) => page,
                PageAnswer::OtherLog(_) => {
                    self.log.reset_checkpoint(peer.daemon).await.unwrap();
                    continue;
                }
            };
            let held = page.held;
            let batch = Batch { from, held, ..batch(peer.daemon, page.runs, Some(page.next)) };
            let applied = self.log.apply(batch).await.unwrap();
            sum.applied += applied.applied;
            sum.skipped += applied.skipped;
            sum.refused += applied.refused;
            sum.withheld += applied.withheld;
            sum.new_epoch |= applied.new_epoch;
            if !page.more_available {
                return sum;
            }
        }
    }
}

pub(super) fn json(text: &str) -> Box<RawValue> {
    RawValue::from_string(text.to_owned()).unwrap()
}

pub(super) fn draft(text: &str) -> Draft {
    let body = serde_json::json!({ "text": text }).to_string();
    Draft { event_id: None, event_type: "test.said".into(), project: None, body: json(&body) }
}

pub(super) fn parse(event: &RawValue) -> Event {
    serde_json::from_str(event.get()).unwrap()
}

pub(super) async fn page(world: &World, after: LogPosition, limit: usize, have: Vec<Head>) -> Page {
    match world.log.page(PageRequest { peer: testing::daemon(), after, limit, have }).await.unwrap()
    {
        PageAnswer::Page(page) => page,
        PageAnswer::OtherLog(head) => panic!("other log: {head:?}"),
    }
}

/// The invariants of every log at every moment.
pub(super) fn check_invariants(world: &World) {
    let sql = world.sql();
    let one = |query: &str| -> i64 { sql.query_row(query, [], |row| row.get(0)).unwrap() };
    assert_eq!(
        one("SELECT count(*) FROM events") + one("SELECT count(*) FROM gaps"),
        one("SELECT head FROM meta"),
        "sequences without a gap"
    );
    assert_eq!(one("SELECT coalesce(max(sequence), 0) FROM events"), one("SELECT head FROM meta"));
    let exceptions = [
        (
            "last is the last sequence of that origin",
            "origins WHERE last !=
             (SELECT coalesce(max(sequence), 0) FROM
                  (SELECT sequence, origin FROM events UNION ALL SELECT sequence, origin FROM gaps)
              WHERE origin = origins.id)",
        ),
        (
            "recent is about the last sequence of an origin whose head can be sent",
            "origins WHERE recent NOT BETWEEN
             iif(forked OR head = 0, 0, last - 250) AND iif(forked OR head = 0, 0, last)
             OR (recent = 0 AND NOT forked AND head > 0)",
        ),
        (
            "top is the highest position held",
            "origins WHERE top !=
             (SELECT coalesce(max(origin_sequence), 0) FROM events WHERE origin = origins.id)",
        ),
        (
            "head is the highest contiguous position, or a lower one where damage left no proof",
            "origins WHERE head !=
             (SELECT count(DISTINCT origin_sequence) FROM events
              WHERE origin = origins.id AND origin_sequence <= head)
             OR EXISTS (SELECT 1 FROM events
              WHERE origin = origins.id AND origin_sequence = head + 1)
              AND (daemon_id = (SELECT daemon_id FROM meta)
                   OR NOT EXISTS (SELECT 1 FROM gaps WHERE origin = origins.id))",
        ),
        (
            "forked says at least whether two events share a position, or did before one was damaged",
            "origins WHERE forked <
             EXISTS (SELECT 1 FROM
                         (SELECT origin_sequence, event_id FROM events WHERE origin = origins.id
                          UNION
                          SELECT origin_sequence, event_id FROM gaps WHERE origin = origins.id)
                     GROUP BY origin_sequence HAVING count(*) > 1)",
        ),
        (
            "last is the last sequence from that source",
            "sources WHERE last !=
             (SELECT coalesce(max(sequence), 0) FROM events WHERE source = sources.id)",
        ),
        (
            "blocks has the names of every event, as far as they are short",
            "(SELECT 1 AS field, type AS name, sequence / 128 AS block FROM events
              UNION SELECT 2, project, sequence / 128 FROM events WHERE project IS NOT NULL)
             WHERE octet_length(name) <= 1024 AND (field, name, block) NOT IN blocks",
        ),
        (
            "own_last is the last sequence that was written here",
            "meta WHERE own_last !=
             (SELECT coalesce(max(sequence), 0) FROM events WHERE source = 0)",
        ),
    ];
    for (invariant, rows) in exceptions {
        assert_eq!(one(&format!("SELECT count(*) FROM {rows}")), 0, "{invariant}");
    }
    recent::agrees_with_the_database(world);
}

impl Page {
    /// Its events, in the order of the log that serves them.
    pub(super) fn events(&self) -> Vec<SequencedEvent> {
        events_of(self.runs.clone())
    }
}

/// The events of these runs, in the order of the log that serves them. What comes again, only because it has the signature
/// of others, counts once.
pub(super) fn events_of(runs: Vec<Run>) -> Vec<SequencedEvent> {
    let mut events: Vec<_> = runs.into_iter().flat_map(|run| run.events).collect();
    events.sort_by_key(|event| event.sequence);
    events.dedup_by_key(|event| event.sequence);
    events
}

pub(super) fn sequences(events: &[SequencedEvent]) -> Vec<u64> {
    events.iter().map(|event| event.sequence.0).collect()
}

pub(super) fn epoch_of(world: &World) -> Epoch {
    world.log.head().epoch
}
