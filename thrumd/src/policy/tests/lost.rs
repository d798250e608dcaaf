//! Peers whose grant is not to be seen.

use std::io::ErrorKind;
use std::time::Duration;

use thrum_api::ErrorCode;
use tokio::net::TcpListener;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use super::hub::{CAPABILITY, Hub, by_code, caller};
use crate::ids;
use crate::peer::Peer;

const LIMIT: Duration = Duration::from_secs(20);

#[tokio::test]
async fn one_look_without_the_grant_refuses_a_request_and_ends_no_pairing() {
    let (hub, id) = (Hub::start().await, ids::daemon());
    let peer = Peer { by_policy: Some(CAPABILITY.to_owned()), ..by_code(3, id) };
    hub.registry.put(peer).await.unwrap();
    hub.grants(3, false);
    let refused = hub.policy.admits(id, &caller(3)).await.unwrap_err();
    assert_eq!(refused.code, ErrorCode::INTERNAL, "one that it tries again: {refused:?}");
    assert!(hub.policy.refusal(&caller(3)).is_none(), "it is a peer until it was looked at twice");
    hub.grants(3, true);
    hub.policy.admits(id, &caller(3)).await.unwrap();
}

#[tokio::test]
async fn a_peer_that_hears_no_goodbye_keeps_none_of_the_others() {
    let hub = Hub::start().await;
    let mut doors = Vec::new();
    for node in [3, 4, 5] {
        let door = TcpListener::bind((format!("127.0.0.{node}"), 0)).await.unwrap();
        let port = door.local_addr().unwrap().port();
        let by_policy = Some(CAPABILITY.to_owned());
        let mut peer = Peer { by_policy, ..by_code(node, ids::daemon()) };
        peer.address = format!("127.0.0.{node}:{port}");
        hub.registry.put(peer).await.unwrap();
        hub.grants(node, false);
        doors.push(door);
    }
    let stop = CancellationToken::new();
    let keep = tokio::spawn(hub.policy.clone().keep(hub.sync(), stop));
    // Each takes the goodbye and answers nothing.
    let mut open = Vec::new();
    for door in &doors {
        open.push(timeout(LIMIT, door.accept()).await.unwrap().unwrap().0);
    }
    assert!(hub.registry.all().is_empty(), "all were forgotten before");
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
    keep.abort();
}

#[tokio::test]
async fn a_peer_that_could_not_be_removed_is_tried_again() {
    let (hub, id) = (Hub::start().await, ids::daemon());
    let peer = Peer { by_policy: Some(CAPABILITY.to_owned()), ..by_code(3, id) };
    hub.registry.put(peer).await.unwrap();
    hub.grants(3, false);
    let (sync, mut keeper) = (hub.sync(), super::Keeper::default());
    assert!(hub.policy.look(&mut keeper, &sync).await.is_some(), "looked at once");
    tokio::time::sleep(super::SETTLE).await;
    // Nothing can be written there.
    let obstacle = hub.block_writing();
    assert!(hub.policy.look(&mut keeper, &sync).await.is_some(), "no next look");
    std::fs::remove_dir_all(obstacle).unwrap();
    assert!(hub.policy.look(&mut keeper, &sync).await.is_none());
    assert!(hub.registry.all().is_empty());
}
