use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use serde_json::{Value, json};
use thrum_api::local::PeerState;
use thrum_api::{ErrorCode, PairingCode, Token};

use super::fake_peers::{answering, fake_record, http};
use super::harness::{converge, daemon, eventually, pair};
use crate::peer::Peer;
use crate::testing;

fn wrong(code: &PairingCode) -> PairingCode {
    let other = if code.expose().starts_with('0') { "1" } else { "0" };
    format!("{other}{}", &code.expose()[1..]).parse().unwrap()
}

#[tokio::test]
async fn joining_pairs_both_sides_and_syncs() {
    let (a, b) = (daemon("my-laptop").await, daemon("office-server").await);
    b.write(2).await;
    let found = b.sync.resolve(&a.at()).await.unwrap();
    assert_eq!(found.address, a.at());
    let joined = b.sync.join(&a.at(), a.code()).await.unwrap();
    assert_eq!((joined.daemon_id, &*joined.name, joined.renewed), (a.id, "my-laptop", false));
    assert_eq!(joined.address, a.at());
    let peer = a.registry.get(b.id).unwrap();
    assert_eq!((&*peer.name, peer.address), ("office-server", b.at()));
    assert!(!b.registry.get(a.id).unwrap().unconfirmed);
    converge(&[&a, &b], 2).await;
}

#[tokio::test]
async fn a_wrong_code_pairs_nobody_and_says_how_many_tries_are_left() {
    let (a, b, refused) = loop {
        let (a, b) = (daemon("a").await, daemon("b").await);
        let (code, begun) = (a.code(), Instant::now());
        let error = b.sync.join(&a.at(), wrong(&code)).await.unwrap_err();
        assert_eq!(error.code, ErrorCode::WRONG_CODE, "{error:?}");
        assert_eq!(error.member("attempts_left").unwrap().as_u64(), Some(2));
        assert!(error.message.ends_with("2 tries left"), "{error:?}");
        match b.sync.join(&a.at(), code).await {
            // On a busy machine it had waited already.
            Ok(_) if begun.elapsed() > Duration::from_secs(1) => {}
            refused => break (a, b, refused),
        }
    };
    let error = refused.unwrap_err();
    assert_eq!(error.code, ErrorCode::PAIRING_WAIT, "{error:?}");
    assert_eq!(error.member("wait_ms").unwrap().as_u64(), Some(1000));
    assert!(error.message.ends_with("wait 1s"), "{error:?}");
    assert!(a.registry.all().is_empty() && b.registry.all().is_empty());
}

#[tokio::test]
async fn joining_where_nobody_is_pairing_says_what_to_run() {
    let (a, b) = (daemon("a").await, daemon("b").await);
    let error = b.sync.join(&a.at(), "1234".parse::<PairingCode>().unwrap()).await.unwrap_err();
    assert_eq!(error.code, ErrorCode::NO_PAIRING_SESSION);
    assert!(error.member("hint").unwrap().as_str().unwrap().contains("thrum peer add"));
}

#[tokio::test]
async fn joining_itself_is_refused_before_the_code_is_sent() {
    let a = daemon("a").await;
    let code = a.code();
    for error in [
        a.sync.resolve(&a.at()).await.unwrap_err(),
        a.sync.join(&a.at(), wrong(&code)).await.unwrap_err(),
    ] {
        assert_eq!(error.code, ErrorCode::REFUSED);
        assert!(error.message.contains("this machine itself"), "{error:?}");
    }
    assert_eq!(a.pairing.current().unwrap().attempts_left, 3);
}

#[tokio::test]
async fn pairing_again_replaces_the_token_and_keeps_the_checkpoint() {
    let (a, b) = (daemon("a").await, daemon("b").await);
    a.write(4).await;
    pair(&a, &b).await;
    converge(&[&a, &b], 4).await;
    let old = b.registry.get(a.id).unwrap().token;
    let checkpoint = || async { b.log.checkpoint(a.id).await.unwrap().position };
    let before = checkpoint().await;
    let joined = b.sync.join(&a.at(), a.code()).await.unwrap();
    assert!(joined.renewed);
    let new = b.registry.get(a.id).unwrap().token;
    assert!(!new.matches(old.expose()));
    assert!(a.registry.get(b.id).unwrap().token.matches(new.expose()));
    assert!(checkpoint().await.sequence >= before.sequence);
    a.reaches(&b, PeerState::InSync).await;
    b.reaches(&a, PeerState::InSync).await;
    assert_eq!(b.sync.counters().events_duplicate, 0);
    a.write(1).await;
    converge(&[&a, &b], 5).await;
    // That event may arrive by a notification and by a pull at once.
    let again = b.sync.counters().events_duplicate;
    assert!(again <= 1, "{again} came again");
}

#[tokio::test]
async fn a_removed_peer_is_notified_and_shows_it() {
    let (a, b) = (daemon("a").await, daemon("b").await);
    // It is given a moment, which may pass on a busy machine.
    let told = async || {
        pair(&a, &b).await;
        a.reaches(&b, PeerState::InSync).await;
        let removed = a.sync.remove("b").await.unwrap();
        assert_eq!(removed.daemon_id, b.id);
        removed.told
    };
    assert!(told().await || told().await || told().await);
    b.reaches(&a, PeerState::RemovedUs).await;
    assert!(eventually(async || b.registry.get(a.id).is_some_and(|peer| peer.removed_us)).await);
    assert!(a.registry.all().is_empty());
}

#[tokio::test]
async fn an_offline_peer_that_is_removed_finds_out_later() {
    let (a, b) = (daemon("a").await, daemon("b").await);
    pair(&a, &b).await;
    let b = b.stop().await;
    assert!(!a.sync.remove("b").await.unwrap().told);
    let b = b.start().await;
    b.reaches(&a, PeerState::RemovedUs).await;
}

#[tokio::test]
async fn removing_an_unknown_peer_names_similar_ones() {
    let a = daemon("a").await;
    assert_eq!(a.sync.remove("nobody").await.unwrap_err().code, ErrorCode::NOT_FOUND);
}

#[tokio::test]
async fn concurrent_joins_run_one_after_the_other() {
    let id = testing::daemon();
    let key = testing::key_of(id);
    let asked = Arc::new(Mutex::new(Vec::new()));
    let heard = Arc::clone(&asked);
    let other = answering(move |request| {
        let call: Value = serde_json::from_str(request.split("\r\n\r\n").nth(1)?).ok()?;
        let mut heard = heard.lock();
        let has_token = request.to_ascii_lowercase().contains("authorization: bearer");
        let answer = match call["method"].as_str()? {
            "sync.peer_info" if has_token => {
                heard.push("use");
                let epoch = crate::ids::epoch();
                let result = json!({
                    "id": id, "name": "other", "version": "1", "epoch": epoch, "head_seq": 0,
                });
                json!({"jsonrpc": "2.0", "id": call["id"], "result": result})
            }
            "sync.peer_info" | "pair.request" => {
                let asks = call["method"] == "pair.request";
                heard.push(if asks { "pair" } else { "who" });
                let token = Token::from_bytes(&[u8::try_from(heard.len()).ok()?; 32]);
                testing::host_answer(&key, &call, &token)
            }
            _ => return None,
        };
        http("application/json", &answer.to_string())
    })
    .await
    .to_string();
    let a = daemon("a").await;
    let code = Some("1234".parse::<PairingCode>().unwrap());
    let (first, second) =
        tokio::join!(a.sync.join(&other, code.clone()), a.sync.join(&other, code));
    assert_eq!((first.unwrap().renewed, second.unwrap().renewed), (false, true));
    assert_eq!(*asked.lock(), ["who", "pair", "use", "who", "pair", "use"]);
    assert!(!a.registry.get(id).unwrap().unconfirmed);
}

#[tokio::test]
async fn actions_for_an_old_token_do_not_affect_a_newer_pairing() {
    let a = daemon("a").await;
    let silent = answering(|_| None).await;
    let (first, second) = (Token::from_bytes(&[1; 32]), Token::from_bytes(&[2; 32]));
    let replaced = fake_record(silent);
    let id = replaced.daemon_id;
    let pairings = &a.sync.shared.pairings;
    let newer = Peer { token: second.clone(), unconfirmed: true, ..replaced.clone() };
    let stored =
        || a.registry.get(id).map(|peer| (peer.token.expose().to_owned(), peer.unconfirmed));
    let untouched = Some((second.expose().to_owned(), true));
    a.registry.put(replaced.clone()).await.unwrap();
    assert!(pairings.store(newer.clone()).await.unwrap());
    assert_eq!(pairings.confirm(id, first.clone()).await, None);
    assert_eq!(stored(), untouched);
    pairings.undo(id, first.clone()).await;
    assert_eq!(stored(), untouched);
    // The replaced peer is still known.
    pairings.undo(id, second.clone()).await;
    assert_eq!(stored(), Some((replaced.token.expose().to_owned(), false)));
    // The same for a pairing that replaced nothing.
    a.registry.remove(id).await.unwrap();
    assert!(!pairings.store(newer).await.unwrap());
    pairings.undo(id, first).await;
    assert!(stored().is_some());
    pairings.undo(id, second).await;
    assert_eq!(stored(), None);
}

#[tokio::test]
async fn a_peer_that_was_joined_takes_the_place_of_its_old_entry_when_it_is_confirmed() {
    let (a, b) = (daemon("a").await, daemon("b").await);
    pair(&a, &b).await;
    b.write(3).await;
    converge(&[&a, &b], 3).await;
    let checkpoint = async || a.log.checkpoint(b.id).await.unwrap().position.sequence.0;
    assert_eq!(checkpoint().await, 3);
    let old = a.registry.get(b.id).unwrap();
    let token = Token::from_bytes(&[1; 32]);
    let new = Peer {
        daemon_id: testing::daemon(),
        token: token.clone(),
        unconfirmed: true,
        ..old.clone()
    };
    let pairings = &a.sync.shared.pairings;
    pairings.begin_join(new.daemon_id);
    assert!(!pairings.store(new.clone()).await.unwrap());
    assert_eq!(a.registry.all().len(), 2);
    pairings.undo(new.daemon_id, token.clone()).await;
    assert!(a.registry.get(b.id).is_some_and(|held| held.former.is_empty()));
    pairings.store(new.clone()).await.unwrap();
    assert_eq!(pairings.confirm(new.daemon_id, token).await, Some(vec![b.id]));
    assert_eq!(a.registry.all().len(), 1);
    assert_eq!(a.registry.former().into_keys().collect::<Vec<_>>(), [b.id]);
    assert!(eventually(async || checkpoint().await == 0).await, "the old checkpoint stays");
}
