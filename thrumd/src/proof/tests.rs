use std::path::Path;

use data_encoding::{BASE64URL_NOPAD, HEXLOWER};
use serde_json::json;

use super::*;
use crate::keys::{PublicKey, SecretKey};

const EPOCH: &str = "01ARZ3NDEKTSV4RRFFQ69G5FAV";

/// Not events of today's form: the chain doesn't look into them. Their bytes count, whatever they say as JSON.
const EVENTS: [&str; 3] = [
    r#"{"event_id":"01ARZ3NDEKTSV4RRFFQ69G5FAW","origin_sequence":1,"body":{"text":"done"}}"#,
    r#"{ "body" : {"text":"\u00e9 and 1.00"}, "origin_sequence" : 2 }"#,
    "{\"origin_sequence\":3,\"body\":{\"text\":\"é, 日本\"}}",
];

fn origin(daemon: [u8; 32]) -> Origin {
    Origin { daemon: DaemonId::from_bytes(daemon), epoch: EPOCH.parse().unwrap() }
}

/// `THRUM_UPDATE=1 cargo test -p thrumd proof` rewrites the file. Only a new version of the protocol may change it.
#[test]
fn the_vectors_for_implementers_are_up_to_date() {
    let seed = std::array::from_fn(|at| at as u8);
    let key = SecretKey::from_seed(&seed);
    let public = key.public();
    let origin = origin(public);
    let start = chain_start(&origin);
    let chain: Vec<Chain> = EVENTS
        .iter()
        .scan(start, |chain, event| {
            *chain = chain_next(*chain, event.as_bytes());
            Some(*chain)
        })
        .collect();
    let message = point_message(&origin, OriginSequence(3), chain[2]);
    let signature = key.sign(&message);
    PublicKey::from_bytes(public).unwrap().verify(&message, &signature).unwrap();

    let made = json!({
        "about": "How to use these vectors: docs/protocol.md. An event is the UTF-8 bytes of its text, once the JSON escapes of this file are undone.",
        "seed_hex": HEXLOWER.encode(&seed),
        "public_key_hex": HEXLOWER.encode(&public),
        "public_key": BASE64URL_NOPAD.encode(&public),
        "daemon_id": origin.daemon,
        "epoch": origin.epoch,
        "epoch_hex": HEXLOWER.encode(&origin.epoch.ulid().to_bytes()),
        "chain_start": start,
        "chain_start_hex": HEXLOWER.encode(&start.0),
        "events": EVENTS
            .iter()
            .zip(&chain)
            .map(|(event, chain)| json!({ "event": event, "chain": chain }))
            .collect::<Vec<_>>(),
        "point": {
            "origin_sequence": 3,
            "message_hex": HEXLOWER.encode(&message),
            "signature": signature,
        },
    });
    let made = serde_json::to_string_pretty(&made).unwrap() + "\n";
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../thrum-api/tests/golden/proof.json");
    if std::env::var_os("THRUM_UPDATE").is_some() {
        std::fs::write(&file, &made).unwrap();
    }
    let golden = std::fs::read_to_string(&file).unwrap_or_default();
    assert!(golden == made, "run THRUM_UPDATE=1 cargo test -p thrumd proof: {}", file.display());
}

#[test]
fn the_chain_and_the_point_depend_on_each_of_their_parts() {
    let one = origin([1; 32]);
    let other_epoch = Origin { epoch: "01ARZ3NDEKTSV4RRFFQ69G5FAW".parse().unwrap(), ..one };
    let start = chain_start(&one);
    assert_ne!(start, chain_start(&origin([2; 32])));
    assert_ne!(start, chain_start(&other_epoch));
    let next = chain_next(start, b"{}");
    assert_ne!(next, chain_next(start, b"{} "));
    assert_ne!(next, chain_next(next, b"{}"));

    let at = OriginSequence(0x0102_0304_0506_0708);
    let point = point_message(&one, at, start);
    let mut wanted = b"thrum/1 point".to_vec();
    wanted.extend([1; 32]);
    wanted.extend(one.epoch.ulid().to_bytes());
    wanted.extend([1, 2, 3, 4, 5, 6, 7, 8]);
    wanted.extend(start.0);
    assert_eq!(point.as_slice(), wanted);
    assert_eq!(point.len(), 101);
}
