//! What a log can prove, and whether its chains are true. Reads the tables, so that it can't repeat a fault of the log.

use std::collections::{BTreeMap, BTreeSet};

use rusqlite::Connection;
use thrum_api::EventId;
use thrum_api::proof::Chain;
use thrumd::proof::chain_next;
use ulid::Ulid;

/// An undamaged row.
struct Row {
    id: EventId,
    origin: i64,
    place: i64,
    previous: Chain,
    chain: Chain,
    /// It is of this daemon, or has a signed point.
    is_signed: bool,
}

/// The undamaged rows, the last ones of each origin first.
fn rows(conn: &Connection) -> Vec<Row> {
    let sql = "SELECT event_id, origin, origin_sequence, previous, body,
             signature NOT NULL OR origins.daemon_id = meta.daemon_id
         FROM events JOIN origins ON origins.id = origin LEFT JOIN points USING (sequence), meta
         WHERE body != x'00' ORDER BY origin, origin_sequence DESC";
    let mut statement = conn.prepare_cached(sql).unwrap();
    let rows = statement.query_map([], |row| {
        let (previous, body): (_, Vec<u8>) = (Chain(row.get(3)?), row.get(4)?);
        Ok(Row {
            id: EventId::from_ulid(Ulid::from_bytes(row.get(0)?)),
            origin: row.get(1)?,
            place: row.get(2)?,
            previous,
            chain: chain_next(previous, &body),
            is_signed: row.get(5)?,
        })
    });
    rows.unwrap().map(|row| row.unwrap()).collect()
}

/// The events that follow one another up to one that is signed.
pub fn proved(conn: &Connection) -> BTreeSet<EventId> {
    let mut proved = BTreeSet::new();
    let mut goes_on = BTreeSet::new();
    for row in rows(conn) {
        if row.is_signed || goes_on.contains(&(row.origin, row.place + 1, row.chain)) {
            proved.insert(row.id);
            goes_on.insert((row.origin, row.place, row.previous));
        }
    }
    proved
}

/// Whether the events of each origin that never forked follow one another, and its head has the chain of the event there.
pub fn chains_are_true(conn: &Connection) -> bool {
    let heads = "SELECT id, head, chain FROM origins WHERE NOT forked AND head > 0";
    let mut statement = conn.prepare_cached(heads).unwrap();
    let heads = statement.query_map([], |row| Ok((row.get(0)?, (row.get(1)?, Chain(row.get(2)?)))));
    let heads: BTreeMap<i64, (i64, Chain)> = heads.unwrap().map(|row| row.unwrap()).collect();
    let mut before: Option<Row> = None;
    rows(conn).into_iter().all(|row| {
        let head = heads.get(&row.origin).filter(|(head, _)| *head == row.place);
        let later =
            before.as_ref().filter(|it| (it.origin, it.place) == (row.origin, row.place + 1));
        let is_true = head.is_none_or(|(_, chain)| *chain == row.chain)
            && (!heads.contains_key(&row.origin)
                || later.is_none_or(|later| later.previous == row.chain));
        before = Some(row);
        is_true
    })
}
