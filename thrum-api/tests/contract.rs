//! The wire format: schemas of all methods, and the errors for invalid input.

#![expect(clippy::expect_used, reason = "a helper of tests may end the test")]
use std::path::Path;

use schemars::SchemaGenerator;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use thrum_api::envelope::{self, AnswerError, Request, RequestId};
use thrum_api::local::{Health, MessageSend};
use thrum_api::method::MethodDescription;
use thrum_api::peer::{NotifyParams, PairRequestParams, Paired, PullPage, PullParams, SyncPull};
use thrum_api::proof::{Chain, Signature};
use thrum_api::{
    AuthKey, DaemonId, Empty, Epoch, ErrorCode, EventId, Hlc, PairingCode, RpcError, Timestamp,
    Token, local, peer,
};

fn surface(methods: &[MethodDescription]) -> Value {
    let mut generator = SchemaGenerator::default();
    let mut listed = serde_json::Map::new();
    for method in methods {
        let doc: Vec<&str> = method.doc.iter().map(|line| line.trim()).collect();
        let schemas = json!({
            "doc": doc.join(" "),
            "params": (method.params)(&mut generator),
            "result": (method.result)(&mut generator),
        });
        assert!(listed.insert(method.name.to_owned(), schemas).is_none(), "{} twice", method.name);
    }
    json!({ "methods": listed, "definitions": generator.definitions() })
}

/// `THRUM_UPDATE=1 cargo test -p thrum-api` rewrites the file; review the change.
#[test]
fn the_schema_matches_the_golden_file() {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/schema.json");
    let made = json!({ "peer": surface(peer::ALL), "local": surface(local::ALL) });
    let made = serde_json::to_string_pretty(&made).unwrap() + "\n";
    if std::env::var_os("THRUM_UPDATE").is_some() {
        std::fs::write(&file, &made).unwrap();
    }
    let golden = std::fs::read_to_string(&file).unwrap_or_default();
    assert!(
        golden == made,
        "the wire changed: if that is meant, run THRUM_UPDATE=1 cargo test -p thrum-api and review \
         {}",
        file.display()
    );
}

#[test]
fn every_code_has_a_name_and_numbers_are_unique() {
    let mut numbers: Vec<i32> = ErrorCode::ALL.iter().map(|(code, _)| code.0).collect();
    numbers.sort_unstable();
    numbers.dedup();
    assert_eq!(numbers.len(), ErrorCode::ALL.len());
    assert!(ErrorCode::ALL.iter().all(|(_, word)| !word.is_empty()));
}

fn refused(body: &str) -> ErrorCode {
    Request::parse(body.as_bytes()).expect_err("must be refused").code
}

#[test]
fn each_kind_of_invalid_request_has_its_own_code() {
    assert_eq!(refused(""), ErrorCode::PARSE);
    assert_eq!(refused("{"), ErrorCode::PARSE);
    assert_eq!(refused("\u{0}"), ErrorCode::PARSE);
    assert_eq!(refused("[]"), ErrorCode::INVALID_REQUEST);
    let batch = r#" [{"jsonrpc":"2.0","id":1,"method":"health"}]"#;
    assert_eq!(refused(batch), ErrorCode::INVALID_REQUEST);
    assert_eq!(refused("3"), ErrorCode::INVALID_REQUEST);
    assert_eq!(refused(r#"{"id":1,"method":"health"}"#), ErrorCode::INVALID_REQUEST);
    let old = r#"{"jsonrpc":"1.0","id":1,"method":"health"}"#;
    assert_eq!(refused(old), ErrorCode::INVALID_REQUEST);
}

#[test]
fn a_list_over_its_maximum_is_refused() {
    let id = "01ARZ3NDEKTSV4RRFFQ69G5FAW";
    let daemon = DaemonId::from_bytes([7; DaemonId::BYTES]);
    let head = json!({"origin_daemon": daemon, "origin_epoch": id, "origin_sequence": 1, "chain": Chain([7; 32])});
    let event = json!({"sequence": 1, "event": {}});
    let list = |item: &Value, count: usize| vec![item.clone(); count];
    let pull = |heads| json!({"after_seq": 0, "have": list(&head, heads)});
    let run = |events| {
        let (previous, signature) = (Chain([7; 32]), Signature([7; 64]));
        json!({"previous": previous, "signature": signature, "events": list(&event, events)})
    };
    let page = |events, runs| {
        json!({"runs": list(&run(events), runs), "next_seq": 0, "more_available": false,
            "head_seq": 0, "floor_seq": 0})
    };
    let news = |runs, heads| {
        json!({"daemon_id": daemon, "latest_seq": 1, "runs": list(&run(1), runs),
            "heads": list(&head, heads)})
    };
    assert_bounded::<PullParams>(pull(1000), [pull(1001)]);
    assert_bounded::<PullPage>(page(1, 1000), [page(1, 1001), page(2001, 1)]);
    assert_bounded::<NotifyParams>(news(128, 1000), [news(129, 0), news(0, 1001)]);
}

fn assert_bounded<T: DeserializeOwned>(fits: Value, exceed: impl IntoIterator<Item = Value>) {
    assert!(serde_json::from_value::<T>(fits).is_ok());
    for value in exceed {
        let error = serde_json::from_str::<T>(&value.to_string())
            .err()
            .expect("must be refused")
            .to_string();
        assert!(error.contains("a list has more than"), "{error}");
    }
}

#[test]
fn deep_nesting_is_refused() {
    let (open, close) = ("[".repeat(100_000), "]".repeat(100_000));
    let body = format!(r#"{{"jsonrpc":"2.0","method":"health","params":{open}{close}}}"#);
    let request = Request::parse(body.as_bytes()).unwrap();
    let code = request.params::<MessageSend>().map(drop).map_err(|error| error.code);
    assert_eq!(code, Err(ErrorCode::INVALID_PARAMS));
}

#[test]
fn params_errors_name_the_method_and_the_member() {
    let body = br#"{"jsonrpc":"2.0","id":"x","method":"sync.pull","params":{"after_seq":"1"}}"#;
    let request = Request::parse(body).unwrap();
    assert_eq!(request.id, Some(RequestId::Text("x".into())));
    let error = request.params::<SyncPull>().expect_err("a text is no place");
    assert_eq!(error.code, ErrorCode::INVALID_PARAMS);
    assert!(error.message.contains("sync.pull"), "{error}");

    let body = br#"{"jsonrpc":"2.0","id":1,"method":"message.send","params":{"from":"a"}}"#;
    let error = Request::parse(body).unwrap().params::<MessageSend>().expect_err("no text");
    assert!(error.message.contains("`text`"), "{error}");
}

#[test]
fn absent_params_are_an_empty_object() {
    let request = Request::parse(br#"{"jsonrpc":"2.0","id":1,"method":"health"}"#).unwrap();
    assert_eq!(request.params::<Health>().unwrap(), Empty {});
}

#[test]
fn calls_and_answers_round_trip() {
    let body = envelope::request::<SyncPull>(7, &PullParams::default()).unwrap();
    let request = Request::parse(&body).unwrap();
    assert_eq!((request.method.as_ref(), &request.id), ("sync.pull", &Some(RequestId::Number(7))));

    let good = envelope::response(request.id.as_ref(), Ok(&json!({"a": 1})));
    let read: Value = serde_json::from_slice(&good).unwrap();
    assert_eq!(read, json!({"jsonrpc": "2.0", "id": 7, "result": {"a": 1}}));
    assert_eq!(envelope::answer::<Value>(&good).unwrap(), json!({"a": 1}));

    let error = RpcError::new(ErrorCode::WRONG_CODE, "wrong code").with("attempts_left", 2);
    let bad = envelope::response::<Value>(None, Err(&error));
    match envelope::answer::<Value>(&bad) {
        Err(AnswerError::Refused(read)) => assert_eq!(read, error),
        other => panic!("{other:?}"),
    }
    let html = envelope::answer::<Value>(b"<html>");
    assert!(matches!(html, Err(AnswerError::Malformed(_))));
    let neither = envelope::answer::<Value>(br#"{"jsonrpc":"2.0","id":1}"#);
    assert!(matches!(neither, Err(AnswerError::Empty)));
}

#[test]
fn raw_events_survive_the_envelope_byte_for_byte() {
    let page = r#"{"events":[{"sequence":1,"event":{"b" : 1.00, "a":"\u00e9"}}],"next":1,"more_available":false}"#;
    let read: local::EventListResult = serde_json::from_str(page).unwrap();
    let body = envelope::response(Some(&RequestId::Number(1)), Ok(&read));
    let again: local::EventListResult = envelope::answer(&body).unwrap();
    assert_eq!(again.events[0].event.get(), r#"{"b" : 1.00, "a":"\u00e9"}"#);
}

#[test]
fn ids_have_one_spelling() {
    let id = "01ARZ3NDEKTSV4RRFFQ69G5FAV";
    assert_eq!(id.parse::<EventId>().unwrap().to_string(), id);
    assert_eq!(serde_json::to_string(&id.parse::<Epoch>().unwrap()).unwrap(), format!("{id:?}"));
    for wrong in
        ["", "01ARZ", &id.to_lowercase(), "81ARZ3NDEKTSV4RRFFQ69G5FAV", "d_", &format!(" {id}")]
    {
        assert!(wrong.parse::<EventId>().is_err(), "{wrong}");
    }
}

#[test]
fn a_daemon_id_is_a_public_key_and_has_one_spelling() {
    let bytes: [u8; 32] = std::array::from_fn(|n| u8::try_from(n * 8).unwrap());
    let id = DaemonId::from_bytes(bytes);
    let text = "d_0041061050R3GG28A1C60T3GF208H44RM2MB1E60S38DHR78Y3W0";
    assert_eq!(id.to_string(), text);
    assert_eq!(text.parse::<DaemonId>().unwrap().to_bytes(), bytes);
    let digits = text.trim_start_matches("d_");
    for wrong in [
        "",
        "d_",
        "d_01ARZ3NDEKTSV4RRFFQ69G5FAV",
        digits,
        &text.to_lowercase(),
        &format!("{text}0"),
        // The last digit has four bits too many: only one spelling has them zero.
        &format!("{}H", &text[..text.len() - 1]),
        &text.replace("GG", "UG"),
    ] {
        assert!(wrong.parse::<DaemonId>().is_err(), "{wrong}");
    }
}

#[test]
fn times_and_clocks_round_trip() {
    let time = Timestamp::from_millis(1_700_000_000_123);
    assert_eq!(serde_json::to_string(&time).unwrap(), r#""2023-11-14T22:13:20.123Z""#);
    assert_eq!(serde_json::from_str::<Timestamp>(r#""2023-11-14T22:13:20.123Z""#).unwrap(), time);
    let clock = Hlc::new(1_700_000_000_123, 4);
    assert_eq!(clock.to_string().parse::<Hlc>().unwrap(), clock);
    assert!(clock.tick(0) > clock, "a clock that went back does not take ours back");
    assert_eq!(clock.tick(1_800_000_000_000), Hlc::new(1_800_000_000_000, 0));
    for wrong in ["zz", "+192f3a1b2c3-0004", "0192f3a1b2c3-+004", "0192f3a1b2c3-00g4"] {
        assert!(wrong.parse::<Hlc>().is_err(), "{wrong}");
    }
}

#[test]
fn secrets_do_not_print() {
    let secret = "ab".repeat(32);
    let token: Token = secret.parse().unwrap();
    let code: PairingCode = "73-92".parse().unwrap();
    let paired = Paired {
        status: peer::PairedStatus::Paired,
        token: token.clone(),
        id: "d_01ARZ3NDEKTSV4RRFFQ69G5FAV00000000000000000000000000".parse().unwrap(),
        name: "a".into(),
        observed: ":1".into(),
        signature: Signature([7; 64]),
    };
    let asked = PairRequestParams {
        code: Some(code.clone()),
        id: paired.id,
        name: "b".into(),
        addr: ":1".into(),
        host: paired.id,
        dialled: ":1".into(),
        signature: Signature([7; 64]),
    };
    let printed = format!("{token:?} {code:?} {paired:?} {asked:?} {}", code.masked());
    assert!(!printed.contains(&secret) && !printed.contains("7392"), "{printed}");
    assert_eq!(code.masked(), "7***");
    let key: AuthKey = "tskey-auth-k1".parse().unwrap();
    assert_eq!((format!("{key:?}").as_str(), key.expose()), ("AuthKey(hidden)", "tskey-auth-k1"));
    assert!("".parse::<AuthKey>().is_err() && "two words".parse::<AuthKey>().is_err());
    assert!(token.matches(&secret) && !token.matches(&"ac".repeat(32)) && !token.matches(""));
    assert!(serde_json::to_string(&paired).unwrap().contains(&secret), "the wire needs it");
    let wrong = serde_json::from_str::<Token>(&format!("{:?}", "AB".repeat(32))).expect_err("case");
    assert!(!wrong.to_string().contains("AB"), "{wrong}");
    for text in ["7392", "-7392", "7392.5", "[7392]", "{\"7392\":1}", "null", "true"] {
        let wrong = [
            serde_json::from_str::<PairingCode>(text).expect_err("a code"),
            serde_json::from_str::<Token>(text).expect_err("a token"),
            serde_json::from_str::<AuthKey>(text).expect_err("a key"),
        ];
        for wrong in wrong.map(|wrong| wrong.to_string()) {
            assert!(wrong.starts_with("must be a text") && !wrong.contains("7392"), "{wrong}");
        }
    }
}
