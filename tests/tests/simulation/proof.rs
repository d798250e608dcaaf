//! What a log and runs can prove, and whether chains are true. Reads the tables, so that it can't repeat a fault of the log.

use std::collections::{BTreeMap, BTreeSet};

use rusqlite::Connection;
use thrum_api::peer::Run;
use thrum_api::proof::Chain;
use thrum_api::{DaemonId, Epoch, EventHeader, Origin};
use thrumd::keys::verify;
use thrumd::proof::{chain_next, chain_start, point_message};
use ulid::Ulid;

/// An undamaged row.
struct Row {
    origin: i64,
    of: Origin,
    place: i64,
    previous: Chain,
    chain: Chain,
    /// It is of this daemon, or has a signed point.
    is_signed: bool,
}

/// The undamaged rows, the last ones of each origin first.
fn rows(conn: &Connection) -> Vec<Row> {
    let sql = "SELECT origins.daemon_id, origins.epoch, origin, origin_sequence, previous, body,
             signature NOT NULL OR origins.daemon_id = meta.daemon_id
         FROM events JOIN origins ON origins.id = origin LEFT JOIN points USING (sequence), meta
         WHERE body != x'00' ORDER BY origin, origin_sequence DESC";
    let mut statement = conn.prepare_cached(sql).unwrap();
    let rows = statement.query_map([], |row| {
        let (previous, body): (_, Vec<u8>) = (Chain(row.get(4)?), row.get(5)?);
        let daemon = DaemonId::from_bytes(row.get(0)?);
        let epoch = Epoch::from_ulid(Ulid::from_bytes(row.get(1)?));
        Ok(Row {
            origin: row.get(2)?,
            of: Origin { daemon, epoch },
            place: row.get(3)?,
            previous,
            chain: chain_next(previous, &body),
            is_signed: row.get(6)?,
        })
    });
    rows.unwrap().map(|row| row.unwrap()).collect()
}

/// The chain after each event that stands there undamaged, and who is said to have written it. A chain stands for the
/// event and for all before it.
pub fn chains(conn: &Connection) -> BTreeMap<Chain, DaemonId> {
    rows(conn).into_iter().map(|row| (row.chain, row.of.daemon)).collect()
}

/// Those of the events that follow one another up to one that is signed.
pub fn proved(conn: &Connection) -> BTreeSet<Chain> {
    let mut proved = BTreeSet::new();
    let mut goes_on = BTreeSet::new();
    for row in rows(conn) {
        if row.is_signed || goes_on.contains(&(row.origin, row.place + 1, row.chain)) {
            proved.insert(row.chain);
            goes_on.insert((row.origin, row.place, row.previous));
        }
    }
    proved
}

/// The chains after the events of those runs that are as they have to be: of one origin, one after another, and signed.
pub fn chains_of_valid(runs: &[Run]) -> Vec<Chain> {
    runs.iter().filter_map(chains_if_valid).flatten().collect()
}

fn chains_if_valid(run: &Run) -> Option<Vec<Chain>> {
    let (mut chain, mut chains) = (run.previous, Vec::new());
    let mut last: Option<EventHeader> = None;
    for event in &run.events {
        let header: EventHeader = serde_json::from_str(event.event.get()).ok()?;
        let place = header.origin_sequence;
        let goes_on = match &last {
            None if place.0 == 1 => chain == chain_start(&header.origin()),
            None => (2..1 << 53).contains(&place.0),
            Some(last) => header.origin() == last.origin() && place == last.origin_sequence.next(),
        };
        if !goes_on {
            return None;
        }
        chain = chain_next(chain, event.event.get().as_bytes());
        chains.push(chain);
        last = Some(header);
    }
    let last = last?;
    let message = point_message(&last.origin(), last.origin_sequence, chain);
    verify(last.origin_daemon.to_bytes(), &message, &run.signature).ok()?;
    Some(chains)
}

/// Whether each origin begins where its chain does, the events of each that never forked follow one another, and its head
/// has the chain of the event there.
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
        let begins_so = row.place > 1 || row.previous == chain_start(&row.of);
        let is_true = begins_so
            && head.is_none_or(|(_, chain)| *chain == row.chain)
            && (!heads.contains_key(&row.origin)
                || later.is_none_or(|later| later.previous == row.chain));
        before = Some(row);
        is_true
    })
}
