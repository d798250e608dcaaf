//! docs/protocol.md, as a second implementation would use it: plain JSON to a real daemon.

use std::sync::mpsc;

use serde_json::{Value, json};
use tests::harness::{Answer, Daemon, FakePeer, LONG, SHORT, Written, eventually, holds};
use thrum_api::local::{PeerCheck, PeerCheckParams};
use thrum_api::peer::{NotifyParams, PullParams, SyncNotify, SyncPull};
use thrum_api::proof::Chain;
use thrum_api::{LogHash, LogPosition, Sequence};
use thrumd::proof::chain_next;

use crate::pages::fakes;

struct Peer<'a> {
    fake: FakePeer,
    daemon: &'a Daemon,
}

impl<'a> Peer<'a> {
    fn of(daemon: &'a Daemon) -> Self {
        let mut fake = FakePeer::honest();
        fake.joins(daemon);
        Self { fake, daemon }
    }

    fn ask(&self, method: &str, params: &Value) -> Value {
        let body = json!({"jsonrpc": "2.0", "id": "x-1", "method": method, "params": params});
        let caller = self.fake.caller(self.daemon);
        let answer = caller.post(body.to_string().as_bytes()).unwrap().json();
        assert_eq!(answer["jsonrpc"], "2.0", "{answer}");
        assert_eq!(answer["id"], "x-1", "{answer}");
        answer
    }

    #[track_caller]
    fn result(&self, method: &str, params: &Value) -> Value {
        let answer = self.ask(method, params);
        assert!(answer["error"].is_null(), "{method} {params}: {answer}");
        answer["result"].clone()
    }

    #[track_caller]
    fn error(&self, method: &str, params: &Value) -> Value {
        let answer = self.ask(method, params);
        assert!(answer["result"].is_null(), "{method} {params}: {answer}");
        answer["error"].clone()
    }
}

/// Its events, in the order of the log.
fn events_of(page: &Value) -> Vec<Value> {
    let runs = page["runs"].as_array().expect("runs");
    let events = |run: &Value| run["events"].as_array().expect("events").clone();
    let mut events: Vec<_> = runs.iter().flat_map(events).collect();
    events.sort_by_key(|event| event["sequence"].as_u64());
    events
}

#[test]
fn the_whole_log_comes_page_by_page() {
    let daemon = Daemon::start("laptop");
    for part in 0..3 {
        daemon.append((0..1000).map(|n| part * 1000 + n));
    }
    let peer = Peer::of(&daemon);
    let (mut after, mut after_hash, mut all, mut pages) = (0, Value::Null, Vec::new(), 0);
    loop {
        let mut params = json!({"after_seq": after});
        if after_hash.is_string() {
            params["after_hash"] = after_hash;
        }
        let page = peer.result("sync.pull", &params);
        let events = events_of(&page);
        assert!(events.len() <= 1000);
        assert_eq!((&page["head_seq"], &page["floor_seq"]), (&json!(3000), &json!(0)));
        for event in &events {
            after += 1;
            assert_eq!(event["sequence"], after, "positions rise one by one");
        }
        assert_eq!(page["next_seq"], after);
        after_hash = page["next_hash"].clone();
        all.extend(events);
        pages += 1;
        if page["more_available"] == false {
            break;
        }
    }
    assert!(pages >= 3);
    assert_eq!(all.len(), 3000);
    for (n, held) in all.iter().enumerate() {
        assert_eq!(held["event"]["origin_sequence"], n + 1);
        assert_eq!(held["event"]["origin_daemon"], daemon.id().to_string());
    }
    // At the end there is nothing more, and it says so.
    let page = peer.result("sync.pull", &json!({"after_seq": 3000, "after_hash": after_hash}));
    assert_eq!((events_of(&page).len(), &page["next_seq"]), (0, &json!(3000)));
    let page = peer.result("sync.pull", &json!({"after_seq": 10, "limit": 7}));
    assert_eq!((events_of(&page).len(), &page["more_available"]), (7, &json!(true)));
}

#[test]
fn a_page_ends_at_512_kib_and_holds_one_event_at_least() {
    let daemon = Daemon::start("laptop");
    for _ in 0..25 {
        daemon.append(["v".repeat(250_000)]);
    }
    let peer = Peer::of(&daemon);
    let page = peer.result("sync.pull", &json!({"after_seq": 0}));
    let bytes: usize = events_of(&page).iter().map(|event| event["event"].to_string().len()).sum();
    assert!(bytes <= 512 * 1024 && events_of(&page).len() == 2, "{bytes} bytes");
    assert_eq!(page["more_available"], true);
}

#[test]
fn a_checkpoint_of_another_log_is_an_error_and_never_an_empty_page() {
    let daemon = Daemon::start("laptop");
    daemon.append(0..5);
    let peer = Peer::of(&daemon);
    let other = "0123456789abcdef";
    for params in [
        json!({"after_seq": 6}),
        json!({"after_seq": 6, "after_hash": other}),
        json!({"after_seq": 3, "after_hash": other}),
    ] {
        let epoch = daemon.health().epoch.to_string();
        let error = peer.error("sync.pull", &params);
        assert_eq!(error["code"], -32006, "{params}: {error}");
        assert_eq!(error["data"]["head_seq"], 5, "{params}: {error}");
        assert_eq!(error["data"]["epoch"], epoch, "{params}: {error}");
        assert_eq!(daemon.health().epoch.to_string(), epoch, "a peer's word begins no epoch");
    }
}

#[test]
fn heads_leave_out_what_the_caller_holds_and_only_that() {
    let daemon = Daemon::start("laptop");
    daemon.append(0..10);
    let peer = Peer::of(&daemon);
    let all = events_of(&peer.result("sync.pull", &json!({"after_seq": 0})));
    let page = peer.fake.caller(&daemon).call::<SyncPull>(&PullParams::default()).unwrap();
    let run = &page.runs[0];
    let chains: Vec<_> = run
        .events
        .iter()
        .scan(run.previous, |chain, event| {
            *chain = chain_next(*chain, event.event.get().as_bytes());
            Some(*chain)
        })
        .collect();
    let head_at = |position: usize, chain: Chain| {
        let event = &all[position - 1]["event"];
        json!([{"origin_daemon": event["origin_daemon"], "origin_epoch": event["origin_epoch"],
            "origin_sequence": event["origin_sequence"], "chain": chain}])
    };
    let have = head_at(7, chains[6]);
    let page = peer.result("sync.pull", &json!({"after_seq": 0, "have": have}));
    assert_eq!(events_of(&page), all[7..]);
    assert_eq!(page["next_seq"], 10);
    // A head of another history says nothing.
    let have = head_at(7, chains[5]);
    let page = peer.result("sync.pull", &json!({"after_seq": 0, "have": have}));
    assert_eq!(events_of(&page), all);
    // Everything is held: an empty page that moves on.
    let have = head_at(10, chains[9]);
    let page = peer.result("sync.pull", &json!({"after_seq": 0, "have": have}));
    assert_eq!((events_of(&page).len(), &page["next_seq"]), (0, &json!(10)));
}

#[test]
fn a_notification_whose_window_fits_is_applied_at_once() {
    let daemon = Daemon::start("laptop");
    let peer = Peer::of(&daemon);
    // The first pull is over when the daemon asks who the peer is.
    peer.fake.hears(SHORT, "sync.peer_info", 1);
    let (origin, events) = fakes(9);
    let at = |sequence| LogPosition { sequence: Sequence(sequence), hash: Some(LogHash(sequence)) };
    let held_after = |after: u64, events: &[Written]| {
        let last = events.last().unwrap();
        let params = NotifyParams {
            after_seq: Some(Sequence(after)),
            after_hash: at(after).hash.filter(|_| after > 0),
            heads: Some(vec![last.head]),
            runs: Some(vec![origin.run(events)]),
            ..NotifyParams::of(peer.fake.id(), at(last.sequence))
        };
        peer.fake.caller(&daemon).call::<SyncNotify>(&params).unwrap().held_seq
    };
    assert_eq!(held_after(0, &events[..2]), Sequence(2));
    assert_eq!(daemon.texts(), ["fake 1", "fake 2"], "on disk when it is answered");
    assert_eq!(held_after(2, &events[2..3]), Sequence(3));
    // A window that begins elsewhere is not applied but pulled.
    assert_eq!(held_after(8, &events[8..]), Sequence(3));
    eventually(SHORT, || {
        let pulls = peer.fake.heard().into_iter().filter(|heard| heard.method == "sync.pull");
        let asked: Vec<_> = pulls.map(|pull| pull.params).collect();
        let from_there = |params: &Value| {
            params["after_seq"] == 3 && params["after_hash"] == LogHash(3).to_string()
        };
        holds(asked.iter().any(from_there), || format!("the pulls were {asked:?}"))
    });
}

#[test]
fn news_comes_with_its_events_and_from_where_the_peer_stands() {
    let daemon = Daemon::start("laptop");
    let peer = Peer::of(&daemon);
    peer.fake.hears(SHORT, "sync.peer_info", 1);
    // Where a peer stands is known from its pulls and its answers.
    peer.result("sync.pull", &json!({"after_seq": 0}));
    daemon.append(["one"]);
    peer.fake.hears(SHORT, "sync.notify", 1);
    daemon.append(["two"]);
    peer.fake.hears(SHORT, "sync.notify", 2);
    let notes: Vec<_> =
        peer.fake.heard().into_iter().filter(|heard| heard.method == "sync.notify").collect();
    for (n, note) in notes.iter().take(2).enumerate() {
        let params = &note.params;
        assert_eq!(params["daemon_id"], daemon.id().to_string());
        assert_eq!((&params["latest_seq"], &params["after_seq"]), (&json!(n + 1), &json!(n)));
        assert_eq!(params["runs"].as_array().map(Vec::len), Some(1), "{params}");
        assert_eq!(params["runs"][0]["events"].as_array().map(Vec::len), Some(1), "{params}");
        assert!(params["heads"].is_array(), "{params}");
        assert_eq!(
            note.authorization.as_deref(),
            Some(format!("Bearer {}", peer.fake.token().expose()).as_str())
        );
    }
}

#[test]
fn a_burst_is_coalesced_into_few_notifications() {
    let daemon = Daemon::start("laptop");
    let (release, released) = mpsc::channel::<()>();
    let mut fake = FakePeer::new(move |heard| {
        if heard.method == "sync.notify" {
            let _dropped = released.recv();
        }
        None
    });
    fake.joins(&daemon);
    let told = || {
        let heard = fake.heard().into_iter().filter(|heard| heard.method == "sync.notify");
        heard.map(|heard| heard.params["latest_seq"].clone()).collect::<Vec<_>>()
    };
    daemon.append(["first"]);
    fake.hears(SHORT, "sync.notify", 1);
    for n in 0..50 {
        daemon.append([n]);
    }
    drop(release);
    eventually(SHORT, || holds(told().contains(&json!(51)), || format!("told of {:?}", told())));
    assert!(told().len() < 10, "told of {:?}", told());
}

#[test]
fn a_goodbye_is_understood() {
    let daemon = Daemon::start("laptop");
    let peer = Peer::of(&daemon);
    peer.ask(
        "sync.notify",
        &json!({
            "daemon_id": peer.fake.id(), "latest_seq": 0, "removed": true,
        }),
    );
    eventually(SHORT, || {
        let peers = daemon.status().peers;
        let gone = peers.iter().all(|peer| peer.state == thrum_api::local::PeerState::RemovedUs);
        holds(gone && peers.len() == 1, || format!("{peers:?}"))
    });
}

#[test]
fn the_token_may_travel_in_the_params_and_members_of_later_versions_are_ignored() {
    let daemon = Daemon::start("laptop");
    let peer = Peer::of(&daemon);
    let token = peer.fake.token().expose();
    let body = json!({"jsonrpc": "2.0", "id": 1, "method": "sync.peer_info",
        "params": {"token": token, "colour": "green"}, "priority": 7});
    let answer = daemon.stranger().post(body.to_string().as_bytes()).unwrap().json();
    let info = &answer["result"];
    assert_eq!(info["id"], daemon.id().to_string(), "{answer}");
    assert_eq!(info["name"], "laptop", "{answer}");
    assert_eq!(info["epoch"], daemon.health().epoch.to_string(), "{answer}");
    assert_eq!(info["head_seq"], 0, "{answer}");
    assert!(info["version"].is_string(), "{answer}");
    let page = peer.result("sync.pull", &json!({"after_seq": 0, "compress": "zstd"}));
    assert_eq!(page["head_seq"], 0);
}

#[test]
fn a_peer_speaks_for_itself_alone() {
    let daemon = Daemon::start("laptop");
    let (peer, other) = (Peer::of(&daemon), Peer::of(&daemon));
    let error = peer.error(
        "sync.notify",
        &json!({
            "daemon_id": other.fake.id(), "latest_seq": 1, "removed": true,
        }),
    );
    assert!(error["code"].is_i64(), "{error}");
    let states: Vec<_> = daemon.status().peers.into_iter().map(|peer| peer.state).collect();
    assert!(!states.contains(&thrum_api::local::PeerState::RemovedUs), "{states:?}");
}

#[test]
fn a_peer_may_have_4_requests_open_and_no_more() {
    use std::io::Write as _;
    let daemon = Daemon::start("laptop");
    let peer = Peer::of(&daemon);
    let caller = peer.fake.caller(&daemon);
    let head = format!(
        "POST /rpc HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\n\
         authorization: Bearer {}\r\ncontent-length: 100\r\n\r\n",
        peer.fake.token().expose()
    );
    let open = || {
        let mut stream = caller.connect().unwrap();
        stream.write_all(head.as_bytes()).unwrap();
        stream.set_nonblocking(true).unwrap();
        stream
    };
    let mut waiting: Vec<_> = (0..4).map(|_| open()).collect();
    let body = br#"{"jsonrpc":"2.0","id":1,"method":"sync.peer_info"}"#;
    let answer = eventually(LONG, || {
        // One that came after the request below was refused in its place. Not both in one round: the
        // daemon serves first which it accepted last.
        waiting.retain(|stream| stream.peek(&mut [0]).is_err());
        if waiting.len() < 4 {
            waiting.resize_with(4, open);
            return Err("one of the four was refused".to_owned());
        }
        let answer = caller.post(body).map_err(|error| error.to_string())?;
        holds(answer.status == 429, || answer.text()).map(|()| answer)
    });
    assert_eq!(answer.json()["error"]["code"], -32008, "{}", answer.text());
    drop(waiting);
    eventually(SHORT, || {
        let answer = caller.post(body).map_err(|error| error.to_string())?;
        holds(answer.status == 200, || answer.text())
    });
}

#[test]
fn a_pull_of_no_events_checks_the_position_and_hides_no_news() {
    let daemon = Daemon::start("laptop");
    let peer = Peer::of(&daemon);
    daemon.append(["one", "two", "three"]);
    peer.fake.hears(SHORT, "sync.notify", 1);
    let page = peer.result("sync.pull", &json!({"after_seq": 0, "limit": 0}));
    assert_eq!(events_of(&page), Vec::<Value>::new());
    assert_eq!((&page["next_seq"], &page["head_seq"]), (&json!(0), &json!(3)));
    assert_eq!(page["more_available"], true);
    let wrong = json!({"after_seq": 2, "after_hash": "0000000000000007", "limit": 0});
    let epoch = daemon.health().epoch;
    assert_eq!(peer.error("sync.pull", &wrong)["code"], -32006);
    assert_eq!(daemon.health().epoch, epoch, "a check changes nothing");
    // Who reads a page is left alone until it comes for the next.
    let told = |latest: u64| {
        let heard = peer.fake.heard();
        heard.iter().any(|heard| heard.params["latest_seq"] == latest)
    };
    peer.result("sync.pull", &json!({"after_seq": 0, "limit": 0}));
    daemon.append(["four"]);
    eventually(SHORT, || holds(told(4), || "it was not told of the fourth".to_owned()));
}

#[test]
fn checking_the_connection_to_a_peer_asks_for_none_of_its_events() {
    let daemon = Daemon::start("laptop");
    let mut fake = FakePeer::new(|heard| {
        let stranger = heard.method == "sync.peer_info" && heard.authorization.is_none();
        stranger.then_some(Answer::Error(-32001))
    });
    fake.joins(&daemon);
    fake.hears(SHORT, "sync.pull", 1);
    daemon.ask::<PeerCheck>(PeerCheckParams { peer: fake.id().to_string() });
    let heard = fake.heard();
    let asked = heard.iter().filter(|heard| heard.method == "sync.pull");
    assert_eq!(asked.filter(|heard| heard.params["limit"] == 0).count(), 1, "{heard:?}");
}
