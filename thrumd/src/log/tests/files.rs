//! Files that are removed or replaced while the log is open.

use std::time::Duration;

use super::*;

/// Only ends a wait.
const LONG: Duration = Duration::from_secs(60);

#[tokio::test]
async fn nothing_is_committed_to_a_file_that_went_before_the_commit() {
    let world = World::new();
    let path = world.dir.path().join("log.db");
    let (gone, aside) = (path.clone(), path.with_extension("aside"));
    let moved = aside.clone();
    let work = move |_: &mut WriteTransaction<'_>| {
        std::fs::rename(&gone, &moved).unwrap();
        Ok(())
    };
    let refused = world.log.write(Priority::Local, "write a test", 0, work).await.unwrap_err();
    assert_eq!(refused.kind(), LogErrorKind::FilesChanged, "{refused}");
    std::fs::rename(&aside, &path).unwrap();
    world.log.append(vec![draft("x")]).await.unwrap();
}

#[tokio::test]
async fn another_database_at_the_path_is_not_read() {
    let (world, other) = (World::new(), World::new());
    other.log.append(vec![draft("of another log")]).await.unwrap();
    std::fs::copy(other.dir.path().join("log.db"), world.dir.path().join("copy")).unwrap();
    std::fs::rename(world.dir.path().join("copy"), world.dir.path().join("log.db")).unwrap();
    let refused = world.log.heads(Sequence::ZERO).await.unwrap_err();
    assert_eq!(refused.kind(), LogErrorKind::FilesChanged, "{refused}");
}

#[tokio::test]
async fn a_copy_over_the_database_during_a_commit_is_noticed() {
    let world = World::new();
    world.log.append(vec![draft("x")]).await.unwrap();
    let path = world.dir.path().join("log.db");
    let work = move |_: &mut WriteTransaction<'_>| {
        // Longer by one byte: two writes in one tick of the kernel's clock have one time.
        std::fs::write(&path, [std::fs::read(&path).unwrap().as_slice(), b"x"].concat()).unwrap();
        Ok(())
    };
    let refused = world.log.write(Priority::Local, "write a test", 0, work).await.unwrap_err();
    assert!(refused.to_string().contains("another program wrote to"), "{refused}");
}

#[tokio::test]
async fn the_writer_moves_a_long_wal_into_the_database_and_knows_its_own_writes() {
    let world = World::new();
    let size = |name: &str| std::fs::metadata(world.dir.path().join(name)).unwrap().len();
    let before = size("log.db");
    let text = "x".repeat(60_000);
    for _ in 0..6 {
        for _ in 0..30 {
            world.log.append((0..4).map(|_| draft(&text)).collect()).await.unwrap();
        }
        // Later jobs find it done.
        world.log.pulse().await.unwrap();
        assert_eq!(world.log.files().check(), Ok(()));
    }
    let (database, wal) = (size("log.db"), size("log.db-wal"));
    assert!(database > before + 16 * 1024 * 1024, "{before} {database}");
    assert!(wal < 16 * 1024 * 1024, "{wal}");
}

#[tokio::test]
async fn an_overwritten_log_is_whole_only_with_every_event_that_was_acknowledged() {
    let world = World::new();
    world.say_many(20).await;
    let head = world.log.head();
    world.log.close().await.unwrap();
    let sql = world.sql();
    holds_all(&sql, head).unwrap();
    for older in [
        "DELETE FROM events WHERE sequence = 7",
        "UPDATE origins SET top = 19",
        "DELETE FROM events WHERE sequence = 20; UPDATE meta SET head = 19",
        "UPDATE meta SET head = 21",
    ] {
        sql.execute_batch(&format!("SAVEPOINT whole; {older}")).unwrap();
        assert!(holds_all(&sql, head).is_err(), "{older}");
        sql.execute_batch("ROLLBACK TO whole; RELEASE whole").unwrap();
    }
}

#[tokio::test]
async fn a_copy_of_a_log_whose_file_is_gone_is_no_hang_of_the_writer() {
    let world = World::new();
    world.say("x").await;
    std::fs::remove_file(world.dir.path().join("log.db")).unwrap();
    let path = world.dir.path().join("copy");
    let (to, other) = (Connection::open(&path).unwrap(), Connection::open(&path).unwrap());
    to.busy_timeout(LONG).unwrap();
    other.execute_batch("BEGIN EXCLUSIVE").unwrap();
    let log = world.log.clone();
    let copy = tokio::spawn(async move { log.copy(to).await });
    while world.log.inner.copying.load(std::sync::atomic::Ordering::Relaxed) == 0 {
        tokio::task::yield_now().await;
    }
    // The watchdog's ping follows it.
    tokio::time::timeout(LONG / 2, world.log.pulse()).await.expect("the writer is busy").unwrap();
    assert!(!copy.is_finished());
    // The writer goes on, although nobody waits for it.
    copy.abort();
    assert!(copy.await.unwrap_err().is_cancelled());
    tokio::time::timeout(LONG / 2, world.log.pulse()).await.expect("the writer is busy").unwrap();
    other.execute_batch("COMMIT").unwrap();
    while world.log.inner.copying.load(std::sync::atomic::Ordering::Relaxed) > 0 {
        tokio::task::yield_now().await;
    }
    world.log.pulse().await.unwrap();
}

/// Writes to a file, which SQLite does not notice.
fn write_over(path: &Path) {
    let mut bytes = std::fs::read(path).unwrap();
    bytes.extend([0; 4096]);
    std::fs::write(path, bytes).unwrap();
}

#[tokio::test]
async fn events_of_a_file_that_another_program_wrote_are_not_served() {
    let world = World::new();
    world.say_many(5).await;
    assert_eq!(world.all().await.len(), 5);
    write_over(&world.dir.path().join("log.db"));
    let start = LogPosition::START;
    let request =
        NewsRequest { peer: testing::daemon(), examined: start, sent: start, relayed: false };
    let news = world.log.news(request, std::sync::Arc::new(|_| false)).await.err();
    let page = PageRequest {
        peer: testing::daemon(),
        after: LogPosition::START,
        limit: 10,
        have: Vec::new(),
    };
    let page = world.log.page(page).await.err();
    let list = world.log.list(EventListParams::default()).await.err();
    for refused in [news, page, list] {
        assert_eq!(refused.unwrap().kind(), LogErrorKind::FilesChanged);
    }
    assert_eq!(world.log.stats().await.unwrap().events, 5, "status goes on");
}

#[tokio::test]
async fn other_files_of_the_directory_keep_no_reader_from_opening_the_log() {
    let world = World::new();
    world.say("x").await;
    let peers = world.dir.path().join("peers.json");
    world.log.files().hold_contents(peers, Some(b"{}".to_vec().into()));
    assert!(world.log.files().differ());
    assert_eq!(world.all().await.len(), 1);
}
