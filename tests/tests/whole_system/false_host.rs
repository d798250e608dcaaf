//! A machine that is joined and says that it is another one takes nobody's place.

use std::sync::{Arc, Mutex};

use serde_json::json;
use tests::harness::{Answer, FakePeer, SHORT, converge, paired_daemons};
use thrum_api::local::{PeerJoin, PeerJoinParams};
use thrum_api::peer::PairRequestParams;
use thrum_api::proof::Signature;
use thrum_api::{DaemonId, ErrorCode};
use thrumd::ids;
use thrumd::keys::SecretKey;
use thrumd::peer::PairingProof;

/// What the host says.
#[derive(Clone)]
struct Says {
    /// Who it is, before and with the pairing.
    ids: (DaemonId, DaemonId),
    /// Where the request came from.
    observed: &'static str,
    is_signed: bool,
}

const HERE: &str = "127.0.0.1:1";

/// A host without a token yet, which has this key.
fn host(key: Arc<SecretKey>, says: Arc<Mutex<Says>>) -> FakePeer {
    FakePeer::new(move |heard| {
        let Says { ids, observed, is_signed } = says.lock().unwrap().clone();
        match heard.method.as_str() {
            "sync.peer_info" if heard.authorization.is_none() => {
                let code = ErrorCode::NOT_AUTHENTICATED.0;
                let error = json!({"code": code, "message": "no token", "data": {"id": ids.0}});
                let body = json!({"jsonrpc": "2.0", "id": 1, "error": error}).to_string();
                Some(Answer::Raw(200, "application/json", body.into_bytes()))
            }
            "sync.peer_info" => Some(Answer::Result(json!({
                "id": ids.0, "name": "fake", "version": "0.0.1", "epoch": ids::epoch(), "head_seq": 0,
            }))),
            "pair.request" => {
                let asked: PairRequestParams =
                    serde_json::from_value(heard.params.clone()).unwrap();
                let token = ids::token().unwrap();
                let proof = PairingProof {
                    joining: asked.id,
                    accepting: ids.0,
                    code: asked.code.as_ref(),
                    address: observed,
                };
                let signature = match is_signed {
                    true => proof.sign_answer(&key, &token),
                    false => Signature([0; 64]),
                };
                Some(Answer::Result(json!({
                    "status": "paired", "token": token.expose(), "id": ids.1, "name": "server",
                    "observed": observed, "signature": signature,
                })))
            }
            _ => None,
        }
    })
}

#[test]
fn a_host_that_does_not_prove_its_id_is_not_joined() {
    let (a, b) = paired_daemons();
    let key = Arc::new(SecretKey::generate().unwrap());
    let (own, other) = (key.id(), b.id());
    let says = Arc::new(Mutex::new(Says { ids: (own, own), observed: HERE, is_signed: true }));
    let fake = host(key, Arc::clone(&says));
    let join = || {
        let (address, code) = (fake.address().to_string(), "1234".parse().ok());
        a.call::<PeerJoin>(PeerJoinParams { address, code })
    };
    let (tokens, address) = (a.tokens(), a.peer(other).unwrap().address);
    for (ids, observed, is_signed, words) in [
        ((other, other), HERE, false, "does not prove that it is"),
        ((other, other), HERE, true, "does not prove that it is"),
        ((other, own), HERE, true, "does not prove that it is"),
        ((own, other), HERE, true, "does not prove that it is"),
        ((own, own), HERE, false, "does not prove that it is"),
        ((own, own), "192.0.2.7:1", true, "sees this machine at 192.0.2.7:1"),
    ] {
        *says.lock().unwrap() = Says { ids, observed, is_signed };
        let refused = join().unwrap_err();
        assert_eq!(refused.code(), Some(ErrorCode::REFUSED), "{refused}");
        assert!(refused.to_string().contains(words), "{refused}");
        assert_eq!((a.tokens(), a.peer(other).unwrap().address), (tokens.clone(), address.clone()));
    }
    a.append(["after"]);
    b.append(["after too"]);
    converge(SHORT, &[&a, &b]);
    *says.lock().unwrap() = Says { ids: (own, own), observed: HERE, is_signed: true };
    assert_eq!(join().unwrap().daemon_id, own);
}
