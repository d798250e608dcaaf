//! Views whose log or file was replaced or damaged.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use serde_json::value::RawValue;
use thrum_api::Draft;
use thrum_api::local::{AgentListParams, EventListParams};

use super::super::Agents;
use super::super::follow::Progress;
use super::super::inbox::{Answer, Entry};
use super::super::store::Store;
use super::home::{Home, LIMIT, apply, parts, reader, waiter, within};
use super::*;
use crate::log::Log;

#[tokio::test]
async fn a_lost_log_rebuilds_the_views_and_read_marks_stay() {
    let (directory, home) = Home::new();
    let events = vec![
        message_to(1, there(), "planner", &["coder"]),
        message_to(2, there(), "planner", &["coder"]),
    ];
    home.apply(vec![joined(9, there(), "planner")]).await;
    home.apply(events.clone()).await;
    home.mark_read("coder", vec![id(1)]).await;
    assert_eq!(home.inbox("coder").await, ["number 1", "number 2*"]);
    home.close().await;

    lose_the_log(directory.path());
    let home = Home::open(directory.path());
    assert_eq!(home.inbox("coder").await, Vec::<String>::new());
    home.apply(events).await;
    assert_eq!(home.inbox("coder").await, ["number 1", "number 2*"]);
    home.close().await;
}

#[tokio::test]
async fn what_the_log_has_lost_leaves_the_inbox_and_what_was_only_not_read_stays() {
    let (directory, home) = Home::new();
    let message = |number| message_to(number, there(), "planner", &["coder"]);
    home.apply(vec![message(1), message(2)]).await;
    assert_eq!(home.inbox("coder").await, ["number 1*", "number 2*"]);
    let second = |store: &Store| {
        let query = "SELECT inbox FROM deliveries WHERE sequence = 2";
        let inbox = store.connection.query_row(query, [], |row| row.get(0)).unwrap();
        Ok(Entry { inbox, sequence: 2, read: false })
    };
    let lost = vec![home.agents.read(second).await.unwrap()];
    let unread = Answer { result: (), lost, damaged: Vec::new() };
    assert_eq!(within(home.agents.whole(unread)).await.unwrap(), Some(()), "the log has it");
    assert_eq!(home.inbox("coder").await, ["number 1*", "number 2*"]);

    let sql = rusqlite::Connection::open(directory.path().join("log.db")).unwrap();
    sql.execute("UPDATE events SET body = x'00' WHERE sequence = 1", []).unwrap();
    assert_eq!(home.inbox("coder").await, ["number 2*"]);
    assert_eq!(within(home.agents.inbox(reader("coder"))).await.unwrap().unread, 1);
    home.close().await;
}

fn lose_the_log(directory: &Path) {
    for suffix in ["", "-wal", "-shm"] {
        std::fs::remove_file(directory.join(format!("log.db{suffix}"))).ok();
    }
}

#[tokio::test]
async fn another_log_with_the_same_event_at_the_last_position_is_noticed() {
    let (directory, home) = Home::new();
    home.apply(vec![joined(1, daemon(3), "coder"), message_to(2, there(), "planner", &["coder"])])
        .await;
    within(home.agents.list(AgentListParams::default())).await.unwrap();
    home.close().await;

    lose_the_log(directory.path());
    let log = Log::open(directory.path(), Arc::new(key(1)), false).unwrap().0;
    let other = message_to(3, daemon(3), "planner", &["coder"]);
    apply(&log, vec![other, message_to(2, there(), "planner", &["coder"])]).await;
    log.close().await.unwrap();
    let home = Home::open(directory.path());
    assert_eq!(home.inbox("coder").await, ["number 3*", "number 2*"]);
    home.close().await;
}

/// An event that this daemon signed before its log was rolled back.
fn never_written(home: &Home) -> SequencedEvent {
    let SequencedEvent { sequence, event } =
        event(9, here(), Some(PROJECT), "test.happened", &json!({}));
    let (any, epoch) = (start().epoch.to_string(), home.log.head().epoch.to_string());
    let event = RawValue::from_string(event.get().replace(&any, &epoch)).unwrap();
    SequencedEvent { sequence, event }
}

#[tokio::test]
async fn views_continue_at_their_cursor_and_survive_a_new_epoch() {
    let (directory, home) = Home::new();
    home.say("a", &["b"], "one").await;
    let before = home.log.head().epoch;
    home.apply(vec![never_written(&home)]).await;
    assert_ne!(home.log.head().epoch, before);
    home.say("a", &["b"], "two").await;
    assert_eq!(home.inbox("b").await, ["one*", "two*"]);
    home.close().await;
    let kept = store(directory.path());
    let cursor = kept.cursor().unwrap().unwrap();
    // Rebuilt views would not have this.
    kept.connection
        .execute("INSERT INTO skipped (sequence, reason) VALUES (9, 'kept')", [])
        .unwrap();
    drop(kept);
    let home = Home::open(directory.path());
    let head = home.log.head();
    assert_eq!((cursor.epoch, cursor.position), (head.epoch, head.position));
    assert_eq!(home.inbox("b").await, ["one*", "two*"]);
    home.close().await;
    assert_eq!(undigested(&store(directory.path())), 1);
}

#[tokio::test]
async fn views_continue_at_their_cursor_whatever_the_last_event_is() {
    for (what, body) in [("with a member twice", "{}"), ("damaged", "{}")] {
        let (directory, home) = Home::new();
        home.say("a", &["b"], "one").await;
        home.inbox("b").await;
        let last = Draft {
            event_id: None,
            event_type: "test.said".to_owned(),
            project: None,
            body: RawValue::from_string(body.to_owned()).unwrap(),
        };
        home.log.append(vec![last]).await.unwrap();
        if what == "with a member twice" {
            let twice = message_to(9, there(), "planner", &["coder"]).event.get().to_owned();
            let twice = twice.replace("\"body\":", "\"body\":1,\"body\":");
            let event = RawValue::from_string(twice).unwrap();
            home.apply(vec![SequencedEvent { sequence: Sequence(9), event }]).await;
        }
        assert_eq!(home.inbox("b").await, ["one*"]);
        if what == "damaged" {
            let log = rusqlite::Connection::open(directory.path().join("log.db")).unwrap();
            let damage = "UPDATE events SET body = x'00' WHERE sequence = (SELECT head FROM meta)";
            log.execute(damage, []).unwrap();
            home.log.list(EventListParams::default()).await.unwrap();
        }
        home.close().await;
        // Rebuilt views would not have this.
        let kept = store(directory.path());
        let mark = "INSERT INTO skipped (sequence, reason) VALUES (99, 'kept')";
        kept.connection.execute(mark, []).unwrap();
        let before = undigested(&kept);
        drop(kept);
        let home = Home::open(directory.path());
        assert_eq!(home.inbox("b").await, ["one*"]);
        home.close().await;
        assert_eq!(undigested(&store(directory.path())), before, "rebuilt: {what}");
    }
}

#[tokio::test]
async fn a_damaged_file_is_moved_aside_and_rebuilt() {
    let (directory, home) = Home::new();
    home.say("a", &["b"], "one").await;
    assert_eq!(home.inbox("b").await, ["one*"]);
    home.close().await;
    std::fs::write(directory.path().join("views.db"), "no database at all").unwrap();
    let home = Home::open(directory.path());
    assert_eq!(home.inbox("b").await, ["one*"]);
    home.close().await;
    let aside = std::fs::read_dir(directory.path())
        .unwrap()
        .filter(|entry| {
            entry.as_ref().unwrap().file_name().to_string_lossy().starts_with("views.db.damaged-")
        })
        .count();
    assert_eq!(aside, 1);
}

#[tokio::test]
async fn damage_found_at_run_time_is_repaired() {
    let (directory, home) = Home::new();
    let texts: Vec<String> = (0..200).map(|n| format!("{n}")).collect();
    for text in &texts {
        home.say("a", &["b"], text).await;
    }
    home.inbox("b").await;
    home.close().await;
    // The header stays; everything after the first page is overwritten.
    let path = directory.path().join("views.db");
    let mut bytes = std::fs::read(&path).unwrap();
    bytes[4096..].fill(0xaa);
    std::fs::write(&path, bytes).unwrap();
    let home = Home::open(directory.path());
    let healed = async {
        // The first reader may be the one that finds the damage.
        loop {
            match home.agents.inbox(reader("b")).await {
                Ok(inbox) if inbox.unread == 200 => break,
                _ => tokio::task::yield_now().await,
            }
        }
    };
    within(healed).await;
    home.close().await;
}

#[tokio::test]
async fn creating_a_new_file_is_retried() {
    let directory = tempfile::tempdir().unwrap();
    let (views, away) = (directory.path().join("views"), directory.path().join("away"));
    std::fs::create_dir(&views).unwrap();
    let log = Log::open(directory.path(), Arc::new(key(1)), false).unwrap().0;
    let home = Home { agents: Agents::open(parts(&views, &log)).unwrap(), log };
    home.say("a", &["b"], "one").await;
    assert_eq!(home.inbox("b").await, ["one*"]);
    std::fs::rename(&views, &away).unwrap();
    home.agents.inner.signals.unusable.store(true, Ordering::SeqCst);
    home.agents.inner.signals.requested.notify_one();
    let until = async |good: bool| {
        while home.agents.inbox(reader("b")).await.is_ok() != good {
            tokio::task::yield_now().await;
        }
    };
    within(until(false)).await;
    std::fs::rename(&away, &views).unwrap();
    within(until(true)).await;
    assert_eq!(home.inbox("b").await, ["one*"]);
    home.close().await;
}

#[tokio::test]
async fn a_waiting_reader_is_woken_after_a_failed_digest() {
    let (directory, home) = Home::new();
    let agents = home.agents.clone();
    let wait = tokio::spawn(async move { agents.wait(waiter("coder", LIMIT / 2)).await });
    let mut progress = home.agents.inner.progress.clone();
    within(progress.wait_for(|now| now.has(Sequence(1)))).await.unwrap();
    let views = rusqlite::Connection::open(directory.path().join("views.db")).unwrap();
    views.busy_timeout(LIMIT).unwrap();
    views.execute_batch("ALTER TABLE agents RENAME TO elsewhere").unwrap();
    home.apply(vec![message_to(1, there(), "planner", &["coder"])]).await;
    within(progress.wait_for(Progress::has_failed)).await.unwrap();
    views.execute_batch("ALTER TABLE elsewhere RENAME TO agents").unwrap();
    let waited = within(wait).await.unwrap().unwrap();
    assert_eq!(waited.messages[0].text, "number 1");
    home.close().await;
}

#[tokio::test]
async fn views_that_fail_again_and_again_are_one_change() {
    let (directory, home) = Home::new();
    home.say("a", &["b"], "one").await;
    home.inbox("b").await;
    let views = rusqlite::Connection::open(directory.path().join("views.db")).unwrap();
    views.busy_timeout(LIMIT).unwrap();
    views.execute_batch("ALTER TABLE agents RENAME TO elsewhere").unwrap();
    let mut changes = home.agents.changes().unwrap();
    home.apply(vec![message_to(1, there(), "planner", &["b"])]).await;
    let mut told = Vec::new();
    for _ in 0..5 {
        // Who is told of a change asks again.
        assert!(within(home.agents.inbox(reader("b"))).await.is_err());
        let change = changes.take();
        told.push(change.follows || change.replaced || change.has_moved);
    }
    assert_eq!(told.iter().filter(|is_told| **is_told).count(), 1, "{told:?}");
    views.execute_batch("ALTER TABLE elsewhere RENAME TO agents").unwrap();
    assert_eq!(home.inbox("b").await, ["one*", "number 1*"]);
    let change = changes.take();
    assert!(change.replaced && change.has_moved, "{change:?}");
    home.close().await;
}

#[tokio::test]
async fn figures_do_not_wait_for_a_long_query() {
    let (_directory, home) = Home::new();
    home.say("a", &["b"], "one").await;
    home.inbox("b").await;
    // They wait for a short one, but not for a machine that is busy.
    within(async { while home.agents.figures().await.unread.is_none() {} }).await;
    let (done, until) = std::sync::mpsc::channel::<()>();
    let query = home.agents.read(move |_| {
        until.recv().ok();
        Ok(())
    });
    let figures = async {
        let figures = within(home.agents.figures()).await;
        drop(done);
        figures
    };
    let (_, figures) = tokio::join!(query, figures);
    assert!(figures.unread.is_none());
    home.close().await;
}

#[tokio::test]
async fn an_undigestible_event_is_counted_and_stops_nothing() {
    let (directory, home) = Home::new();
    let body = serde_json::value::to_raw_value(&serde_json::json!({ "text": 7 })).unwrap();
    let draft = Draft {
        event_id: None,
        event_type: "message.sent".to_owned(),
        project: Some(PROJECT.to_owned()),
        body,
    };
    home.log.append(vec![draft]).await.unwrap();
    home.say("a", &["b"], "one").await;
    assert_eq!(home.inbox("b").await, ["one*"]);
    home.close().await;
    assert_eq!(undigested(&store(directory.path())), 1);
    let home = Home::open(directory.path());
    home.inbox("b").await;
    home.close().await;
    assert_eq!(undigested(&store(directory.path())), 1);
}

#[test]
fn what_was_read_outlives_new_views_that_can_not_be_written_at_once() {
    let open = |directory: &Path| Store::open(directory.join("views.db"), here());
    let (directory, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let mut store = open(directory.path()).unwrap();
    store
        .connection
        .execute("INSERT INTO read_marks VALUES ('coder', zeroblob(32), zeroblob(16), '', 0, 'other', NULL, 0)", [])
        .unwrap();
    let refuse =
        "CREATE TRIGGER refuse BEFORE INSERT ON read_marks BEGIN SELECT RAISE(FAIL, 'no'); END";
    open(other.path()).unwrap().connection.execute_batch(refuse).unwrap();
    let path = directory.path().join("views.db");
    for suffix in ["-wal", "-shm"] {
        std::fs::remove_file(directory.path().join(format!("views.db{suffix}"))).unwrap();
    }
    std::fs::rename(other.path().join("views.db"), &path).unwrap();
    for _ in 0..2 {
        assert!(store.replace().is_err());
    }
    let another = rusqlite::Connection::open(&path).unwrap();
    another.execute_batch("DROP TRIGGER refuse").unwrap();
    store.replace().unwrap();
    let count =
        another.query_row("SELECT count(*) FROM read_marks", [], |row| row.get::<_, i64>(0));
    assert_eq!(count.unwrap(), 1);
    assert!(!store.files.differ());
}
