use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use thrum_api::limits::HEADS_MAX;

use super::*;

/// Keeps the writer busy until the sender is used, so that jobs queued meanwhile are one group.
async fn hold(world: &World) -> std::sync::mpsc::Sender<()> {
    let (release, held) = std::sync::mpsc::channel::<()>();
    let (entered, inside) = tokio::sync::oneshot::channel();
    let mut entered = Some(entered);
    let log = world.log.clone();
    tokio::spawn(async move {
        let work = move |_: &mut WriteTransaction<'_>| {
            if let Some(entered) = entered.take() {
                entered.send(()).unwrap();
                held.recv().unwrap();
            }
            Ok(())
        };
        log.write(Priority::Local, "hold the writer", 0, work).await.unwrap();
    });
    inside.await.unwrap();
    release
}

async fn until_queued(world: &World, jobs: usize) {
    while writer::QUEUE - world.log.inner.jobs.capacity() < jobs {
        tokio::task::yield_now().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn queued_jobs_are_one_commit_with_local_appends_first() {
    let world = World::new();
    let mut watch = world.log.watch();
    let release = hold(&world).await;
    let log = world.log.clone();
    let peer = testing::daemon();
    let origin = new_origin();
    let batch = raw_batch(peer, &[foreign(origin, 1), foreign(origin, 2)]);
    let applied = tokio::spawn(async move { log.apply(batch).await.unwrap() });
    until_queued(&world, 1).await;
    let appends: Vec<_> = (0..20)
        .map(|n| {
            let log = world.log.clone();
            tokio::spawn(async move { log.append(vec![draft(&n.to_string())]).await.unwrap() })
        })
        .collect();
    until_queued(&world, 21).await;
    watch.mark_unchanged();
    release.send(()).unwrap();
    let mut places = Vec::new();
    for append in appends {
        places.push(append.await.unwrap()[0].sequence.0);
    }
    places.sort_unstable();
    assert_eq!(places, (1..=20).collect::<Vec<_>>());
    assert_eq!(applied.await.unwrap().applied, 2);
    watch.changed().await.unwrap();
    assert_eq!(watch.borrow_and_update().position.sequence, Sequence(22), "told once for all");
    check_invariants(&world);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn megabytes_of_local_appends_do_not_delay_a_peer() {
    let world = World::new();
    let release = hold(&world).await;
    let mut large = draft("");
    large.body = json(&format!("\"{}\"", "x".repeat(200_000)));
    let log = world.log.clone();
    let many = vec![large; 4];
    let appends: Vec<_> = (0..6)
        .map(|_| {
            let (log, many) = (log.clone(), many.clone());
            tokio::spawn(async move { log.append(many).await.unwrap() })
        })
        .collect();
    until_queued(&world, 6).await;
    let batch = raw_batch(testing::daemon(), &[foreign(new_origin(), 1)]);
    let applied = tokio::spawn(async move { log.apply(batch).await.unwrap() });
    until_queued(&world, 7).await;
    release.send(()).unwrap();
    applied.await.unwrap();
    for append in appends {
        append.await.unwrap();
    }
    let of_the_peer = "SELECT sequence FROM events WHERE source != 0";
    let position: i64 = world.sql().query_row(of_the_peer, [], |row| row.get(0)).unwrap();
    assert_eq!(position, 9, "after the first group's local appends, before the others");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn heads_to_look_up_count_for_a_group() {
    let world = World::new();
    let release = hold(&world).await;
    let log = world.log.clone();
    let batch = raw_batch(testing::daemon(), &[foreign(new_origin(), 1)]);
    let applied = tokio::spawn(async move { log.apply(batch).await.unwrap() });
    until_queued(&world, 1).await;
    let many = writer::GROUP_BYTES / (HEADS_MAX * writer::HEAD_BYTES) + 2;
    let judge = |_| {
        let log = world.log.clone();
        tokio::spawn(async move {
            let committed = log.clone();
            let work = move |_: &mut LogTransaction<'_, '_>| Ok(committed.head().position.sequence);
            log.judge(0, HEADS_MAX, work).await.unwrap()
        })
    };
    let judged: Vec<_> = (0..many).map(judge).collect();
    until_queued(&world, 1 + many).await;
    release.send(()).unwrap();
    applied.await.unwrap();
    let mut saw = Vec::new();
    for job in judged {
        saw.push(job.await.unwrap());
    }
    saw.sort_unstable();
    assert_eq!((saw[0], saw[many - 1]), (Sequence(0), Sequence(1)), "two groups");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_failing_job_does_not_fail_its_group() {
    let world = World::new();
    let release = hold(&world).await;
    let ask = |n: usize| {
        let log = world.log.clone();
        tokio::spawn(async move {
            let work = move |write: &mut WriteTransaction<'_>| {
                let written = crate::log::append::append(write, &[draft(&n.to_string())])?;
                if n == 3 {
                    write.conn.execute("INSERT INTO no_such_table VALUES (1)", [])?;
                }
                Ok(written)
            };
            log.write(Priority::Local, "write events", 0, work).await
        })
    };
    let asked: Vec<_> = (0..6).map(ask).collect();
    until_queued(&world, 6).await;
    release.send(()).unwrap();
    let mut failed = 0;
    for asked in asked {
        failed += usize::from(asked.await.unwrap().is_err());
    }
    assert_eq!(failed, 1);
    assert_eq!(world.log.head().position.sequence, Sequence(5));
    let texts = world.contents().await.concat();
    assert!(!texts.contains("\"text\":\"3\"") && texts.contains("\"text\":\"4\""));
    check_invariants(&world);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn readers_never_see_a_gap_while_many_write() {
    let world = Arc::new(World::new());
    let stop = Arc::new(AtomicBool::new(false));
    let readers: Vec<_> = (0..2)
        .map(|_| {
            let (world, stop) = (Arc::clone(&world), Arc::clone(&stop));
            tokio::spawn(async move {
                let mut after = LogPosition::START;
                let mut seen = 0;
                loop {
                    let last = stop.load(Ordering::SeqCst);
                    let page = page(&world, after, 50, vec![]).await;
                    for event in page.events() {
                        seen += 1;
                        assert_eq!(event.sequence, Sequence(seen));
                    }
                    after = page.next;
                    if last && !page.more_available {
                        return seen;
                    }
                }
            })
        })
        .collect();
    let writers: Vec<_> = (0..8)
        .map(|n| {
            let world = Arc::clone(&world);
            tokio::spawn(async move {
                let origin = new_origin();
                for m in 1..=30 {
                    if n == 0 {
                        let events = [foreign(origin, m)];
                        world.log.apply(raw_batch(origin.daemon, &events)).await.unwrap();
                    } else {
                        let written = world.say("x").await;
                        let head = world.log.head().position.sequence;
                        assert!(head >= written.sequence, "the head is told before the answer");
                        let own = page(
                            &world,
                            LogPosition {
                                sequence: Sequence(written.sequence.0 - 1),
                                ..LogPosition::START
                            },
                            1,
                            vec![],
                        )
                        .await;
                        assert_eq!(
                            parse(&own.events()[0].event).header.event_id,
                            written.event_id,
                            "readable when it is answered"
                        );
                    }
                }
            })
        })
        .collect();
    for writer in writers {
        writer.await.unwrap();
    }
    stop.store(true, Ordering::SeqCst);
    for reader in readers {
        assert_eq!(reader.await.unwrap(), 240);
    }
    check_invariants(&world);
}
