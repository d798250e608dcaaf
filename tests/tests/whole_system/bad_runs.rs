//! Runs that a peer changes, mixes or repeats, and runs that a relay has lost in part.

use serde_json::json;
use tests::harness::{
    Daemon, LONG, Origin, SHORT, Setup, backs_off, converge, eventually, holds, pair,
    paired_daemons,
};
use thrum_api::peer::Run;
use thrum_api::proof::Signature;
use thrum_api::{DaemonId, Origin as OriginId};
use thrumd::ids;

use crate::forged::{Hostile, runs_of};
use crate::pages::others_go_on;

#[track_caller]
fn has_taken(daemon: &Daemon, peer: DaemonId, position: u64) {
    eventually(SHORT, || {
        let peer = daemon.peer(peer)?;
        holds(peer.checkpoint.0 == position, || format!("{peer:?}"))
    });
}

#[test]
fn a_page_of_bad_signatures_is_the_trouble_of_its_sender_alone() {
    const RUNS: u64 = 1000;
    let daemon = Setup::new("laptop").look_every_ms(1000).start();
    let honest = Daemon::start("server");
    pair(&daemon, &honest);
    let mut hostile = Hostile::new();
    let pages = (0..10 * RUNS).map(|n| {
        let mut origin = Origin::new();
        let event = origin.note(&format!("forged {n}"));
        Run { signature: Signature([1; 64]), ..origin.run(&[event]) }
    });
    hostile.says(pages.collect());
    hostile.fake.joins(&daemon);
    eventually(SHORT, || {
        let peer = daemon.peer(hostile.fake.id())?;
        let error = peer.last_error.clone().unwrap_or_default();
        holds(error.contains("did not sign: 1000"), || format!("{peer:?}"))
    });
    others_go_on(&daemon, &honest);
    backs_off(&daemon, hostile.fake.id());
    let problems = daemon.status().problems;
    let found = problems.iter().find(|it| it.id == "peer_proofs").unwrap();
    assert!(found.message.contains("fake") && found.since.is_some(), "{found:?}");
    daemon.thrum(&["status", "--check"]).exits(6);
    let shown = daemon.thrum(&["status"]);
    assert!(shown.stdout.contains("did not sign"), "{shown:?}");
    assert_eq!(daemon.status().log.quarantined, 250, "each peer has a share");
    assert!(daemon.texts().iter().all(|text| !text.contains("forged")));
    honest.append(["at the end"]);
    converge(SHORT, &[&daemon, &honest]);
}

#[test]
fn events_of_ours_that_come_back_are_known() {
    let (a, b) = paired_daemons();
    for n in 0..5 {
        a.append([n]);
    }
    let all = converge(SHORT, &[&a, &b]);
    let epoch = a.health().epoch;
    let mut hostile = Hostile::new();
    // Those that A serves, and a relay's: with the signature that is on the last of them.
    hostile.says([runs_of(&a, 2), runs_of(&b, 1000)].concat());
    hostile.fake.joins(&a);
    has_taken(&a, hostile.fake.id(), 2 * all as u64);
    let log = a.status().log;
    assert_eq!((log.quarantined, log.epoch, log.events), (0, epoch, all as u64));
    assert_eq!(a.peer(hostile.fake.id()).unwrap().failures, 0);
}

#[test]
fn a_proof_of_another_run_proves_nothing_and_the_true_events_come_from_their_origin() {
    let (b, c) = (Daemon::start("b"), Daemon::start("c"));
    b.append(["one"]);
    b.append(["two"]);
    let (mut mixed, true_runs) = (runs_of(&b, 1), runs_of(&b, 1));
    (mixed[0].signature, mixed[1].signature) = (mixed[1].signature, mixed[0].signature);
    // Each run proved as it is, but with the chain before the other one.
    let mut moved = true_runs.clone();
    (moved[0].previous, moved[1].previous) = (moved[1].previous, moved[0].previous);
    // As one, in the wrong order, and without one between.
    let mut turned = true_runs[1].clone();
    turned.events.extend(true_runs[0].events.clone());
    turned.signature = true_runs[0].signature;
    let runs: Vec<Run> = [mixed, moved, vec![turned]].concat();
    let events = runs.iter().map(|run| run.events.len() as u64).sum();
    let mut hostile = Hostile::new();
    hostile.says(runs);
    hostile.fake.joins(&c);
    has_taken(&c, hostile.fake.id(), events);
    assert_eq!(c.texts(), [""; 0]);
    c.reports("did not sign").unwrap();
    pair(&b, &c);
    assert_eq!(converge(SHORT, &[&b, &c]), 2);
    assert_eq!(c.texts(), ["one", "two"]);
}

#[test]
fn a_run_that_overlaps_what_is_held_brings_the_rest() {
    let mut origin = Origin::new();
    let events: Vec<_> = (1..=6).map(|n| origin.note(&format!("fake {n}"))).collect();
    let mut wrong = events[1..6].to_vec();
    wrong[0].text = wrong[0].text.replace("fake 2", "fake Z");
    let mut hostile = Hostile::new();
    let runs = vec![
        origin.run(&events[..2]),
        origin.run(&events[..4]),
        origin.run(&wrong),
        origin.run(&events[3..5]),
    ];
    hostile.says(runs);
    let (daemon, honest) = paired_daemons();
    hostile.fake.joins(&daemon);
    has_taken(&daemon, hostile.fake.id(), 13);
    let wanted: Vec<_> = (1..=5).map(|n| format!("fake {n}")).collect();
    assert_eq!(daemon.texts(), wanted);
    assert_eq!(daemon.status().log.quarantined, 1);
    converge(SHORT, &[&daemon, &honest]);
}

#[test]
fn what_a_peer_holds_back_comes_from_the_origin() {
    let (b, c) = (Daemon::start("b"), Daemon::start("c"));
    for n in 1..=5 {
        b.append([n]);
    }
    // True runs, but not the first one, nor the fourth.
    let mut runs = runs_of(&b, 1);
    runs.remove(3);
    runs.remove(0);
    let mut hostile = Hostile::new();
    hostile.says(runs);
    hostile.fake.joins(&c);
    has_taken(&c, hostile.fake.id(), 3);
    assert_eq!(c.texts(), ["2", "3", "5"]);
    pair(&c, &b);
    assert_eq!(converge(SHORT, &[&b, &c]), 5);
    assert_eq!(c.status().log.quarantined, 0);
}

#[test]
fn an_event_of_ours_that_we_never_wrote_needs_our_signature_also_after_a_true_one() {
    let (a, b) = paired_daemons();
    a.append(["own"]);
    converge(SHORT, &[&a, &b]);
    let own = OriginId { daemon: a.id(), epoch: a.health().epoch };
    let mut hostile = Hostile::new();
    let mut run = runs_of(&a, 1000).remove(0);
    let mut event: serde_json::Value = serde_json::from_str(run.events[0].event.get()).unwrap();
    event["event_id"] = json!(ids::event());
    event["origin_sequence"] = json!(2);
    let event = crate::forged::raw(event.to_string());
    run.events.push(thrum_api::SequencedEvent { sequence: run.events[0].sequence, event });
    hostile.says(vec![run]);
    hostile.fake.joins(&a);
    has_taken(&a, hostile.fake.id(), 2);
    assert_eq!((a.texts(), a.health().epoch), (vec!["own".to_owned()], own.epoch));
    assert_eq!(a.status().log.quarantined, 1);
}

/// A relay has lost the third of five events of B, which is away: it serves what it can prove, and the rest when B is
/// back. A relay that was started between the second and the third has a proof of what comes before.
fn relays_in_spite_of_damage(started_between: bool) {
    let (mut b, mut relay) = (Daemon::start("b"), Daemon::start("relay"));
    let c = Daemon::start("c");
    pair(&b, &relay);
    for n in 1..=5 {
        b.append([n]);
        converge(SHORT, &[&b, &relay]);
        if n == 2 && started_between {
            relay.stop();
            relay.start_again();
        }
    }
    b.stop();
    relay.stop();
    let log = rusqlite::Connection::open(relay.state().join("log.db")).unwrap();
    let changed = log.execute("UPDATE events SET body = x'00' WHERE sequence = 3", []).unwrap();
    assert_eq!(changed, 1);
    drop(log);
    relay.start_again();
    pair(&relay, &c);
    let first: &[&str] = if started_between { &["1", "2", "4", "5"] } else { &["4", "5"] };
    eventually(SHORT, || holds(c.texts() == first, || format!("{:?}", c.texts())));
    assert_eq!(relay.status().log.quarantined, 1);
    b.start_again();
    assert_eq!(converge(LONG, &[&b, &relay, &c]), 5);
    assert_eq!(c.status().log.quarantined, 0);
}

#[test]
fn a_relay_with_a_damaged_row_serves_the_rest() {
    relays_in_spite_of_damage(true);
}

#[test]
fn a_relay_that_lost_what_proves_the_rest_serves_it_when_the_origin_is_back() {
    relays_in_spite_of_damage(false);
}
