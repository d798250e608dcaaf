//! A paired peer that answers with nonsense harms itself alone.

use std::time::Duration;

use serde_json::{Value, json};
use tests::harness::{
    Answer, Daemon, FakePeer, Heard, LONG, SHORT, Setup, backs_off, converge, eventually, holds,
    pair,
};
use thrum_api::ErrorCode;
use thrum_api::local::QuarantineListResult;

pub(crate) const ORIGIN: &str = "d_01ARZ3NDEKTSV4RRFFQ69G5FAV";
pub(crate) const EPOCH: &str = "01ARZ3NDEKTSV4RRFFQ69G5FAW";

pub(crate) fn id(n: u64) -> String {
    format!("01ARZ3NDEKTSV4RRFFQ69G{n:04}")
}

/// A valid event of the fake peer, the n-th of its log.
pub(crate) fn event(n: u64) -> Value {
    json!({
        "event_id": id(n), "origin_daemon": ORIGIN, "origin_epoch": EPOCH, "origin_sequence": n,
        "hlc": format!("0192f3a1b2c3-{n:04x}"), "timestamp": "2026-11-24T16:00:00.123Z",
        "type": "test.note", "project": "test", "body": {"text": format!("fake {n}")},
    })
}

fn page(events: Vec<Value>, next: u64, more: bool) -> Answer {
    let events: Vec<_> = events
        .into_iter()
        .enumerate()
        .map(|(position, event)| json!({"sequence": position + 1, "event": event}))
        .collect();
    Answer::Result(json!({
        "events": events, "next_seq": next, "next_id": (next > 0).then(|| id(next)),
        "more_available": more, "head_seq": next, "floor_seq": 0,
    }))
}

fn empty(next: u64) -> Answer {
    page(Vec::new(), next, false)
}

/// A daemon with an honest real peer, and a fake one that answers `sync.pull` so.
fn beside(mut answer: impl FnMut(&Heard) -> Answer + Send + 'static) -> (Daemon, Daemon, FakePeer) {
    let daemon = Setup::new("laptop").look_every_ms(1000).start();
    let honest = Daemon::start("server");
    pair(&daemon, &honest);
    let mut fake = FakePeer::new(move |heard| (heard.method == "sync.pull").then(|| answer(heard)));
    fake.joins(&daemon);
    fake.hears(SHORT, "sync.pull", 1);
    (daemon, honest, fake)
}

#[track_caller]
fn others_go_on(daemon: &Daemon, honest: &Daemon) {
    daemon.append(["others go on"]);
    honest.append(["others go on too"]);
    converge(SHORT, &[daemon, honest]);
}

#[track_caller]
fn blames(limit: Duration, daemon: &Daemon, fake: &FakePeer) {
    eventually(limit, || {
        let peer = daemon.peer(fake.id())?;
        let blamed = peer.last_error.as_ref().is_some_and(|error| !error.is_empty());
        holds(blamed, || format!("no error: {peer:?}"))
    });
}

#[test]
fn an_invalid_event_is_quarantined_and_the_rest_of_its_page_is_stored() {
    let mut missing = event(3);
    missing.as_object_mut().unwrap().remove("hlc");
    let mut large = event(4);
    large["body"]["text"] = "x".repeat(300_000).into();
    let odd = vec![event(1), json!([1, 2]), missing, large, json!("text"), json!(null), event(2)];
    let (daemon, honest, fake) = beside(move |heard| match heard.params["after_seq"].as_u64() {
        Some(0) => page(odd.clone(), 7, false),
        _ => empty(7),
    });
    eventually(SHORT, || {
        let texts = daemon.texts();
        holds(texts == ["fake 1", "fake 2"], || format!("{texts:?}"))
    });
    assert_eq!(daemon.status().log.quarantined, 5);
    // The checkpoint moved over all of it: it is not asked for again and again.
    eventually(SHORT, || {
        let peer = daemon.peer(fake.id())?;
        holds(peer.checkpoint.0 == 7, || format!("{peer:?}"))
    });
    others_go_on(&daemon, &honest);
    assert!(honest.texts().contains(&"fake 2".to_owned()), "what was good is relayed");
}

#[test]
fn an_event_that_some_parser_stops_at_is_quarantined() {
    let deep = "[".repeat(10_001) + &"]".repeat(10_001);
    let bodies = ["{\"a\":\"\\ud800\"}", "1e999999", &deep, "{\"text\":\"\\ud83d\\ude00\"}"];
    let events: String = bodies
        .iter()
        .enumerate()
        .map(|(index, body)| {
            let mut event = event(index as u64 + 1);
            event["body"] = "BODY".into();
            let event = event.to_string().replace("\"BODY\"", body);
            format!(r#"{{"sequence":{},"event":{event}}},"#, index + 1)
        })
        .collect();
    let answer = format!(
        r#"{{"jsonrpc":"2.0","id":1,"result":{{"events":[{}],"next_seq":4,"next_id":"{}","more_available":false,"head_seq":4,"floor_seq":0}}}}"#,
        events.trim_end_matches(','),
        id(4),
    );
    let (daemon, honest, _fake) = beside(move |heard| match heard.params["after_seq"].as_u64() {
        Some(0) => Answer::Raw(200, "application/json", answer.clone().into_bytes()),
        _ => empty(4),
    });
    eventually(SHORT, || holds(daemon.texts() == ["\u{1f600}"], || daemon.log_text()));
    assert_eq!(daemon.status().log.quarantined, 3);
    others_go_on(&daemon, &honest);
}

#[test]
fn a_page_of_which_nothing_can_be_taken_is_reported() {
    let (daemon, _honest, fake) = beside(|heard| match heard.params["after_seq"].as_u64() {
        Some(0) => page(vec![json!([1, 2]), json!("text")], 2, false),
        _ => empty(2),
    });
    let words = format!("2 events of {} were quarantined", fake.id());
    eventually(SHORT, || holds(daemon.log_text().contains(&words), || daemon.log_text()));
}

#[test]
fn the_quarantine_of_a_peer_goes_with_the_peer() {
    let (daemon, _honest, fake) = beside(|heard| match heard.params["after_seq"].as_u64() {
        Some(0) => page(vec![json!([1, 2]), json!("text")], 2, false),
        _ => empty(2),
    });
    let quarantined = || daemon.status().log.quarantined;
    eventually(SHORT, || holds(quarantined() == 2, || daemon.log_text()));
    daemon.thrum(&["peer", "remove", &fake.id().to_string(), "--yes"]).exits(0);
    assert_eq!(quarantined(), 0);
    eventually(SHORT, || {
        let problems = daemon.status().problems;
        holds(problems.iter().all(|it| it.id != "quarantine"), || format!("{problems:?}"))
    });
}

#[test]
fn the_quarantine_of_a_peer_that_is_kept_can_be_cleared() {
    let (daemon, _honest, fake) = beside(move |heard| match heard.params["after_seq"].as_u64() {
        Some(0) => page(vec![event(1), json!([1, 2]), json!("te\u{1b}xt")], 3, false),
        _ => empty(3),
    });
    eventually(SHORT, || holds(daemon.status().log.quarantined == 2, || daemon.log_text()));
    daemon.reports("quarantined").unwrap();
    daemon.thrum(&["status", "--check"]).exits(6);
    assert!(daemon.thrum(&["status"]).stdout.contains("thrum quarantine"), "the way out");
    let shown = daemon.thrum(&["quarantine"]).exits(0);
    let rows = shown.stdout.lines().filter(|line| line.contains("fake")).count();
    assert!(rows == 2 && shown.stderr.contains("thrum quarantine --clear"), "{shown:?}");
    let list = daemon.thrum(&["quarantine", "--json"]).exits(0).stdout;
    let list: QuarantineListResult = serde_json::from_str(&list).unwrap();
    assert_eq!(list.entries[1].excerpt, "\"te\\u001bxt\"");
    assert!(list.entries.iter().all(|entry| entry.daemon_id == fake.id()), "{list:?}");
    // Nothing goes without a yes.
    daemon.thrum(&["quarantine", "--clear"]).exits(2);
    let cleared = daemon.thrum(&["quarantine", "--clear", "--yes", "--json"]).exits(0).stdout;
    assert!(cleared.contains("\"cleared\":2"), "{cleared}");
    let problems = daemon.status().problems;
    assert!(problems.iter().all(|it| it.id != "quarantine"), "{problems:?}");
    let checks = daemon.thrum(&["doctor", "-q"]).stdout;
    assert!(!checks.contains("quarantine"), "{checks}");
    daemon.peer(fake.id()).unwrap();
    // Once more is no error.
    daemon.thrum(&["quarantine", "--clear"]).exits(0);
}

#[test]
fn the_same_id_with_other_bytes_goes_to_quarantine_and_the_first_stays() {
    let mut other = event(1);
    other["body"]["text"] = "another text".into();
    let (daemon, honest, _fake) = beside(move |heard| match heard.params["after_seq"].as_u64() {
        Some(0) => page(vec![event(1), other.clone(), event(2)], 3, false),
        _ => empty(3),
    });
    eventually(SHORT, || {
        let texts = daemon.texts();
        holds(texts == ["fake 1", "fake 2"], || format!("{texts:?}"))
    });
    assert_eq!(daemon.status().log.quarantined, 1);
    daemon.reports("quarantined").unwrap();
    others_go_on(&daemon, &honest);
}

#[test]
fn endless_garbage_holds_nobody_up() {
    // All of one length, and more than the quarantine keeps.
    let garbage = |n: u64| json!({"sequence": n, "event": {"garbage": 1_000_000_000_000 + n}});
    let (daemon, honest, fake) = beside(move |heard| {
        let after = heard.params["after_seq"].as_u64().unwrap_or(0);
        let events: Vec<_> = (after + 1..=after + 1000).map(garbage).collect();
        let next = after + 1000;
        Answer::Result(json!({
            "events": events, "next_seq": next, "next_id": id(next % 10_000),
            "more_available": true, "head_seq": u32::MAX, "floor_seq": 0,
        }))
    });
    eventually(LONG, || {
        daemon.append(["beside it"]);
        let pages = fake.heard().iter().filter(|heard| heard.method == "sync.pull").count();
        holds(pages > 100, || format!("{pages} pages were taken"))
    });
    others_go_on(&daemon, &honest);
    assert_eq!(daemon.status().log.quarantined, 250, "each peer has a share");
}

#[test]
fn a_peer_that_invents_origins_is_named_and_holds_nobody_up() {
    const PAGES: u64 = 12;
    // Each event is of an origin of its own, but the last: that is of the first one's.
    let invented = |n: u64| {
        let mut event = event(1);
        let of = if n == PAGES * 1000 { 1 } else { n };
        event["event_id"] = format!("01ARZ3NDEKTSV4RRFFQA{n:06}").into();
        event["origin_daemon"] = format!("d_01ARZ3NDEKTSV4RRFFQB{of:06}").into();
        event["origin_sequence"] = if of == n { 1 } else { 2 }.into();
        event["body"]["text"] = format!("invented {n}").into();
        json!({"sequence": n, "event": event})
    };
    let (daemon, honest, fake) = beside(move |heard| {
        let after = heard.params["after_seq"].as_u64().unwrap_or(0);
        let next = (after + 1000).min(PAGES * 1000);
        Answer::Result(json!({
            "events": (after + 1..=next).map(invented).collect::<Vec<_>>(),
            "next_seq": next, "next_id": format!("01ARZ3NDEKTSV4RRFFQA{next:06}"),
            "more_available": next < PAGES * 1000, "head_seq": PAGES * 1000, "floor_seq": 0,
        }))
    });
    let has = |daemon: &Daemon, text: &str| daemon.texts().iter().any(|held| held == text);
    eventually(LONG, || {
        holds(has(&daemon, "invented 12000"), || format!("{:?}", daemon.peer(fake.id())))
    });
    daemon.reports("in the logs of fake: their events are taken later").unwrap();
    assert!(!has(&daemon, "invented 11999"), "more new origins than a peer may bring");
    daemon.append(["others go on"]);
    honest.append(["others go on too"]);
    eventually(LONG, || holds(has(&honest, "others go on"), || "not at the honest one".to_owned()));
    eventually(LONG, || holds(has(&daemon, "others go on too"), || "not here".to_owned()));
    let memory = tests::harness::process::peak_bytes(daemon.pid());
    assert!(memory < 64 * 1024 * 1024, "{} MiB resident", memory >> 20);
}

#[test]
fn members_and_types_of_a_newer_version_are_kept_byte_for_byte() {
    let mut newer = event(1);
    newer["type"] = "hologram.projected".into();
    newer["signature"] = json!({"alg": "ed25519", "spaces":  [1.50, "\u{fc}"]});
    let bytes = newer.to_string();
    let (daemon, honest, _fake) = beside(move |heard| match heard.params["after_seq"].as_u64() {
        Some(0) => page(vec![newer.clone()], 1, false),
        _ => empty(1),
    });
    for holder in [&daemon, &honest] {
        eventually(SHORT, || {
            let held = holder.events();
            holds(held.iter().any(|held| held.event.get() == bytes), || format!("{held:?}"))
        });
    }
    assert_eq!(daemon.status().log.quarantined, 0);
}

#[test]
fn a_page_that_repeats_is_an_error_and_no_loop() {
    let (daemon, honest, fake) = beside(|_| page(vec![event(1)], 0, true));
    blames(SHORT, &daemon, &fake);
    others_go_on(&daemon, &honest);
    backs_off(&daemon, fake.id());
    let asked = fake.heard().iter().filter(|heard| heard.method == "sync.pull").count();
    let failures = daemon.peer(fake.id()).unwrap().failures as usize;
    assert!(asked <= failures + 1, "asked {asked} times, with {failures} failures");
}

#[test]
fn a_page_of_more_events_than_it_may_have_is_an_error() {
    let (daemon, honest, fake) = beside(|_| page(vec![json!({}); 1001], 1001, false));
    blames(SHORT, &daemon, &fake);
    assert_eq!(daemon.status().log.quarantined, 0);
    others_go_on(&daemon, &honest);
}

#[test]
fn a_page_that_goes_backwards_is_an_error() {
    let (daemon, honest, fake) = beside(|heard| match heard.params["after_seq"].as_u64() {
        Some(0) => page(vec![event(1), event(2), event(3)], 3, true),
        _ => page(vec![event(1)], 1, true),
    });
    blames(SHORT, &daemon, &fake);
    others_go_on(&daemon, &honest);
}

#[test]
fn a_peer_that_answers_with_html_is_blamed_and_tried_again_later() {
    let html = b"<html>Sign in to the hotel network</html>".to_vec();
    let (daemon, honest, fake) = beside(move |_| Answer::Raw(200, "text/html", html.clone()));
    blames(SHORT, &daemon, &fake);
    others_go_on(&daemon, &honest);
}

#[test]
fn a_peer_that_answers_without_end_is_cut() {
    let (daemon, honest, fake) = beside(|_| Answer::Endless);
    blames(SHORT, &daemon, &fake);
    others_go_on(&daemon, &honest);
    let memory = tests::harness::process::peak_bytes(daemon.pid());
    assert!(memory < 64 * 1024 * 1024, "{} MiB resident", memory >> 20);
}

#[test]
fn a_peer_that_never_answers_holds_nobody_up() {
    let (daemon, honest, fake) = beside(|_| Answer::Never);
    others_go_on(&daemon, &honest);
    blames(LONG, &daemon, &fake);
    others_go_on(&daemon, &honest);
}

#[test]
fn events_whose_notification_was_lost_come_with_a_periodic_pull() {
    let mut pulls = 0;
    let (daemon, _honest, _fake) = beside(move |heard| {
        pulls += 1;
        // The third look finds an event of which no notification ever came.
        match (pulls, heard.params["after_seq"].as_u64()) {
            (3.., Some(0)) => page(vec![event(1)], 1, false),
            (_, Some(at)) => empty(at),
            _ => Answer::Error(ErrorCode::INVALID_PARAMS.0),
        }
    });
    eventually(SHORT, || holds(daemon.texts() == ["fake 1"], || "not there yet".to_owned()));
}

#[test]
fn a_peer_with_another_log_is_taken_over_from_the_start() {
    let mut rewound = false;
    let (daemon, honest, _fake) = beside(move |heard| match heard.params["after_seq"].as_u64() {
        Some(0) if rewound => page(vec![event(11), event(12)], 2, false),
        Some(0) => page(vec![event(1), event(2), event(3)], 3, false),
        Some(at) if rewound => empty(at),
        _ => {
            rewound = true;
            Answer::Error(ErrorCode::OTHER_LOG.0)
        }
    });
    eventually(SHORT, || {
        let texts = daemon.texts();
        let wanted = ["fake 1", "fake 2", "fake 3", "fake 11", "fake 12"];
        holds(texts == wanted, || format!("{texts:?}"))
    });
    others_go_on(&daemon, &honest);
}
