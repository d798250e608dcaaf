//! Files that are removed or replaced while the log is open.

use super::*;

#[tokio::test]
async fn what_was_committed_to_a_file_that_went_meanwhile_is_not_acknowledged() {
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
    let refused = world.log.heads().await.unwrap_err();
    assert_eq!(refused.kind(), LogErrorKind::FilesChanged, "{refused}");
}
