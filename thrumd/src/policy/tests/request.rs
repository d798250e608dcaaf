//! Pending tokens: issued and not used yet.

use std::time::Duration;

use tokio::time::Instant;

use super::harness::{CAPABILITY, Hub, by_code, caller};
use crate::ids;
use crate::peer::Replaces;
use crate::policy::grants::PENDING_LIFETIME;

#[tokio::test]
async fn a_token_counts_with_its_first_use_and_again_for_a_second_first_request() {
    let (hub, id) = (Hub::start().await, ids::daemon());
    let token = hub.asks(3, id).await;
    assert_eq!(hub.uses(4, &token).await, None, "another node");
    assert!(hub.registry.all().is_empty());
    let both = tokio::join!(hub.uses(3, &token), hub.uses(3, &token));
    assert_eq!(both, (Some(id), Some(id)));
    assert_eq!(hub.registry.get(id).unwrap().by_policy.as_deref(), Some(CAPABILITY));
}

#[tokio::test]
async fn a_removed_peer_does_not_come_back_with_a_token_from_before() {
    let (hub, id) = (Hub::start().await, ids::daemon());
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
    let (hub, id) = (Hub::start().await, ids::daemon());
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
    let (hub, id) = (Hub::start().await, ids::daemon());
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
    let (hub, id) = (Hub::start().await, ids::daemon());
    let in_time = PENDING_LIFETIME - Duration::from_secs(30);
    for (age, accepted) in [(PENDING_LIFETIME, None), (in_time, Some(id))] {
        let peer = by_code(3, id);
        let (token, asked_at) = (peer.token.clone(), Instant::now() - age);
        let pending = &hub.policy.shared.pending;
        pending.lock().insert(asked_at, peer, &caller(3), Replaces::Only(Vec::new()));
        assert_eq!(hub.uses(3, &token).await, accepted, "after {age:?}");
    }
}

#[tokio::test]
async fn a_node_with_a_new_daemon_id_takes_the_place_of_its_old_entry() {
    let (hub, old, new) = (Hub::start().await, ids::daemon(), ids::daemon());
    hub.registry.put(by_code(3, old)).await.unwrap();
    let late = hub.asks(3, new).await;
    // A person has paired it meanwhile: that wins.
    hub.registry.put(by_code(3, old)).await.unwrap();
    assert_eq!(hub.uses(3, &late).await, None);
    let token = hub.asks(3, new).await;
    assert!(hub.registry.get(old).is_some(), "until the token is used");
    assert_eq!(hub.uses(3, &token).await, Some(new));
    assert!(hub.registry.get(old).is_none());
    let held = hub.registry.get(new).unwrap();
    // A person has paired this node, so it needs no grant.
    assert_eq!((held.by_policy, held.former), (None, vec![old]));
}
