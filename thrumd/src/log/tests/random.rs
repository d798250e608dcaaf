use super::*;

/// Logs that write, pull from one another, lose and restore their databases in random order.
async fn run(choices: &mut arbtest::arbitrary::Unstructured<'_>) -> arbtest::arbitrary::Result<()> {
    let mut worlds = [World::new(), World::new(), World::new()];
    let backups = [TempDir::new().unwrap(), TempDir::new().unwrap(), TempDir::new().unwrap()];
    for _ in 0..choices.int_in_range(3..=18)? {
        let one = choices.int_in_range(0..=2)?;
        let other = (one + choices.int_in_range(1..=2)?) % 3;
        match choices.int_in_range(0..=9)? {
            0..=2 => {
                worlds[one].say_many(choices.int_in_range(1..=9)?).await;
            }
            3..=6 => {
                worlds[one].pull_from(&worlds[other]).await;
            }
            7 => {
                // Parts of another's log, out of order and without a checkpoint.
                let mut pages = Vec::new();
                let mut after = LogPosition::START;
                let limit = choices.int_in_range(1..=9)?;
                loop {
                    let page = page(&worlds[other], after, limit, vec![]).await;
                    after = page.next;
                    pages.push(page.runs);
                    if !page.more_available {
                        break;
                    }
                }
                let skip = choices.int_in_range(0..=pages.len())?;
                for runs in pages.split_off(skip).into_iter().rev() {
                    let batch = batch(worlds[other].daemon, runs, None);
                    worlds[one].log.apply(batch).await.unwrap();
                }
            }
            8 => {
                let backup = backups[one].path().join("log.db");
                worlds[one]
                    .reopen(|dir| {
                        std::fs::copy(dir.join("log.db"), &backup).unwrap();
                    })
                    .await;
            }
            _ => {
                let backup = backups[one].path().join("log.db");
                worlds[one]
                    .reopen(|dir| {
                        std::fs::remove_file(dir.join("log.db")).unwrap();
                        if backup.exists() {
                            std::fs::copy(&backup, dir.join("log.db")).unwrap();
                        }
                    })
                    .await;
            }
        }
        check_invariants(&worlds[one]);
    }
    // After every log has pulled from every other, all hold the same events.
    for _ in 0..4 {
        for (one, other) in [(0, 1), (1, 2), (2, 0), (1, 0), (2, 1), (0, 2)] {
            worlds[one].pull_from(&worlds[other]).await;
        }
    }
    let all = worlds[0].contents().await;
    for world in &worlds {
        assert_eq!(world.contents().await, all);
        check_invariants(world);
    }
    Ok(())
}

#[test]
fn random_histories_keep_the_invariants_and_converge() {
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    arbtest::arbtest(|choices| runtime.block_on(run(choices))).budget_ms(4000);
}
