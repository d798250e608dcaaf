use std::os::unix::fs::PermissionsExt;

use rusqlite_migration::Migrations;

use super::*;
use crate::report::Chain;

fn chain_text(error: &LogError) -> String {
    Chain(error).to_string()
}

#[tokio::test]
async fn a_second_opener_is_refused_with_the_pid_of_the_first_before_the_database_is_touched() {
    let world = World::new();
    let refused = Log::open(world.dir.path(), testing::key_of(world.daemon), true).err().unwrap();
    let LogError::InUse { holder, .. } = &refused else { panic!("{refused}") };
    assert_eq!(*holder, Some(std::process::id()));
    assert!(chain_text(&refused).contains(&format!("pid {}", std::process::id())), "{refused}");

    // Nothing is created, even where there is no database yet.
    let dir = TempDir::new().unwrap();
    let lock = lock::Lock::take(dir.path()).unwrap();
    assert!(Log::open(dir.path(), testing::key_of(world.daemon), true).is_err());
    assert!(!dir.path().join("log.db").exists());
    drop(lock);
    assert!(Log::open(dir.path(), testing::key_of(world.daemon), true).is_ok());
}

#[tokio::test]
async fn files_are_for_their_owner_alone() {
    let parent = TempDir::new().unwrap();
    let dir = parent.path().join("a/b");
    let (log, _) = Log::open(&dir, testing::key_of(testing::daemon()), false).unwrap();
    log.append(vec![draft("x")]).await.unwrap();
    let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&dir), 0o700);
    for file in ["log.db", "log.db-wal", "log.db-shm", "thrumd.lock"] {
        assert_eq!(mode(&dir.join(file)), 0o600, "{file}");
    }
    log.close().await.unwrap();
    assert!(!dir.join("log.db-wal").exists(), "the WAL went into the database");
}

#[tokio::test]
async fn a_database_of_a_later_version_is_refused_and_left_as_it_is() {
    let world = World::new();
    world.say("x").await;
    world.log.close().await.unwrap();
    let path = world.dir.path().join("log.db");
    world.sql().pragma_update(None, "user_version", 99).unwrap();
    let before = std::fs::read(&path).unwrap();
    let refused = Log::open(world.dir.path(), testing::key_of(world.daemon), true).err().unwrap();
    assert!(matches!(refused, LogError::NewerSchema { found: 99, .. }), "{refused}");
    assert_eq!(std::fs::read(&path).unwrap(), before);
}

#[tokio::test]
async fn a_database_from_before_daemons_had_keys_is_refused_and_left_as_it_is() {
    let world = World::new();
    world.say("x").await;
    world.log.close().await.unwrap();
    let path = world.dir.path().join("log.db");
    world.sql().execute("UPDATE meta SET daemon_id = zeroblob(16)", []).unwrap();
    world.sql().pragma_update(None, "user_version", 10).unwrap();
    let before = std::fs::read(&path).unwrap();
    let refused = Log::open(world.dir.path(), testing::key_of(world.daemon), true).err().unwrap();
    let text = refused.to_string();
    let state_dir = world.dir.path().display().to_string();
    assert!(text.contains("log.db was made by") && text.contains(&state_dir), "{text}");
    assert_eq!(std::fs::read(&path).unwrap(), before);
}

#[tokio::test]
async fn a_file_that_is_not_a_database_is_refused_and_left_as_it_is() {
    let dir = TempDir::new().unwrap();
    let path = dir.path().join("log.db");
    let text = "this is not a database. ".repeat(500);
    std::fs::write(&path, &text).unwrap();
    let refused = Log::open(dir.path(), testing::key_of(testing::daemon()), true).err().unwrap();
    assert_eq!(refused.fault(), Some(StorageFault::Damaged), "{refused}");
    assert!(chain_text(&refused).contains("log.db"), "{refused}");
    let next = refused.next().unwrap();
    assert!(next.contains("thrum restore FILE") && next.contains("away"), "{next}");
    assert_eq!(std::fs::read_to_string(&path).unwrap(), text);
}

#[tokio::test]
async fn a_lost_database_is_noticed_and_begins_a_new_epoch() {
    let mut world = World::new();
    world.say("x").await;
    let epoch = epoch_of(&world);
    let database_was_lost =
        world.reopen(|dir| std::fs::remove_file(dir.join("log.db")).unwrap()).await;
    assert!(database_was_lost);
    assert_ne!(epoch_of(&world), epoch);
    assert_eq!(world.say("y").await.sequence, Sequence(1));
}

#[tokio::test]
async fn leftover_files_of_a_lost_database_are_not_used_for_the_new_one() {
    let mut world = World::new();
    world.say("x").await;
    let wal = std::fs::read(world.dir.path().join("log.db-wal")).unwrap();
    assert!(!wal.is_empty());
    let database_was_lost = world
        .reopen(|dir| {
            std::fs::remove_file(dir.join("log.db")).unwrap();
            std::fs::write(dir.join("log.db-wal"), &wal).unwrap();
        })
        .await;
    assert!(database_was_lost);
    assert_eq!(world.log.head().position, LogPosition::START);
    world.say("y").await;
    assert_eq!(world.all().await.len(), 1);
    check_invariants(&world);
}

#[tokio::test]
async fn acknowledged_events_survive_without_a_close() {
    let world = World::new();
    world.say_many(5).await;
    let copy = TempDir::new().unwrap();
    // As after a kill: the files as they are at this moment.
    for file in ["log.db", "log.db-wal"] {
        std::fs::copy(world.dir.path().join(file), copy.path().join(file)).unwrap();
    }
    let (log, database_was_lost) =
        Log::open(copy.path(), testing::key_of(world.daemon), true).unwrap();
    assert!(!database_was_lost);
    assert_eq!(log.head(), world.log.head());
    log.close().await.unwrap();
}

#[tokio::test]
async fn a_database_without_permission_to_open_is_reported_as_such() {
    let world = World::new();
    world.log.close().await.unwrap();
    let database = world.dir.path().join("log.db");
    std::fs::remove_file(&database).unwrap();
    std::fs::create_dir(&database).unwrap();
    let error =
        Log::open(world.dir.path(), testing::key_of(world.daemon), true).map(|_| ()).unwrap_err();
    assert_eq!(error.to_string(), format!("can't open {}", database.display()));
}

#[tokio::test]
async fn another_identity_on_the_same_database_is_another_origin() {
    let mut world = World::new();
    world.say("x").await;
    let old = world.origin();
    world.daemon = testing::daemon();
    assert!(!world.reopen(|_| ()).await);
    assert_ne!(world.origin().epoch, old.epoch);
    let written = world.say("y").await;
    assert_eq!((written.sequence.0, written.origin_sequence.0), (2, 1));
    let origins: Vec<_> = world.heads().await.iter().map(Head::origin).collect();
    assert!(origins.contains(&old) && origins.contains(&world.origin()));
    check_invariants(&world);
}

#[tokio::test]
async fn nothing_is_accepted_after_close_and_closing_twice_is_fine() {
    let world = World::new();
    let log = world.log.clone();
    // All of these are queued before the close, or refused; none is half done.
    let appends: Vec<_> = (0..50)
        .map(|n| {
            let log = log.clone();
            tokio::spawn(async move { log.append(vec![draft(&n.to_string())]).await })
        })
        .collect();
    tokio::task::yield_now().await;
    world.log.close().await.unwrap();
    world.log.close().await.unwrap();
    let mut written = 0;
    for append in appends {
        match append.await.unwrap() {
            Ok(_) => written += 1,
            Err(error) => assert_eq!(error.kind(), LogErrorKind::Stopping),
        }
    }
    assert_eq!(log.append(vec![draft("x")]).await.unwrap_err().kind(), LogErrorKind::Stopping);
    assert_eq!(log.heads(Sequence::ZERO).await.unwrap_err().kind(), LogErrorKind::Stopping);
    assert_eq!(log.pulse().await.unwrap_err().kind(), LogErrorKind::Stopping);
    let held: i64 =
        world.sql().query_row("SELECT count(*) FROM events", [], |row| row.get(0)).unwrap();
    assert_eq!(held, written);
}

#[tokio::test]
async fn a_database_of_every_earlier_version_becomes_this_one() {
    let shape = |dir: &Path| -> Vec<String> {
        let sql = rusqlite::Connection::open(dir.join("log.db")).unwrap();
        let mut shape = sql
            .prepare("SELECT coalesce(sql, name) FROM sqlite_schema ORDER BY name")
            .unwrap()
            .query_map([], |row| row.get(0))
            .unwrap()
            .collect::<Result<Vec<String>, _>>()
            .unwrap();
        let version: i64 = sql.query_row("PRAGMA user_version", [], |row| row.get(0)).unwrap();
        shape.push(version.to_string());
        shape
    };
    let latest = World::new();
    // Version 0 is an empty database file.
    for version in 0..schema::STEPS.len() {
        let dir = TempDir::new().unwrap();
        let mut sql = rusqlite::Connection::open(dir.path().join("log.db")).unwrap();
        sql.execute_batch("VACUUM").unwrap();
        Migrations::from_slice(schema::STEPS).to_version(&mut sql, version).unwrap();
        let (log, _) = Log::open(dir.path(), testing::key_of(testing::daemon()), true).unwrap();
        log.append(vec![draft("x")]).await.unwrap();
        assert_eq!(shape(dir.path()), shape(latest.dir.path()));
    }
}

#[test]
fn no_error_says_its_cause_twice() {
    let sqlite = || {
        rusqlite::Error::SqliteFailure(
            rusqlite::ffi::Error::new(rusqlite::ffi::SQLITE_FULL),
            Some("database or disk is full".into()),
        )
    };
    let path = || PathBuf::from("/state/log.db");
    let full = LogError::storage("write events", &path(), sqlite());
    assert_eq!(full.fault(), Some(StorageFault::Full));
    let errors = [
        full,
        LogError::storage("read a page", &path(), rusqlite::Error::InvalidQuery),
        LogError::Name(thrum_api::names::event_type("").unwrap_err()),
        LogError::File {
            action: "open",
            path: path(),
            source: std::io::Error::from(std::io::ErrorKind::NotFound),
        },
    ];
    for error in errors {
        let cause = std::error::Error::source(&error).unwrap().to_string();
        assert_eq!(chain_text(&error).matches(&cause).count(), 1, "{}", chain_text(&error));
    }
    let views =
        crate::agents::AgentsError::Views { doing: "digest events", source: sqlite().into() };
    let text = Chain(&views).to_string();
    assert_eq!(text.matches("database or disk is full").count(), 1, "{text}");
}

#[tokio::test]
async fn a_log_whose_file_was_removed_is_copied_by_the_writer() {
    let world = World::new();
    world.say_many(20).await;
    for name in ["log.db", "log.db-wal", "log.db-shm"] {
        std::fs::remove_file(world.dir.path().join(name)).unwrap();
    }
    // A reader that opens the path now would find nothing, or another log.
    let copy = world.log.copy(Connection::open_in_memory().unwrap()).await.unwrap();
    let count: i64 = copy.query_row("SELECT count(*) FROM events", [], |row| row.get(0)).unwrap();
    assert_eq!(count, 20);
}

#[tokio::test]
async fn a_closed_log_misses_none_of_its_files() {
    let world = World::new();
    world.say("x").await;
    world.log.close().await.unwrap();
    assert!(!world.dir.path().join("log.db-wal").exists());
    assert!(world.log.files().check().is_ok(), "SQLite removed it");
}

#[tokio::test]
async fn a_log_is_checked_unless_it_is_as_it_was_closed() {
    let world = World::new();
    world.say_many(500).await;
    let path = world.dir.path().join("log.db");
    world.log.close().await.unwrap();
    let modified = std::fs::metadata(&path).unwrap().modified().unwrap();
    let mut malformed = std::fs::read(&path).unwrap();
    // One of events, which nothing else reads at start.
    let page = malformed.len() / 4096 / 2 * 4096;
    malformed[page..page + 4096].fill(0x5a);
    std::fs::write(&path, &malformed).unwrap();
    let written = |at| std::fs::File::open(&path).unwrap().set_modified(at).unwrap();
    // Two writes in one tick of the kernel's clock have one time.
    written(modified + std::time::Duration::from_secs(1));
    let refused = Log::open(world.dir.path(), testing::key_of(world.daemon), true).err().unwrap();
    assert_eq!(refused.fault(), Some(StorageFault::Damaged), "{refused}");
    assert_eq!(std::fs::read(&path).unwrap(), malformed, "it is left as it is");

    // A check would find it here, too.
    written(modified);
    let (log, _) = Log::open(world.dir.path(), testing::key_of(world.daemon), true).unwrap();
    drop(log);
}

#[tokio::test]
async fn a_log_that_lacks_an_event_in_its_middle_is_malformed() {
    let world = World::new();
    world.say_many(20).await;
    world.log.close().await.unwrap();
    // As pages of two files do, of which each is sound.
    world.sql().execute_batch("DELETE FROM events WHERE sequence = 7").unwrap();
    let refused = Log::open(world.dir.path(), testing::key_of(world.daemon), true).err().unwrap();
    assert_eq!(refused.fault(), Some(StorageFault::Damaged), "{refused}");
    assert!(chain_text(&refused).contains("should have 20 events and has 19"), "{refused:?}");
}

#[tokio::test]
async fn a_first_start_that_was_killed_before_its_first_commit_is_no_damage() {
    let world = World::new();
    world.log.close().await.unwrap();
    world.sql().execute_batch("DELETE FROM meta").unwrap();
    assert!(Log::open(world.dir.path(), testing::key_of(world.daemon), true).is_ok());
}

#[tokio::test]
async fn a_wal_whose_database_is_gone_is_kept() {
    let world = World::new();
    world.log.close().await.unwrap();
    let dir = world.dir.path();
    std::fs::remove_file(dir.join("log.db")).unwrap();
    std::fs::write(dir.join("log.db-wal"), "of a killed thrumd").unwrap();
    Log::open(dir, testing::key_of(world.daemon), true).unwrap().0.close().await.unwrap();
    let names = std::fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path());
    let kept: Vec<_> = names.filter(|path| path.to_string_lossy().ends_with("-wal")).collect();
    assert_eq!(std::fs::read(&kept[0]).unwrap(), b"of a killed thrumd", "{kept:?}");
}

#[test]
fn no_connection_takes_the_pages_that_another_one_keeps() {
    let sql = Connection::open_in_memory().unwrap();
    let mut options = sql.prepare("PRAGMA compile_options").unwrap();
    let mut options = options.query_map([], |row| row.get::<_, String>(0)).unwrap();
    // .cargo/config.toml takes it away: with it all connections share one cache.
    assert!(!options.any(|option| option.unwrap() == "ENABLE_MEMORY_MANAGEMENT"));
}
