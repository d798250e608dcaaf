//! Pairing sessions with their clock, files and waiting calls.

use std::time::Duration;

use thrum_api::local::PairingUpdate;
use thrum_api::peer::PairRequestParams;
use thrum_api::proof::Signature;
use thrum_api::{DaemonId, ErrorCode, PairingCode, RpcError, Token};

use super::super::peers_file::FORMER_MAX;
use super::super::{Pairing, Peer, Registry};
use super::{caller, node, peer};
use crate::ids;
use crate::tailnet::Caller;
use crate::testing::{soon, until};

pub(super) struct Fixture {
    dir: tempfile::TempDir,
    pub(super) registry: Registry,
    pub(super) pairing: Pairing,
    pub(super) us: DaemonId,
}

pub(super) fn fixture() -> Fixture {
    let dir = tempfile::tempdir().unwrap();
    let (registry, _) = Registry::open(dir.path()).unwrap();
    let us = crate::testing::daemon();
    let pairing = Pairing::new(registry.clone(), Duration::from_secs(300));
    Fixture { dir, registry, pairing, us }
}

impl Fixture {
    /// `pair.request` with a code. Returns the token that the caller gets.
    pub(super) fn request(
        &self,
        from: &Caller,
        params: &PairRequestParams,
    ) -> Result<Token, RpcError> {
        let peer = Peer::requested(self.us, from, params)?;
        let token = peer.token.clone();
        self.pairing.request(from, peer, params.code.as_ref().unwrap(), |_| Ok(None))?;
        Ok(token)
    }
}

pub(super) fn params(code: &PairingCode, id: DaemonId) -> PairRequestParams {
    PairRequestParams {
        code: Some(code.clone()),
        id,
        name: "vm-1".into(),
        addr: "10.0.0.9:9101".into(),
        // These are looked at before the session sees the request.
        host: id,
        dialled: String::new(),
        signature: Signature([0; 64]),
    }
}

pub(super) fn other_code(code: &PairingCode) -> PairingCode {
    if code.expose() == "0000" { "0001".parse().unwrap() } else { "0000".parse().unwrap() }
}

#[tokio::test]
async fn a_pairing_counts_with_the_first_request_that_carries_the_token() {
    let it = fixture();
    let open = it.pairing.open("my-laptop:9100".into()).unwrap();
    assert_eq!(open.timeout_ms, 300_000);
    let id = crate::testing::daemon();
    let from = node("n1");
    let token = it.request(&from, &params(&open.code, id)).unwrap();
    assert!(it.registry.all().is_empty(), "pending is kept in memory only");
    assert!(!it.dir.path().join("peers.json").exists());
    assert_eq!(it.pairing.confirm(token.expose(), &node("n2")).await, None);
    assert_eq!(it.pairing.confirm(other_token().as_str(), &from).await, None);
    assert_eq!(it.pairing.confirm(token.expose(), &from).await, Some(id));
    let held = it.registry.get(id).unwrap();
    // The address as observed, the port as declared.
    assert_eq!((held.address.as_str(), held.node.as_deref()), ("100.64.0.7:9101", Some("n1")));
    let news = soon(it.pairing.wait(open.session, 0)).await.unwrap();
    let address = "100.64.0.7:9101".to_owned();
    let (name, replaced) = ("n1".to_owned(), Vec::new());
    assert_eq!(news, PairingUpdate::Paired { daemon_id: id, name, address, replaced });
    assert!(it.pairing.current().is_none());
    let late = it.request(&from, &params(&open.code, id)).unwrap_err();
    assert_eq!(late.code, ErrorCode::NO_PAIRING_SESSION);
}

fn other_token() -> String {
    ids::token().unwrap().expose().to_owned()
}

#[tokio::test]
async fn two_first_requests_at_once_are_both_accepted() {
    let it = fixture();
    let open = it.pairing.open("x:1".into()).unwrap();
    let (id, from) = (crate::testing::daemon(), caller("127.0.0.1"));
    let token = it.request(&from, &params(&open.code, id)).unwrap();
    let (one, two) = tokio::join!(
        it.pairing.confirm(token.expose(), &from),
        it.pairing.confirm(token.expose(), &from)
    );
    assert_eq!((one, two), (Some(id), Some(id)));
    assert_eq!(it.pairing.confirm(token.expose(), &from).await, Some(id));
}

#[tokio::test]
async fn a_repeated_request_gets_a_new_token_and_voids_the_old_one() {
    let it = fixture();
    let open = it.pairing.open("x:1".into()).unwrap();
    let (id, from) = (crate::testing::daemon(), caller("127.0.0.1"));
    let lost = it.request(&from, &params(&open.code, id)).unwrap();
    let held = it.request(&from, &params(&open.code, id)).unwrap();
    assert_eq!(it.pairing.confirm(lost.expose(), &from).await, None);
    assert_eq!(it.pairing.confirm(held.expose(), &from).await, Some(id));
}

#[tokio::test]
async fn waiting_callers_are_notified_of_wrong_codes_and_of_the_lock() {
    let it = fixture();
    let open = it.pairing.open("x:1".into()).unwrap();
    let wrong = other_code(&open.code);
    let wait = |seen| {
        let pairing = it.pairing.clone();
        tokio::spawn(async move { pairing.wait(open.session, seen).await })
    };
    let mut waiting = wait(0);
    for seen in 1..=3 {
        let from = format!("n{seen}");
        it.request(&node(&from), &params(&wrong, crate::testing::daemon())).unwrap_err();
        let news = soon(waiting).await.unwrap().unwrap();
        let who = format!("{from}.ts.net");
        match seen {
            3 => assert_eq!(news, PairingUpdate::Locked { caller: who }),
            _ => assert!(matches!(news, PairingUpdate::WrongCode { caller, .. } if caller == who)),
        }
        waiting = wait(seen);
    }
    let over = soon(waiting).await.unwrap().unwrap_err();
    assert_eq!(over.code, ErrorCode::NOT_FOUND);
    it.pairing.open("x:1".into()).unwrap();
}

#[tokio::test]
async fn dropping_the_wait_ends_the_session_and_another_may_open() {
    let it = fixture();
    let open = it.pairing.open("x:1".into()).unwrap();
    let busy = it.pairing.open("x:1".into()).unwrap_err();
    assert_eq!(busy.code, ErrorCode::PAIRING_BUSY);
    assert_eq!(it.pairing.current().unwrap().attempts_left, 3);
    let pairing = it.pairing.clone();
    let waiting = tokio::spawn(async move { pairing.wait(open.session, 0).await });
    tokio::task::yield_now().await;
    waiting.abort();
    until(async || it.pairing.current().is_none()).await;
    let refused = it.request(&caller("127.0.0.1"), &params(&open.code, crate::testing::daemon()));
    assert_eq!(refused.unwrap_err().code, ErrorCode::NO_PAIRING_SESSION);
    let second = it.pairing.open("x:1".into()).unwrap();
    assert_ne!(second.session, open.session);
    assert_eq!(it.pairing.wait(open.session, 0).await.unwrap_err().code, ErrorCode::NOT_FOUND);
}

#[tokio::test]
async fn waiting_callers_are_notified_of_a_cancellation() {
    let it = fixture();
    let open = it.pairing.open("x:1".into()).unwrap();
    let wait = it.pairing.wait(open.session, 0);
    let cancel = async { it.pairing.cancel(open.session) };
    let (news, cancelled) = soon(async { tokio::join!(wait, cancel) }).await;
    assert_eq!(news.unwrap(), PairingUpdate::Cancelled);
    cancelled.unwrap();
    assert_eq!(it.pairing.cancel(77).unwrap_err().code, ErrorCode::NOT_FOUND);
}

#[tokio::test]
async fn a_request_that_makes_no_sense_uses_up_no_try() {
    let it = fixture();
    let open = it.pairing.open("x:1".into()).unwrap();
    let from = caller("127.0.0.1");
    let itself = it.request(&from, &params(&open.code, it.us)).unwrap_err();
    assert!(itself.message.contains("itself"), "{}", itself.message);
    for addr in ["", "host", "host:", "host:0", "host:99999"] {
        let params =
            PairRequestParams { addr: addr.into(), ..params(&open.code, crate::testing::daemon()) };
        let refused = it.request(&from, &params).unwrap_err();
        assert_eq!(refused.code, ErrorCode::INVALID_PARAMS);
    }
    let name =
        PairRequestParams { name: "a\nb".into(), ..params(&open.code, crate::testing::daemon()) };
    let refused = it.request(&from, &name).unwrap_err();
    assert_eq!(refused.code, ErrorCode::INVALID_PARAMS);
    assert_eq!(it.pairing.current().unwrap().attempts_left, 3);
}

#[tokio::test]
async fn a_peer_that_can_t_be_stored_is_not_paired_and_may_retry() {
    let it = fixture();
    let open = it.pairing.open("x:1".into()).unwrap();
    let (id, from) = (crate::testing::daemon(), caller("127.0.0.1"));
    let token = it.request(&from, &params(&open.code, id)).unwrap();
    let blocker = it.dir.path().join("peers.json/x");
    std::fs::create_dir_all(&blocker).unwrap();
    assert_eq!(it.pairing.confirm(token.expose(), &from).await, None);
    assert!(it.registry.all().is_empty() && it.pairing.current().is_some());
    std::fs::remove_dir_all(blocker.parent().unwrap()).unwrap();
    assert_eq!(it.pairing.confirm(token.expose(), &from).await, Some(id));
}

#[tokio::test]
async fn pairing_again_replaces_the_token() {
    let it = fixture();
    let old = peer("vm-1");
    it.registry.put(old.clone()).await.unwrap();
    let open = it.pairing.open("x:1".into()).unwrap();
    let from = caller("127.0.0.1");
    let token = it.request(&from, &params(&open.code, old.daemon_id)).unwrap();
    // Until the new token is used, the old one counts.
    assert_eq!(it.registry.authenticate(old.token.expose(), &from), Ok(old.daemon_id));
    assert_eq!(it.pairing.confirm(token.expose(), &from).await, Some(old.daemon_id));
    assert_eq!(it.registry.authenticate(old.token.expose(), &from).ok(), None);
    assert_eq!(it.registry.all().len(), 1);
}

#[tokio::test]
async fn the_same_machine_with_a_new_id_takes_the_place_of_its_old_entry_when_it_is_confirmed() {
    let it = fixture();
    let at = |addr: &str, from: &Caller, id| {
        let params =
            PairRequestParams { addr: addr.into(), ..params(&"1234".parse().unwrap(), id) };
        Peer::requested(it.us, from, &params).unwrap()
    };
    let old = at("x:9100", &node("n1"), crate::testing::daemon());
    let others = [
        at("x:9100", &node("n2"), crate::testing::daemon()),
        at("x:9200", &node("n1"), crate::testing::daemon()),
        at("x:9100", &caller("100.64.0.7"), crate::testing::daemon()),
    ];
    for peer in others.iter().chain([&old]) {
        it.registry.put(peer.clone()).await.unwrap();
    }
    let open = it.pairing.open("x:1".into()).unwrap();
    let new = at("y:9100", &node("n1"), crate::testing::daemon());
    it.pairing.request(&node("n1"), new.clone(), &open.code, |_| Ok(None)).unwrap();
    assert!(it.registry.get(old.daemon_id).is_some() && it.registry.former().is_empty());
    it.pairing.confirm(new.token.expose(), &node("n1")).await.unwrap();
    let (again, _) = Registry::open(it.dir.path()).unwrap();
    let mut held: Vec<DaemonId> = again.all().iter().map(|peer| peer.daemon_id).collect();
    let mut wanted: Vec<DaemonId> = others.iter().map(|peer| peer.daemon_id).collect();
    wanted.push(new.daemon_id);
    held.sort();
    wanted.sort();
    assert_eq!(held, wanted);
    let former = again.former();
    assert_eq!(former.keys().collect::<Vec<_>>(), [&old.daemon_id]);
    assert_eq!(former[&old.daemon_id], new.daemon_id);
    let news = soon(it.pairing.wait(open.session, 0)).await.unwrap();
    assert!(
        matches!(&news, PairingUpdate::Paired { replaced, .. } if *replaced == [old.daemon_id])
    );
    // Its state directory is restored: the old id is the machine again.
    let open = it.pairing.open("x:1".into()).unwrap();
    let token = at("x:9100", &node("n1"), old.daemon_id);
    it.pairing.request(&node("n1"), token.clone(), &open.code, |_| Ok(None)).unwrap();
    it.pairing.confirm(token.token.expose(), &node("n1")).await.unwrap();
    assert_eq!(it.registry.former().into_keys().collect::<Vec<_>>(), [new.daemon_id]);
    assert_eq!(it.registry.all().len(), 4);
}

#[tokio::test]
async fn of_many_former_ids_of_a_machine_the_last_are_kept() {
    let it = fixture();
    let mut ids = Vec::new();
    for _ in 0..FORMER_MAX + 3 {
        let open = it.pairing.open("x:1".into()).unwrap();
        let id = crate::testing::daemon();
        let token = it.request(&node("n1"), &params(&open.code, id)).unwrap();
        assert_eq!(it.pairing.confirm(token.expose(), &node("n1")).await, Some(id));
        ids.push(id);
    }
    let held = it.registry.all();
    let [held] = &held[..] else { panic!("{held:?}") };
    assert_eq!(held.former, ids[2..FORMER_MAX + 2]);
    assert!(it.registry.former().values().all(|now| *now == held.daemon_id));
}
