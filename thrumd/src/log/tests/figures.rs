//! What the log tells for `/metrics`.

use std::sync::mpsc;

use super::*;

#[tokio::test]
async fn a_write_that_hangs_is_seen_while_it_hangs() {
    let world = World::new();
    world.say("before").await;
    let writer = || world.log.metrics().writer.age();
    let (began, begun) = tokio::sync::oneshot::channel();
    let (release, released) = mpsc::channel::<()>();
    let mut began = Some(began);
    let hang = move |_: &mut WriteTransaction<'_>| {
        began.take().unwrap().send(()).unwrap();
        // Ends when the sender is dropped.
        let _dropped = released.recv();
        Ok(())
    };
    let log = world.log.clone();
    let hanging =
        tokio::spawn(async move { log.write(Priority::Local, "hang", 0, hang).await.unwrap() });
    begun.await.unwrap();
    let first = writer().expect("it is at work");
    while writer().expect("it is at work") <= first {
        tokio::task::yield_now().await;
    }
    drop(release);
    hanging.await.unwrap();
    while writer().is_some() {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn what_a_peer_lacks_is_not_known_behind_many_events_of_its_own() {
    let (a, b) = (World::new(), World::new());
    let oldest = async |after| {
        let of = vec![(a.daemon, Sequence(after))];
        b.log.oldest_lacking(of).await.unwrap().get(&a.daemon).copied()
    };
    a.say_many(64).await;
    b.pull_from(&a).await;
    assert_eq!(oldest(0).await, Some(None), "nothing up to the end");
    a.say("one more").await;
    b.pull_from(&a).await;
    assert_eq!(oldest(0).await, None, "not looked at");
    assert_eq!(oldest(1).await, Some(None));
    b.say("its own").await;
    assert_eq!(oldest(0).await, None);
    assert!(oldest(2).await.unwrap().is_some());
}
