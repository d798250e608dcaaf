//! A paired machine that speaks for others is not believed, neither by those that it talks to nor by their peers.

use std::sync::{Arc, Mutex};

use serde_json::value::RawValue;
use serde_json::{Value, json};
use tests::harness::{
    Daemon, FakePeer, LONG, Origin, SHORT, converge, eventually, holds, pair, pair_request,
    paired_daemons,
};
use thrum_api::local::{Agent, AgentList, AgentListParams};
use thrum_api::peer::{NotifyParams, PairRequest, PullParams, Run, SyncNotify, SyncPull};
use thrum_api::proof::{Chain, Signature};
use thrum_api::{
    ErrorCode, EventHeader, Head, LogHash, LogPosition, Origin as OriginId, Sequence,
    SequencedEvent,
};
use thrumd::ids;
use thrumd::keys::SecretKey;
use thrumd::peer::PairingProof;
use thrumd::proof::{chain_next, chain_start, point_message};

use crate::pages::page;

/// A peer whose log is what the test says.
pub(crate) struct Hostile {
    pub(crate) fake: FakePeer,
    log: Arc<Mutex<Vec<Run>>>,
}

impl Hostile {
    pub(crate) fn new() -> Self {
        let log: Arc<Mutex<Vec<Run>>> = Arc::default();
        let served = Arc::clone(&log);
        let fake = FakePeer::new(move |heard| {
            if heard.method != "sync.pull" {
                return None;
            }
            let after = heard.params["after_seq"].as_u64().unwrap_or(0);
            let log = served.lock().unwrap();
            let mut count = 0;
            let runs = log.iter().filter(|run| last_of(run) > after).take_while(|run| {
                count += run.events.len();
                count <= 1000
            });
            let runs: Vec<Run> = runs.cloned().collect();
            let (next, head) = (runs.last().map_or(after, last_of), log.last().map_or(0, last_of));
            Some(page(runs, next, next < head))
        });
        Self { fake, log }
    }

    /// Its log is these runs, one after another.
    pub(crate) fn says(&self, mut runs: Vec<Run>) {
        let events = runs.iter_mut().flat_map(|run| &mut run.events);
        events.zip(1..).for_each(|(event, at)| event.sequence = Sequence(at));
        *self.log.lock().unwrap() = runs;
    }

    /// A run of events in the name of an origin, which goes on after that many events and that chain. It is signed with
    /// this peer's key.
    fn in_the_name(
        &self,
        origin: OriginId,
        after: (u64, Chain),
        kind: &str,
        bodies: &[Value],
    ) -> Run {
        let events = bodies.iter().zip(after.0 + 1..).map(|(body, place)| {
            let event = json!({
                "event_id": ids::event(), "origin_daemon": origin.daemon, "origin_epoch": origin.epoch,
                "origin_sequence": place, "hlc": format!("0192f3a1b2c3-{:04x}", place & 0xffff),
                "timestamp": "2026-11-24T16:00:00.123Z", "type": kind, "project": "test", "body": body,
            });
            SequencedEvent { sequence: Sequence(place), event: raw(event.to_string()) }
        });
        let run = Run { previous: after.1, signature: UNSIGNED, events: events.collect() };
        signed(run, &self.fake.key())
    }

    /// Runs that say FORGED in place of this one, after it, and in an epoch that its daemon doesn't have.
    fn forgeries(&self, truth: &Run) -> Vec<Run> {
        let mut changed = truth.clone();
        for event in &mut changed.events {
            event.event = raw(event.event.get().replace("the truth", "FORGED"));
        }
        let (last, chain) = end(truth);
        let elsewhere = OriginId { daemon: last.origin_daemon, epoch: ids::epoch() };
        let body = json!({"from": "alice", "to": ["bob"], "text": "FORGED"});
        let message = |origin, after| {
            self.in_the_name(origin, after, "message.sent", std::slice::from_ref(&body))
        };
        vec![
            Run { signature: UNSIGNED, ..changed.clone() },
            signed(changed.clone(), &self.fake.key()),
            // With the signature of the true one.
            changed,
            message(last.origin(), (last.origin_sequence.0, chain)),
            message(elsewhere, (0, chain_start(&elsewhere))),
        ]
    }
}

const UNSIGNED: Signature = Signature([0; 64]);

pub(crate) fn raw(text: String) -> Box<RawValue> {
    RawValue::from_string(text).unwrap()
}

/// The last position of a run in the log that serves it.
fn last_of(run: &Run) -> u64 {
    run.events.last().unwrap().sequence.0
}

/// The last event of a run, and the chain after it.
fn end(run: &Run) -> (EventHeader, Chain) {
    let next = |chain, event: &SequencedEvent| chain_next(chain, event.event.get().as_bytes());
    let last = serde_json::from_str(run.events.last().unwrap().event.get()).unwrap();
    (last, run.events.iter().fold(run.previous, next))
}

/// The run with a signature of this key that would prove it, were it that of its origin.
fn signed(mut run: Run, key: &SecretKey) -> Run {
    let (last, chain) = end(&run);
    run.signature = key.sign(&point_message(&last.origin(), last.origin_sequence, chain));
    run
}

/// The log of this daemon, as it serves it to its peers.
pub(crate) fn runs_of(daemon: &Daemon, limit: u32) -> Vec<Run> {
    let mut spy = FakePeer::honest();
    spy.joins(daemon);
    let (mut params, mut runs) = (PullParams { limit: Some(limit), ..Default::default() }, vec![]);
    loop {
        let page = spy.caller(daemon).call::<SyncPull>(&params).unwrap();
        runs.extend(page.runs);
        (params.after_seq, params.after_hash) = (page.next_seq, page.next_hash);
        if !page.more_available {
            return runs;
        }
    }
}

fn inbox(daemon: &Daemon) -> String {
    daemon.thrum(&["inbox", "--as", "bob", "--peek"]).exits(0).stdout
}

#[track_caller]
fn quarantines(daemon: &Daemon, count: u64) {
    eventually(SHORT, || {
        let log = daemon.status().log;
        holds(log.quarantined == count, || format!("{log:?}"))
    });
}

/// Whether messages in the name of B, which come from a hostile machine before or after the true one, are not shown:
/// by C, which has them from that machine or from a relay that has.
fn nobody_speaks_for_b(before: bool, through_a_relay: bool) {
    let (b, c) = (Daemon::start("b"), Daemon::start("c"));
    b.thrum(&["send", "--as", "alice", "bob", "the truth"]).exits(0);
    let truth = runs_of(&b, 1000).remove(0);
    let mut hostile = Hostile::new();
    let mut runs = hostile.forgeries(&truth);
    // Of a run, its first event is kept; the runs that were changed begin with the same one.
    let kept = runs.len() as u64 - 2;
    // Of its own, but with the id of the true one.
    let mut own = Origin::of(hostile.fake.key(), ids::epoch());
    let text = own.draft(r#"{"from":"alice","to":["bob"],"text":"of the fake"}"#);
    let own_header: EventHeader = serde_json::from_str(&text).unwrap();
    let text = text
        .replace(&own_header.event_id.to_string(), &end(&truth).0.event_id.to_string())
        .replace("test.note", "message.sent");
    let event = own.write(text);
    runs.push(own.run(&[event]));
    hostile.says(runs);

    let relay = through_a_relay.then(|| Daemon::start("relay"));
    if let Some(relay) = &relay {
        pair(relay, &c);
    }
    let first = relay.as_ref().unwrap_or(&c);
    if !before {
        pair(&b, first);
        converge(SHORT, &[&b, &c]);
    }
    hostile.fake.joins(first);
    quarantines(first, kept);
    if before {
        eventually(SHORT, || holds(inbox(&c).contains("of the fake"), || inbox(&c)));
        assert!(!inbox(&c).contains("FORGED"), "{}", inbox(&c));
        pair(&b, first);
    }
    assert_eq!(converge(SHORT, &[&b, &c, first]), 3);
    if relay.is_some() {
        quarantines(&c, 0);
    }
    eventually(SHORT, || holds(inbox(&c).contains("the truth"), || inbox(&c)));
    let shown = inbox(&c);
    assert!(shown.contains("of the fake") && !shown.contains("FORGED"), "{shown}");
    if relay.is_none() {
        assert!(shown.contains("alice on b"), "{shown}");
    }
}

#[test]
fn a_message_that_is_forged_before_the_true_one_comes_is_not_shown() {
    nobody_speaks_for_b(true, false);
}

#[test]
fn a_message_that_is_forged_after_the_true_one_came_is_not_shown() {
    nobody_speaks_for_b(false, false);
}

#[test]
fn a_relay_does_not_bring_what_was_forged_before_the_true_message() {
    nobody_speaks_for_b(true, true);
}

#[test]
fn a_relay_does_not_bring_what_was_forged_after_the_true_message() {
    nobody_speaks_for_b(false, true);
}

#[test]
fn nothing_that_others_forge_begins_a_new_epoch_or_holds_up_what_is_sent() {
    const TIMES: u64 = 200;
    let (a, b) = paired_daemons();
    a.append(["own"]);
    converge(SHORT, &[&a, &b]);
    let epoch = a.health().epoch;
    let own = OriginId { daemon: a.id(), epoch };
    let mut hostile = Hostile::new();
    let forged = |place: u64| {
        let body = json!({"text": format!("forged {place}")});
        hostile.in_the_name(own, (place, Chain([7; 32])), "test.note", &[body])
    };
    hostile.says((0..TIMES).map(&forged).collect());
    let notes: Vec<Run> = (1..=TIMES).map(|n| forged(n * 3)).collect();
    hostile.fake.joins(&a);
    for (n, run) in (1..).zip(notes) {
        let caller = hostile.fake.caller(&a);
        let at = LogPosition { sequence: Sequence(n * 3), hash: Some(LogHash(n)) };
        let _page = caller.call::<SyncPull>(&PullParams::of(at));
        let (last, chain) = end(&run);
        let head = Head {
            origin_daemon: own.daemon,
            origin_epoch: own.epoch,
            origin_sequence: last.origin_sequence,
            chain,
        };
        let have = PullParams { have: Some(vec![head]), ..Default::default() };
        caller.call::<SyncPull>(&have).unwrap();
        let mut note = NotifyParams::of(hostile.fake.id(), at);
        (note.after_seq, note.heads) = (Some(Sequence::ZERO), Some(vec![head]));
        let _notified = caller.call::<SyncNotify>(&note);
        note.runs = Some(vec![run]);
        let _notified = caller.call::<SyncNotify>(&note);
        if n % 20 == 0 {
            let text = format!("during the flood {n}");
            a.append([&text]);
            eventually(SHORT, || holds(b.texts().contains(&text), || format!("{:?}", b.texts())));
            assert_eq!(a.health().epoch, epoch);
        }
    }
    quarantines_some(&a);
    assert!(!a.log_text().contains("a new epoch"), "{}", a.log_text());
    b.append(["and back"]);
    converge(SHORT, &[&a, &b]);
    assert!(a.texts().iter().all(|text| !text.contains("forged")), "{:?}", a.texts());
    assert_eq!(a.health().epoch, epoch);
    assert!(!b.log_text().contains("can't sync with laptop"), "{}", b.log_text());
}

fn quarantines_some(daemon: &Daemon) {
    eventually(SHORT, || {
        let log = daemon.status().log;
        holds(log.quarantined > 0, || format!("{log:?}"))
    });
}

fn agents(daemon: &Daemon) -> Vec<Agent> {
    daemon.ask::<AgentList>(AgentListParams { all: true, ..Default::default() }).agents
}

#[test]
fn agents_that_another_machine_says_live_here_do_not() {
    let (a, b) = paired_daemons();
    a.thrum(&["send", "--as", "planner", "--all", "hello"]).exits(0);
    converge(SHORT, &[&a, &b]);
    let present = OriginId { daemon: a.id(), epoch: a.health().epoch };
    let other = OriginId { daemon: a.id(), epoch: ids::epoch() };
    let mut hostile = Hostile::new();
    let ghosts = |from: u64, to: u64| -> Vec<Value> {
        (from..to).map(|n| json!({"agent": format!("ghost{n}")})).collect()
    };
    let start = chain_start(&other);
    let mut runs = vec![
        hostile.in_the_name(other, (0, start), "agent.joined", &ghosts(0, 1000)),
        hostile.in_the_name(present, (100, start), "agent.joined", &ghosts(1000, 1500)),
    ];
    for n in 0..500 {
        let body = &ghosts(1500 + n, 1501 + n);
        runs.push(hostile.in_the_name(other, (n, start), "agent.joined", body));
    }
    // What it says in its own name is true.
    let mut own = Origin::of(hostile.fake.key(), ids::epoch());
    let mut events = Vec::new();
    for (kind, body) in (0..200).map(|n| match n {
        0 => ("agent.joined", json!({"agent": "spammer"})),
        n => {
            ("message.sent", json!({"from": "spammer", "all": true, "text": format!("to all {n}")}))
        }
    }) {
        let text = own.draft(&body.to_string()).replace("test.note", kind);
        events.push(own.write(text));
    }
    runs.push(own.run(&events));
    hostile.says(runs);
    hostile.fake.joins(&a);

    let has_spammer = |of: &Daemon| agents(of).iter().any(|agent| agent.name == "spammer");
    for daemon in [&a, &b] {
        eventually(LONG, || holds(has_spammer(daemon), || format!("{:?}", agents(daemon))));
        converge(SHORT, &[&a, &b]);
        let mut known = agents(daemon);
        known.sort_by(|one, other| one.name.cmp(&other.name));
        let named: Vec<_> = known.iter().map(|it| (it.name.as_str(), it.daemon_id)).collect();
        assert_eq!(named, [("planner", a.id()), ("spammer", hostile.fake.id())]);
        let printed = daemon.thrum(&["team", "--all"]).exits(0).stdout;
        assert!(printed.contains("spammer") && !printed.contains("ghost"), "{printed}");
    }
    let views = std::fs::metadata(a.state().join("views.db")).unwrap().len();
    assert!(views < 200 << 10, "{views} bytes of views");
    let inbox = a.thrum(&["inbox", "--as", "ghost7", "--peek", "--json"]).exits(0).json();
    assert_eq!(inbox["messages"].as_array().unwrap().len(), 0, "{inbox}");
}

#[test]
fn nobody_is_paired_under_the_id_of_a_peer() {
    let (a, b) = paired_daemons();
    a.append(["before"]);
    converge(SHORT, &[&a, &b]);
    let (addresses, tokens) = (a.peer(b.id()).unwrap().address, a.tokens());
    let hostile = FakePeer::honest();
    let code = a.open_pairing().code;
    let dialled = a.peer_address().to_string();
    let listens = hostile.address().to_string();
    let mut params = pair_request(&a, &hostile.key(), Some(code), "server", &listens);
    params.id = b.id();
    let proof = PairingProof {
        joining: b.id(),
        accepting: a.id(),
        code: params.code.as_ref(),
        address: &dialled,
    };
    let right_text = proof.sign_request(&hostile.key());
    for signature in [params.signature, right_text, UNSIGNED] {
        params.signature = signature;
        let refused = a.stranger().call::<PairRequest>(&params).unwrap_err();
        assert_eq!(refused.code(), Some(ErrorCode::NOT_PROVED), "{refused}");
    }
    assert_eq!((a.peer(b.id()).unwrap().address, a.tokens()), (addresses, tokens));
    a.append(["after"]);
    b.append(["after too"]);
    converge(SHORT, &[&a, &b]);
    // It was the right code, for who has the key of the id.
    let own = pair_request(&a, &hostile.key(), params.code.clone(), "fake", &listens);
    a.stranger().call::<PairRequest>(&own).unwrap();
}
