//! Peers whose grant was withdrawn.

use std::io::ErrorKind;
use std::time::Duration;

use thrum_api::ErrorCode;
use tokio::net::TcpListener;
use tokio::time::{Instant, timeout};
use tokio_util::sync::CancellationToken;

use super::harness::{CAPABILITY, Hub, by_code, caller};
use crate::peer::Peer;
use crate::policy::grants::GRANT_TTL;

const LIMIT: Duration = Duration::from_secs(20);

#[tokio::test]
async fn one_check_without_the_grant_refuses_a_request_and_ends_no_pairing() {
    let (hub, id) = (Hub::start().await, crate::testing::daemon());
    let peer = Peer { by_policy: Some(CAPABILITY.to_owned()), ..by_code(3, id) };
    hub.registry.put(peer).await.unwrap();
    hub.grants(3, false);
    let refused = hub.policy.admits(id, &caller(3)).await.unwrap_err();
    assert_eq!(refused.code, ErrorCode::INTERNAL, "one that it tries again: {refused:?}");
    assert!(
        hub.policy.refusal(&caller(3)).is_none(),
        "it is a peer until the grant was missed twice"
    );
    hub.grants(3, true);
    hub.policy.admits(id, &caller(3)).await.unwrap();
}

#[tokio::test]
async fn a_grant_that_was_seen_is_trusted_for_a_while_and_not_forever() {
    let (hub, id) = (Hub::start().await, crate::testing::daemon());
    let peer = Peer { by_policy: Some(CAPABILITY.to_owned()), ..by_code(3, id) };
    hub.registry.put(peer).await.unwrap();
    hub.policy.admits(id, &caller(3)).await.unwrap();
    hub.grants(3, false);
    hub.policy.admits(id, &caller(3)).await.unwrap();
    let long_ago = Instant::now() - GRANT_TTL;
    hub.policy.shared.granted_at.lock().insert(id, long_ago);
    let refused = hub.policy.admits(id, &caller(3)).await.unwrap_err();
    assert_eq!(refused.code, ErrorCode::INTERNAL, "{refused:?}");
}

#[tokio::test]
async fn a_removed_peer_that_does_not_answer_delays_none_of_the_others() {
    let hub = Hub::start().await;
    let mut listeners = Vec::new();
    for node in [3, 4, 5] {
        let listener = TcpListener::bind((format!("127.0.0.{node}"), 0)).await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let by_policy = Some(CAPABILITY.to_owned());
        let mut peer = Peer { by_policy, ..by_code(node, crate::testing::daemon()) };
        peer.address = format!("127.0.0.{node}:{port}");
        hub.registry.put(peer).await.unwrap();
        hub.grants(node, false);
        listeners.push(listener);
    }
    let stop = CancellationToken::new();
    let monitor = tokio::spawn(hub.policy.clone().monitor(hub.sync(), stop));
    // Each accepts the notification and never answers.
    let mut open = Vec::new();
    for listener in &listeners {
        open.push(timeout(LIMIT, listener.accept()).await.unwrap().unwrap().0);
    }
    assert!(hub.registry.all().is_empty(), "all were removed first");
    for stream in &open {
        let mut bytes = [0; 4096];
        loop {
            match stream.try_read(&mut bytes) {
                Ok(0) => panic!("they were told one after the other"),
                Ok(_) => {}
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                Err(error) => panic!("{error}"),
            }
        }
    }
    monitor.abort();
}

#[tokio::test]
async fn removing_a_peer_is_retried_after_a_failure() {
    let (hub, id) = (Hub::start().await, crate::testing::daemon());
    let peer = Peer { by_policy: Some(CAPABILITY.to_owned()), ..by_code(3, id) };
    hub.registry.put(peer).await.unwrap();
    hub.grants(3, false);
    let (sync, mut monitor) = (hub.sync(), super::GrantMonitor::default());
    assert!(hub.policy.check_all(&mut monitor, &sync).await.is_some(), "checked once");
    // As after that time.
    *monitor.revoked.get_mut(&id).unwrap() -= super::SETTLE;
    let obstacle = hub.block_writing();
    assert!(hub.policy.check_all(&mut monitor, &sync).await.is_some(), "no next check");
    std::fs::remove_dir_all(obstacle).unwrap();
    assert!(hub.policy.check_all(&mut monitor, &sync).await.is_none());
    assert!(hub.registry.all().is_empty());
}

#[tokio::test]
async fn of_many_removed_nodes_the_oldest_is_forgotten_first() {
    let hub = Hub::start().await;
    // Their ids are sorted against their age, and the first one was removed twice.
    for node in (1..=256_u32).rev().chain([256, 0]) {
        hub.policy.note_withdrawn(format!("{node:03}"), "no grant".to_owned());
    }
    let told = |node: u32| {
        let mut caller = caller(3);
        caller.node.as_mut().unwrap().stable_id = format!("{node:03}");
        hub.policy.refusal(&caller).is_some()
    };
    assert!(told(0) && told(1) && told(254) && told(256));
    assert!(!told(255));
}
