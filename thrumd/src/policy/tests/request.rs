//! Pending tokens: issued and not used yet.

use std::time::Duration;

use thrum_api::local::PeerState;
use thrum_api::{DaemonId, Timestamp};
use tokio::time::Instant;

use super::harness::{CAPABILITY, Hub, by_code, caller};
use crate::peer::{Peer, Replaces};
use crate::policy::grants::PENDING_LIFETIME;
use crate::policy::request::{OF_NODE_MAX, SUCCESSION_PAUSE_MS};

#[tokio::test]
async fn a_token_counts_with_its_first_use_and_again_for_a_second_first_request() {
    let (hub, id) = (Hub::start().await, crate::testing::daemon());
    let token = hub.asks(3, id).await;
    assert_eq!(hub.uses(4, &token).await, None, "another node");
    assert!(hub.registry.all().is_empty());
    let both = tokio::join!(hub.uses(3, &token), hub.uses(3, &token));
    assert_eq!(both, (Some(id), Some(id)));
    assert_eq!(hub.registry.get(id).unwrap().by_policy.as_deref(), Some(CAPABILITY));
}

#[tokio::test]
async fn a_removed_peer_does_not_come_back_with_a_token_from_before() {
    let (hub, id) = (Hub::start().await, crate::testing::daemon());
    hub.registry.put(by_code(3, id)).await.unwrap();
    let token = hub.asks(3, id).await;
    hub.registry.remove(id).await.unwrap();
    assert_eq!(hub.uses(3, &token).await, None);
    assert!(hub.registry.all().is_empty());
    // It has to pair again, and is then a peer by policy.
    let token = hub.asks(3, id).await;
    assert_eq!(hub.uses(3, &token).await, Some(id));
    assert_eq!(hub.registry.get(id).unwrap().by_policy.as_deref(), Some(CAPABILITY));
}

#[tokio::test]
async fn a_peer_that_a_person_paired_meanwhile_is_not_replaced() {
    let (hub, id) = (Hub::start().await, crate::testing::daemon());
    let token = hub.asks(3, id).await;
    let peer = by_code(4, id);
    hub.registry.put(peer.clone()).await.unwrap();
    assert_eq!(hub.uses(3, &token).await, None);
    let held = hub.registry.get(id).unwrap();
    assert!(held.token.matches(peer.token.expose()) && held.node.as_deref() == Some("4"));
    // Nor is a pairing of the same node that was renewed with a code.
    let token = hub.asks(4, id).await;
    hub.registry.put(by_code(4, id)).await.unwrap();
    assert_eq!(hub.uses(4, &token).await, None);
    assert_eq!(hub.registry.get(id).unwrap().by_policy, None);
}

#[tokio::test]
async fn a_token_is_void_once_pairing_by_policy_is_off_or_the_grant_is_gone() {
    let (hub, id) = (Hub::start().await, crate::testing::daemon());
    let token = hub.asks(3, id).await;
    hub.allows(false).await;
    assert_eq!(hub.uses(3, &token).await, None);
    hub.allows(true).await;
    assert_eq!(hub.uses(3, &token).await, None, "it is forgotten");
    let token = hub.asks(3, id).await;
    hub.grants(3, false);
    assert_eq!(hub.uses(3, &token).await, None);
    assert!(hub.registry.all().is_empty());
}

#[tokio::test]
async fn a_token_that_was_not_used_in_time_is_void() {
    let (hub, id) = (Hub::start().await, crate::testing::daemon());
    let in_time = PENDING_LIFETIME - Duration::from_secs(30);
    for (age, accepted) in [(PENDING_LIFETIME, None), (in_time, Some(id))] {
        let peer = by_code(3, id);
        let (token, asked_at) = (peer.token.clone(), Instant::now() - age);
        let pending = &hub.policy.shared.pending;
        pending.lock().insert(asked_at, peer, &caller(3), Replaces::Only(Vec::new()));
        assert_eq!(hub.uses(3, &token).await, accepted, "after {age:?}");
    }
}

/// A peer that was paired by policy so long ago.
fn by_policy(node: u8, id: DaemonId, age_ms: u64) -> Peer {
    let paired_at = crate::clock::now().as_millis() - i64::try_from(age_ms).unwrap();
    let paired_at = Timestamp::from_millis(paired_at);
    Peer { by_policy: Some(CAPABILITY.to_owned()), paired_at, ..by_code(node, id) }
}

#[tokio::test]
async fn a_node_with_a_new_daemon_id_takes_the_place_of_one_that_was_paired_by_policy() {
    let (hub, old, new) = (Hub::start().await, crate::testing::daemon(), crate::testing::daemon());
    hub.registry.put(by_policy(3, old, SUCCESSION_PAUSE_MS)).await.unwrap();
    let late = hub.asks(3, new).await;
    // A person has paired it meanwhile: that wins.
    hub.registry.put(by_code(3, old)).await.unwrap();
    assert_eq!(hub.uses(3, &late).await, None);
    hub.registry.remove(old).await.unwrap();
    hub.registry.put(by_policy(3, old, SUCCESSION_PAUSE_MS)).await.unwrap();
    // Nor is one replaced that answers: only one daemon can listen there.
    for state in [PeerState::InSync, PeerState::CatchingUp] {
        hub.sees(old, state);
        assert_eq!(hub.refuses(3, new).await, "other_id");
    }
    hub.sees(old, PeerState::BackingOff);
    let token = hub.asks(3, new).await;
    assert!(hub.registry.get(old).is_some(), "until the token is used");
    assert_eq!(hub.uses(3, &token).await, Some(new));
    assert!(hub.registry.get(old).is_none());
    let held = hub.registry.get(new).unwrap();
    assert_eq!((held.by_policy.as_deref(), held.former), (Some(CAPABILITY), vec![old]));
}

#[tokio::test]
async fn a_new_daemon_id_takes_the_place_of_no_daemon_that_a_person_has_paired() {
    let (hub, old, new) = (Hub::start().await, crate::testing::daemon(), crate::testing::daemon());
    hub.registry.put(by_code(3, old)).await.unwrap();
    assert_eq!(hub.refuses(3, new).await, "other_id");
    // Nor of one that a person pairs while the token is pending.
    hub.registry.remove(old).await.unwrap();
    let token = hub.asks(3, new).await;
    hub.registry.put(by_code(3, old)).await.unwrap();
    assert_eq!(hub.uses(3, &token).await, None);
    let held: Vec<DaemonId> = hub.registry.all().iter().map(|it| it.daemon_id).collect();
    assert_eq!(held, [old]);
    // The daemon itself may renew its token, and stays a person's.
    let token = hub.asks(3, old).await;
    assert_eq!(hub.uses(3, &token).await, Some(old));
    assert_eq!(hub.registry.get(old).unwrap().by_policy, None);
}

#[tokio::test]
async fn a_node_is_not_often_a_new_daemon_and_not_many_at_once() {
    let hub = Hub::start().await;
    let (first, second) = (crate::testing::daemon(), crate::testing::daemon());
    let token = hub.asks(3, first).await;
    assert_eq!(hub.uses(3, &token).await, Some(first));
    assert_eq!(hub.refuses(3, second).await, "too_many", "a moment after the first one");
    // A clock that was set back does not make it wait for long.
    hub.registry
        .update(first, |peer| peer.paired_at = Timestamp::from_millis(i64::MAX))
        .await
        .unwrap();
    let token = hub.asks(3, second).await;
    assert_eq!(hub.uses(3, &token).await, Some(second));
    // Other ports are other daemons.
    for port in 1..OF_NODE_MAX {
        let address = format!("127.0.0.3:{port}");
        hub.registry
            .put(Peer { address, ..by_policy(3, crate::testing::daemon(), 0) })
            .await
            .unwrap();
    }
    let peer = Peer { address: "127.0.0.3:99".into(), ..by_code(3, crate::testing::daemon()) };
    let refused = hub.policy.request(&caller(3), peer).await.unwrap_err();
    assert_eq!(refused.member("reason").unwrap(), "too_many");
    // One of them may still be set up anew, and another node is not held up.
    let old = hub.registry.all().into_iter().find(|it| it.address == "127.0.0.3:1").unwrap();
    let paired_at = Timestamp::from_millis(0);
    hub.registry.update(old.daemon_id, move |peer| peer.paired_at = paired_at).await.unwrap();
    let peer = Peer { address: old.address, ..by_code(3, crate::testing::daemon()) };
    hub.policy.request(&caller(3), peer).await.unwrap();
    hub.asks(4, crate::testing::daemon()).await;
}
