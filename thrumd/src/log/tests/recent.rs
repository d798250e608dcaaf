use std::sync::Arc;

use thrum_api::local::EventListParams;

use super::*;
use crate::log::recent::Recent;
use crate::log::{list, news, runs};

/// What the log remembers says the same of its news as the database: to each peer, after each position.
pub(super) fn agrees_with_the_database(world: &World) {
    let sql = world.sql();
    let mut recent = world.log.inner.recent.lock();
    let key = testing::key_of(world.daemon);
    let signer = runs::Signer { key: &key, daemon: world.daemon };
    let mut positions = vec![LogPosition::START];
    let known: Vec<i64> = all(&sql, "SELECT sequence FROM events ORDER BY sequence DESC LIMIT 70");
    for sequence in known {
        positions.extend(lookup::at(&sql, Sequence(sequence.try_into().unwrap())).unwrap());
    }
    let peers: Vec<column::Daemon> =
        all(&sql, "SELECT peer FROM checkpoints UNION SELECT daemon_id FROM sources");
    for after in positions {
        for peer in peers.iter().map(|peer| column::daemon_id(*peer)) {
            for relayed in [false, true] {
                let request = NewsRequest { peer, examined: after, sent: after, relayed };
                let waits: Waits = Arc::new(|_| false);
                if let Some(said) = recent.news(request, &waits) {
                    let read = news::one(&sql, &signer, request, waits).unwrap().answer;
                    assert_eq!(format!("{said:?}"), format!("{read:?}"), "{request:?}");
                }
            }
        }
        same_list(&sql, &recent, &EventListParams { after: after.sequence, ..Default::default() });
    }
}

fn same_list(sql: &Connection, recent: &Recent, params: &EventListParams) {
    if let Some(said) = recent.list(params) {
        let read = list::list(sql, params).unwrap().answer;
        assert_eq!(format!("{said:?}"), format!("{read:?}"), "{params:?}");
    }
}

fn all<T: rusqlite::types::FromSql>(sql: &Connection, query: &str) -> Vec<T> {
    let mut query = sql.prepare(query).unwrap();
    query.query_map([], |row| row.get(0)).unwrap().map(Result::unwrap).collect()
}

/// Whether the news for a peer after a position is known without the database.
fn knows(world: &World, peer: &World, after: LogPosition) -> bool {
    let request = NewsRequest { peer: peer.daemon, examined: after, sent: after, relayed: true };
    let waits: Waits = Arc::new(|_| false);
    world.log.inner.recent.lock().news(request, &waits).is_some()
}

#[tokio::test]
async fn what_was_just_written_is_told_without_the_database() {
    let (a, b, c) = (World::new(), World::new(), World::new());
    b.say("of b").await;
    a.pull_from(&b).await;
    let before = a.log.head().position;
    a.say("one").await;
    assert!(knows(&a, &b, before));
    // Up to where it holds the log of c is in the database alone.
    assert!(!knows(&a, &c, before));
    a.pull_from(&c).await;
    assert!(knows(&a, &c, before));
    // Another log.
    let other = LogPosition { hash: Some(thrum_api::LogHash(7)), ..before };
    assert!(!knows(&a, &b, other));
    let beyond = LogPosition { sequence: a.log.head().position.sequence.next(), ..before };
    assert!(!knows(&a, &b, beyond));
    agrees_with_the_database(&a);
}

#[tokio::test]
async fn what_is_kept_is_bounded() {
    let (a, b) = (World::new(), World::new());
    a.pull_from(&b).await;
    let start = a.log.head().position;
    for number in 0..80 {
        a.say(&number.to_string()).await;
    }
    assert!(!knows(&a, &b, start));
    agrees_with_the_database(&a);
    // More at once than is kept, and something large.
    for large in [false, true] {
        let before = a.log.head().position;
        match large {
            true => drop(a.say(&"x".repeat(100_000)).await),
            false => drop(a.say_many(100).await),
        }
        assert!(!knows(&a, &b, before));
        let between = a.log.head().position;
        a.say("small").await;
        assert!(knows(&a, &b, between));
        agrees_with_the_database(&a);
    }
}

#[tokio::test]
async fn a_log_with_damage_is_not_told_from_memory() {
    let (a, b) = (World::new(), World::new());
    a.pull_from(&b).await;
    let before = a.log.head().position;
    let lost = a.say("lost").await;
    assert!(knows(&a, &b, before));
    let damage = "UPDATE events SET body = x'00' WHERE sequence = ?1";
    a.sql().execute(damage, [lost.sequence.0 as i64]).unwrap();
    a.log.quarantine_damaged(vec![lost.sequence]).await;
    a.say("later").await;
    assert!(!knows(&a, &b, before));
}

#[tokio::test]
async fn an_event_that_fills_a_gap_is_told_with_the_head_after_it() {
    let (a, b) = (World::new(), World::new());
    let origin = new_origin();
    for position in [1, 3, 2, 4, 4] {
        a.log.apply(raw_batch(b.daemon, &[foreign(origin, position)])).await.unwrap();
        agrees_with_the_database(&a);
    }
}

#[tokio::test]
async fn those_who_follow_the_log_get_what_they_ask_for() {
    let world = World::new();
    let start = Sequence::ZERO;
    for (event_type, project) in [("a.b", None), ("a.c", Some("one")), ("a.b", Some("two"))] {
        let event_type = event_type.to_owned();
        let project = project.map(str::to_owned);
        world.log.append(vec![Draft { event_type, project, ..draft("") }]).await.unwrap();
    }
    let list = |event_type: Option<&str>, project: Option<&str>, limit| {
        let (event_type, project) = (event_type.map(str::to_owned), project.map(str::to_owned));
        let params =
            EventListParams { after: start, event_type, project, limit, ..Default::default() };
        same_list(&world.sql(), &world.log.inner.recent.lock(), &params);
        world.log.list_newest(&params).map(|list| sequences(&list.events))
    };
    assert_eq!(list(None, None, None), Some(vec![1, 2, 3]));
    assert_eq!(list(Some("a.b"), None, Some(2)), Some(vec![1, 3]));
    assert_eq!(list(None, Some("two"), None), Some(vec![3]));
    assert_eq!(list(Some("a.c"), Some("two"), None), Some(vec![]));
    // What continues has to be read.
    assert_eq!(list(None, None, Some(2)), None);
}

#[tokio::test]
async fn a_checkpoint_that_is_reset_or_forgotten_is_told_so() {
    let (a, b, c) = (World::new(), World::new(), World::new());
    for peer in [&b, &c] {
        peer.say("one").await;
        a.pull_from(peer).await;
    }
    a.log.reset_checkpoint(b.daemon).await.unwrap();
    agrees_with_the_database(&a);
    a.log.forget_former_peer(c.daemon, b.daemon).await.unwrap();
    agrees_with_the_database(&a);
}
