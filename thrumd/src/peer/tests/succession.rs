//! Machines that are paired again, or claim to be a peer.

use std::cell::Cell;

use serde_json::json;
use thrum_api::local::PairingUpdate;
use thrum_api::{ErrorCode, PairingCode};

use super::super::Peer;
use super::pairing::{fixture, other_code, params};
use super::{node, peer, token_of};
use crate::tailnet::localapi::fake::Fake;
use crate::tailnet::tailscaled::{Instance, Tailscaled, TailscaledConfig};
use crate::tailnet::{Presence, Tailnet};
use crate::testing::soon;

#[tokio::test]
async fn the_right_code_with_the_daemon_id_of_another_machine_ends_the_session() {
    let it = fixture();
    let (open, id) = (it.pairing.open("x:1".into()).unwrap(), crate::testing::daemon());
    let request = |from: &str, code: &PairingCode| {
        let peer = Peer::requested(it.us, &node(from), &params(code, id)).unwrap();
        let elsewhere = |_: &Peer| Ok(Some("vm-1".to_owned()));
        it.pairing.request(&node(from), peer, code, elsewhere).unwrap_err().code
    };
    // A stranger does not learn which ids are paired.
    assert_eq!(request("n3", &other_code(&open.code)), ErrorCode::WRONG_CODE);
    assert_eq!(request("n2", &open.code), ErrorCode::ID_TAKEN);
    assert_eq!(request("n2", &open.code), ErrorCode::NO_PAIRING_SESSION);
    let news = soon(it.pairing.wait(open.session, 1)).await.unwrap();
    let (caller, name) = (node("n2").describe(), "vm-1".to_owned());
    assert_eq!(news, PairingUpdate::IdTaken { caller, daemon_id: id, name });
    assert!(it.pairing.current().is_none());
}

#[tokio::test]
async fn a_machine_that_is_paired_meanwhile_is_not_replaced_by_another_node() {
    let it = fixture();
    let (open, id) = (it.pairing.open("x:1".into()).unwrap(), crate::testing::daemon());
    let token = it.request(&node("n2"), &params(&open.code, id)).unwrap();
    let first = Peer::requested(it.us, &node("n1"), &params(&open.code, id)).unwrap();
    it.registry.put(first.clone()).await.unwrap();
    assert_eq!(it.pairing.confirm(token.expose(), &node("n2")).await, None);
    assert!(token_of(&it.registry, id).matches(first.token.expose()));
    // Its node has left the tailnet by now, and it was added again.
    let token = it.request(&node("n2"), &params(&open.code, id)).unwrap();
    assert_eq!(it.pairing.confirm(token.expose(), &node("n2")).await, Some(id));
}

#[tokio::test]
async fn while_the_tailnet_can_t_be_asked_nobody_is_paired_or_accused_and_the_code_stays_good() {
    let (it, fake) = (fixture(), Fake::start());
    let config = TailscaledConfig { socket: Some(fake.socket()), instance: Instance::System };
    let tailnet = Tailnet::Tailscaled(Tailscaled::open(config));
    let old = Peer { node: Some("n1".to_owned()), ..peer("vm-1") };
    let id = old.daemon_id;
    it.registry.put(old.clone()).await.unwrap();
    let open = it.pairing.open("x:1".into()).unwrap();
    let looks = Cell::new(0);
    let request = |from: &str, code: &PairingCode| {
        let peer = Peer::requested(it.us, &node(from), &params(code, id)).unwrap();
        let token = peer.token.clone();
        let requested = it.pairing.request(&node(from), peer, code, |peer| {
            looks.set(looks.get() + 1);
            Ok(it.registry.holder_elsewhere(peer, &tailnet)?.map(|holder| holder.name))
        });
        (token, requested)
    };
    let (_, refused) = request("n3", &other_code(&open.code));
    assert_eq!(refused.unwrap_err().code, ErrorCode::WRONG_CODE);
    assert_eq!(looks.get(), 0, "a stranger makes nobody look");
    let (token, refused) = request("n2", &open.code);
    assert_eq!((refused.unwrap_err().code, looks.get()), (ErrorCode::TAILNET_DOWN, 1));
    assert_eq!(it.pairing.confirm(token.expose(), &node("n2")).await, None);
    assert!(token_of(&it.registry, id).matches(old.token.expose()));
    assert_eq!(it.pairing.current().unwrap().attempts_left, 2, "the session goes on");

    // The tailnet is back, and has no node n1.
    fake.status(&json!({
        "TUN": true, "BackendState": "Running", "TailscaleIPs": ["127.0.0.2"],
        "Self": {"ID": "us", "DNSName": "us.tail.test.", "TailscaleIPs": ["127.0.0.2"], "UserID": 7},
        "CurrentTailnet": {"MagicDNSSuffix": "tail.test"},
    }));
    let mut presence = tailnet.presence();
    soon(presence.wait_for(|now| matches!(now, Presence::Up { .. }))).await.unwrap();
    let (token, paired) = request("n2", &open.code);
    paired.unwrap();
    assert_eq!(it.pairing.confirm(token.expose(), &node("n2")).await, Some(id));
    let news = soon(it.pairing.wait(open.session, 1)).await.unwrap();
    assert!(matches!(news, PairingUpdate::Paired { .. }), "{news:?}");
}
