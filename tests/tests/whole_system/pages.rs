//! A paired peer that answers with nonsense harms itself alone.

use std::time::Duration;

use tests::harness::{
    Answer, Daemon, FakePeer, Heard, LONG, Origin, SHORT, Setup, Written, backs_off, converge,
    eventually, holds, pair,
};
use thrum_api::local::QuarantineListResult;
use thrum_api::peer::{PullPage, Run};
use thrum_api::{ErrorCode, LogHash, Sequence};

/// An origin and its first events, which are "fake 1", "fake 2" and so on.
pub(crate) fn fakes(count: usize) -> (Origin, Vec<Written>) {
    let mut origin = Origin::new();
    let events = (1..=count).map(|n| origin.note(&format!("fake {n}"))).collect();
    (origin, events)
}

pub(crate) fn page(runs: Vec<Run>, next: u64, more_available: bool) -> Answer {
    Answer::Page(Box::new(PullPage {
        runs,
        next_seq: Sequence(next),
        next_hash: (next > 0).then_some(LogHash(next)),
        more_available,
        head_seq: Sequence(next),
        floor_seq: Sequence::ZERO,
        epoch: None,
        held_seq: None,
    }))
}

pub(crate) fn empty(next: u64) -> Answer {
    page(Vec::new(), next, false)
}

/// A run of this one text, which an origin of its own has signed.
fn signed(text: &str, sequence: u64) -> Run {
    let mut origin = Origin::new();
    let event = origin.write(text.to_owned()).at(sequence);
    origin.run(&[event])
}

/// A run with an event of an origin of its own.
fn event_with_body(body: &str, sequence: u64) -> Run {
    let mut origin = Origin::new();
    let event = origin.write(origin.draft(body)).at(sequence);
    origin.run(&[event])
}

/// A daemon with an honest real peer, and a fake one that answers `sync.pull` so.
pub(crate) fn beside(
    mut answer: impl FnMut(&Heard) -> Answer + Send + 'static,
) -> (Daemon, Daemon, FakePeer) {
    let daemon = Setup::new("laptop").look_every_ms(1000).start();
    let honest = Daemon::start("server");
    pair(&daemon, &honest);
    let mut fake = FakePeer::new(move |heard| (heard.method == "sync.pull").then(|| answer(heard)));
    fake.joins(&daemon);
    fake.hears(SHORT, "sync.pull", 1);
    (daemon, honest, fake)
}

#[track_caller]
pub(crate) fn others_go_on(daemon: &Daemon, honest: &Daemon) {
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
fn an_invalid_event_is_quarantined_and_the_other_runs_of_its_page_are_stored() {
    let (origin, fakes) = fakes(2);
    let missing = Origin::new().draft("{}").replace("hlc", "clh");
    let large = Origin::new().draft(&format!(r#"{{"text":"{}"}}"#, "x".repeat(300_000)));
    let odd = ["[1,2]", &missing, &large, "\"text\"", "null"];
    let mut runs = vec![origin.run(&fakes[..1])];
    runs.extend(odd.into_iter().zip(2..).map(|(text, at)| signed(text, at)));
    runs.push(origin.run(&[fakes[1].clone().at(7)]));
    let (daemon, honest, fake) = beside(move |heard| match heard.params["after_seq"].as_u64() {
        Some(0) => page(runs.clone(), 7, false),
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
    let runs: Vec<_> = bodies.iter().zip(1..).map(|(body, at)| event_with_body(body, at)).collect();
    let (daemon, honest, _fake) = beside(move |heard| match heard.params["after_seq"].as_u64() {
        Some(0) => page(runs.clone(), 4, false),
        _ => empty(4),
    });
    eventually(SHORT, || holds(daemon.texts() == ["\u{1f600}"], || daemon.log_text()));
    assert_eq!(daemon.status().log.quarantined, 3);
    others_go_on(&daemon, &honest);
}

#[test]
fn a_page_of_which_nothing_can_be_taken_is_reported() {
    let (daemon, _honest, fake) = beside(|heard| match heard.params["after_seq"].as_u64() {
        Some(0) => page(vec![signed("[1,2]", 1), signed("\"text\"", 2)], 2, false),
        _ => empty(2),
    });
    let words = format!("{} brings events that the machines which", fake.id());
    eventually(SHORT, || holds(daemon.log_text().contains(&words), || daemon.log_text()));
}

#[test]
fn the_quarantine_of_a_peer_goes_with_the_peer() {
    let (daemon, _honest, fake) = beside(|heard| match heard.params["after_seq"].as_u64() {
        Some(0) => page(vec![signed("[1,2]", 1), signed("\"text\"", 2)], 2, false),
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
    let (origin, fakes) = fakes(1);
    let runs = vec![origin.run(&fakes), signed("[1,2]", 2), signed(r#""te\u001bxt""#, 3)];
    let (daemon, _honest, fake) = beside(move |heard| match heard.params["after_seq"].as_u64() {
        Some(0) => page(runs.clone(), 3, false),
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
    assert!(!checks.contains("quarantined"), "{checks}");
    daemon.peer(fake.id()).unwrap();
    // Once more is no error.
    daemon.thrum(&["quarantine", "--clear"]).exits(0);
}

#[test]
fn endless_garbage_is_asked_for_ever_more_rarely_and_holds_nobody_up() {
    let (daemon, honest, fake) = beside(|heard| {
        let after = heard.params["after_seq"].as_u64().unwrap_or(0);
        // All of one length, and more than the quarantine keeps.
        let garbage = |n: u64| signed(&format!(r#"{{"garbage":{}}}"#, 1_000_000_000_000 + n), n);
        let next = after + 1000;
        let mut answer = page((after + 1..=next).map(garbage).collect(), next, true);
        if let Answer::Page(page) = &mut answer {
            page.head_seq = Sequence(u32::MAX.into());
        }
        answer
    });
    blames(SHORT, &daemon, &fake);
    others_go_on(&daemon, &honest);
    backs_off(&daemon, fake.id());
    assert_eq!(daemon.status().log.quarantined, 250, "each peer has a share");
    // While one page is stored, the next one is fetched.
    let failures = daemon.peer(fake.id()).unwrap().failures as usize;
    let asked = fake.heard().iter().filter(|heard| heard.method == "sync.pull").count();
    assert!(asked <= 2 * (failures + 1), "asked {asked} times, with {failures} failures");
}

#[test]
fn a_peer_that_invents_origins_is_named_and_holds_nobody_up() {
    const ALL: u64 = 12_000;
    // Each event is of an origin of its own, but the last: that is of the first one's.
    let mut first = Origin::new();
    let (one, last) = (first.note("invented 1"), first.note("invented 12000"));
    let invented = move |n: u64| {
        let mut own = Origin::new();
        match n {
            1 => first.run(std::slice::from_ref(&one)),
            ALL => first.run(&[last.clone().at(n)]),
            _ => {
                let event = own.note(&format!("invented {n}")).at(n);
                own.run(&[event])
            }
        }
    };
    let (daemon, honest, fake) = beside(move |heard| {
        let after = heard.params["after_seq"].as_u64().unwrap_or(0);
        let next = (after + 1000).min(ALL);
        let mut answer = page((after + 1..=next).map(&invented).collect(), next, next < ALL);
        if let Answer::Page(page) = &mut answer {
            page.head_seq = Sequence(ALL);
        }
        answer
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
    let mut origin = Origin::new();
    let more = r#","signature":{"alg": "none", "spaces":  [1.50, "\u00fc"]}}"#;
    let bytes = origin.draft("1").replace("test.note", "hologram.projected");
    let bytes = bytes.trim_end_matches('}').to_owned() + more;
    let newer = origin.write(bytes.clone());
    let run = origin.run(&[newer]);
    let (daemon, honest, _fake) = beside(move |heard| match heard.params["after_seq"].as_u64() {
        Some(0) => page(vec![run.clone()], 1, false),
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
    let (origin, fakes) = fakes(1);
    let (daemon, honest, fake) = beside(move |_| page(vec![origin.run(&fakes)], 0, true));
    blames(SHORT, &daemon, &fake);
    others_go_on(&daemon, &honest);
    backs_off(&daemon, fake.id());
    let asked = fake.heard().iter().filter(|heard| heard.method == "sync.pull").count();
    let failures = daemon.peer(fake.id()).unwrap().failures as usize;
    assert!(asked <= failures + 1, "asked {asked} times, with {failures} failures");
}

#[test]
fn a_page_of_more_events_than_it_may_have_is_an_error() {
    let runs = [1001, 1000].map(|count| {
        let mut origin = Origin::new();
        let events: Vec<_> = (0..count).map(|_| origin.write("{}".to_owned())).collect();
        origin.run(&events)
    });
    let (daemon, honest, fake) = beside(move |_| page(runs.to_vec(), 2001, false));
    blames(SHORT, &daemon, &fake);
    assert_eq!(daemon.status().log.quarantined, 0);
    others_go_on(&daemon, &honest);
}

#[test]
fn a_page_that_goes_backwards_is_an_error() {
    let (origin, fakes) = fakes(3);
    let (daemon, honest, fake) = beside(move |heard| match heard.params["after_seq"].as_u64() {
        Some(0) => page(vec![origin.run(&fakes)], 3, true),
        _ => page(vec![origin.run(&fakes[..1])], 1, true),
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
    let (origin, fakes) = fakes(1);
    let mut pulls = 0;
    let (daemon, _honest, _fake) = beside(move |heard| {
        pulls += 1;
        // The third look finds an event of which no notification ever came.
        match (pulls, heard.params["after_seq"].as_u64()) {
            (3.., Some(0)) => page(vec![origin.run(&fakes)], 1, false),
            (_, Some(at)) => empty(at),
            _ => Answer::Error(ErrorCode::INVALID_PARAMS.0),
        }
    });
    eventually(SHORT, || holds(daemon.texts() == ["fake 1"], || "not there yet".to_owned()));
}

#[test]
fn a_peer_with_another_log_is_taken_over_from_the_start() {
    let (origin, fakes) = fakes(12);
    let later = [fakes[10].clone().at(1), fakes[11].clone().at(2)];
    let mut rewound = false;
    let (daemon, honest, _fake) = beside(move |heard| match heard.params["after_seq"].as_u64() {
        Some(0) if rewound => page(vec![origin.run(&later)], 2, false),
        Some(0) => page(vec![origin.run(&fakes[..3])], 3, false),
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
